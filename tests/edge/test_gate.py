"""The gate: what a call costs the others. The rest is tried over real sockets, in tests/e2e/test_turns.py."""

import pytest

from service.edge.gate import work_s


@pytest.mark.parametrize("status", [None, 200, 201, 304, 409, 429, 500])
def test_most_calls_make_the_work_that_they_do(status):
    assert work_s(status, computed_s=0.01) == 0.01


def test_what_is_accepted_is_work_for_somebody_else_too():
    assert work_s(202, computed_s=0.01) == pytest.approx(0.03)
