"""How sure a bound is, of one quantity and of several."""

import math

import pytest

from service.sizing.interval import Spread, confidence_below, confidences_below

EACH = [
    (2.0, 1.0, Spread(shift=0.1, down=0.3, up=0.5)),
    (1.0, 3.0, Spread(shift=-0.2, down=0.4, up=0.2)),
    (0.0, 1.0, Spread(shift=0.0, down=0.1, up=0.1)),
    (math.nan, 1.0, Spread(shift=0.0, down=0.1, up=0.1)),
    (1.0, 1.0, Spread(shift=0.0, down=0.0, up=0.0)),
]


def test_several_are_as_sure_as_each_alone() -> None:
    assert confidences_below(EACH) == [float(confidence_below(bound, point, spread)) for bound, point, spread in EACH]
    assert confidences_below([]) == []


def test_the_ends_of_the_interval_are_a_tenth_apart_from_sure() -> None:
    spread = Spread(shift=0.1, down=0.3, up=0.5)
    ends = [(math.exp(0.1 + arm), 1.0, spread) for arm in (-0.3, 0.0, 0.5)]
    assert confidences_below(ends) == pytest.approx([0.1, 0.5, 0.9], abs=1e-6)
