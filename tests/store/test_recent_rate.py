"""The rate of late: from the first items on, however they come, and without pauses."""

import pytest

from service.store.recent_rate import PAUSE_S, recent_rate_items_s


def rate_after(*steps, before=None):
    """Of so many items so many seconds after those before."""
    for items, since_s in steps:
        before = recent_rate_items_s(before, items=items, since_s=since_s)
    return before


def test_the_first_items_tell_a_rate():
    assert rate_after((100, 4.0)) == 25.0
    assert rate_after((0, 4.0)) is None
    assert rate_after((100, 0.0)) is None


def test_a_steady_rate_stays_as_it_is():
    assert rate_after(*[(100, 4.0)] * 50) == pytest.approx(25.0)


def test_what_comes_from_several_workers_adds_up():
    """Two of them at the same moment, again and again."""
    assert rate_after(*[(100, 4.0), (100, 0.0)] * 50) == pytest.approx(50.0, rel=0.1)


def test_a_rate_that_changed_is_known_within_minutes():
    assert rate_after(*[(1, 4.0)] * 60, before=25.0) == pytest.approx(0.25, rel=0.1)


def test_a_pause_is_no_slow_work():
    assert rate_after((1, PAUSE_S + 1.0), before=25.0) == 25.0
    assert rate_after((1, PAUSE_S + 1.0)) is None
