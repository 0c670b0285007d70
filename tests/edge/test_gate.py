"""The gate: what a call costs the others. The rest is tried over real sockets, in tests/e2e/test_turns.py."""

import pytest

from service.edge.gate import work_s


def test_most_calls_make_the_work_that_they_do():
    assert work_s(computed_s=0.01, left=False) == 0.01


def test_what_is_left_to_a_worker_is_work_too():
    assert work_s(computed_s=0.01, left=True) == pytest.approx(0.03)
