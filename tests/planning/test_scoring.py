"""Errors by row and by group, against numbers worked out by hand."""

import math

import pytest

from service.planning.scoring import Scored, scorable, score
from service.sizing.interval import Interval


def point(group, measured, p50, *, arm=0.1):
    return Scored(group=group, measured=measured, predicted=Interval(p10=p50 * (1 - arm), p50=p50, p90=p50 * (1 + arm)))


def test_a_long_sweep_is_many_rows_and_one_group():
    points = [point("sweep", 100.0, 110.0) for _ in range(9)] + [point("single", 100.0, 50.0)]
    found = score(points)
    assert (found.rows.n, found.groups.n) == (10, 2)
    assert found.rows.median_error_fraction == pytest.approx(0.1)
    assert found.groups.median_error_fraction == pytest.approx(0.3)
    assert found.rows.bias_fraction == pytest.approx(0.1)
    assert found.groups.bias_fraction == pytest.approx(-0.2)
    assert found.rows.inside_fraction == pytest.approx(0.9)
    assert found.groups.inside_fraction == pytest.approx(0.5)


def test_p90_is_that_of_the_rows():
    points = [point(n, 100.0, 100.0 + n) for n in range(11)]
    assert score(points).rows.p90_error_fraction == pytest.approx(0.09)


def test_nothing_has_no_score():
    assert score([]) is None


@pytest.mark.parametrize("measured", ["OOM", None, 0, -1.0, math.nan, math.inf, True, [1]])
def test_only_positive_numbers_are_compared(measured):
    assert not scorable(measured)


def test_a_number_is_compared():
    assert scorable(3)
    assert scorable(0.5)
