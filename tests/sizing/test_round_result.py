"""Six digits are kept, everything else stays what it is, and what needs no rounding stays the same object."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sizing.result import Limit, Quantity, Rejection, WorkingStep
from service.sizing.round_result import rounded, rounded_once, significant

STEP = WorkingStep(
    name="racks",
    value=3.0,
    unit="racks",
    formula="servers / servers of a rack",
    inputs=(Quantity(name="servers", value=12.0), Quantity(name="unknown", value=None)),
    source="constraints",
)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_its_text_of_six_digits(value: float) -> None:
    assert repr(significant(value)) == repr(float(f"{value:.6g}"))
    assert significant(significant(value)) == significant(value)


@pytest.mark.parametrize("value", [math.inf, -math.inf, -0.0, 999_999.0, 1_000_001.0, 123_456_789.0])
def test_whole_and_endless_numbers(value: float) -> None:
    assert repr(significant(value)) == repr(float(f"{value:.6g}"))
    assert math.isnan(significant(math.nan))


def test_what_is_rounded_already_stays() -> None:
    assert rounded(STEP) is STEP
    refused = Rejection(server="a", limit=Limit.MEMORY, candidates=3, detail="1.23456789")
    assert rounded((STEP, refused, "1.23456789", 1234567)) == (STEP, refused, "1.23456789", 1234567)


def test_every_depth_is_rounded_and_nothing_else_changes() -> None:
    exact = replace(STEP, value=1 / 3, inputs=(*STEP.inputs, Quantity(name="share", value=2 / 3)))
    found = rounded((exact, STEP))
    assert found[0] == replace(exact, value=0.333333, inputs=(*STEP.inputs, Quantity(name="share", value=0.666667)))
    assert found[1] is STEP
    assert exact.value == 1 / 3


def test_what_options_share_they_still_share() -> None:
    inputs = (Quantity(name="share", value=2 / 3),)
    first, second = rounded((replace(STEP, inputs=inputs), replace(STEP, value=1 / 3, inputs=inputs)))
    assert first.inputs is second.inputs


def test_what_was_rounded_once_is_what_an_answer_would_have() -> None:
    inputs = (Quantity(name="a", value=1.23456789), Quantity(name="b", value=None))
    step = WorkingStep(name="s", value=2.0, unit="", formula="", inputs=inputs, source="")
    shared = replace(step, inputs=rounded_once(inputs))
    assert rounded(shared) == rounded(step)
    assert rounded(shared).inputs is shared.inputs
