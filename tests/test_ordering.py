"""Tests that wait are spread among those that compute, and none is lost."""

import itertools

import pytest

from tests.ordering import spread


@pytest.mark.parametrize(("quick", "slow"), [(0, 0), (0, 3), (5, 0), (7, 3), (3, 7), (1000, 90)])
def test_each_is_run_once_and_each_kind_in_its_order(quick, slow):
    computing, waiting = [("quick", n) for n in range(quick)], [("slow", n) for n in range(slow)]
    order = spread(computing, waiting)
    assert [one for one in order if one[0] == "quick"] == computing
    assert [one for one in order if one[0] == "slow"] == waiting


def test_those_that_wait_are_far_apart_and_at_neither_end():
    order = spread([0] * 1000, [1] * 50)
    places = [place for place, is_slow in enumerate(order) if is_slow]
    apart = {later - sooner for sooner, later in itertools.pairwise(places)}
    assert min(apart) >= 10
    assert max(apart) - min(apart) <= 1
    assert places[0] >= 200
    assert len(order) - places[-1] >= 100
