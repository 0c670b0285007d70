"""The rate of late: from the first items on, however they come, and without pauses."""

import pytest

from service.store.recent_rate import PAUSE_S, recent_rate_items_s


def rate_after(*steps, before=None):
    """Of so many items so many seconds after those before."""
    seen_s = 0.0 if before is None else 600.0
    for items, since_s in steps:
        before = recent_rate_items_s(before, items=items, since_s=since_s, seen_s=seen_s)
        seen_s += since_s
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


@pytest.mark.parametrize("apart_s", [0.0, 0.01])
def test_many_workers_are_known_from_their_first_slices_on(apart_s):
    """Sixteen that began together end their first slices after four seconds, one right after the other."""
    assert rate_after((100, 4.0), *[(100, apart_s)] * 15) == pytest.approx(400.0, rel=0.05)


def test_what_came_before_the_first_items_counts():
    """A slice that ended nothing, and another right after it."""
    assert rate_after((0, 4.0), (100, 0.01)) == pytest.approx(25.0, rel=0.01)


def test_items_of_the_very_first_moment_tell_nothing_yet():
    assert rate_after((100, 0.0), (100, 0.0)) is None
    assert rate_after((100, -0.1)) is None


def test_a_rate_that_changed_is_known_within_minutes():
    assert rate_after(*[(1, 4.0)] * 60, before=25.0) == pytest.approx(0.25, rel=0.1)


def test_a_pause_is_no_slow_work():
    assert rate_after((1, PAUSE_S + 1.0), before=25.0) == 25.0
    assert rate_after((1, PAUSE_S + 1.0)) is None
