"""Units: human at rest, SI in flight, and back to the same number."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sizing import units
from service.sizing.round_result import SIGNIFICANT_DIGITS, rounded, significant

UNITS = {name: value for name, value in vars(units).items() if name.isupper() and isinstance(value, int | float)}
# What a file, a body or a table holds: a decimal with no more digits than an answer shows.
FIGURES = st.builds(
    lambda digits, exponent: float(Decimal(digits).scaleb(exponent)),
    st.integers(1, 10**SIGNIFICANT_DIGITS - 1),
    st.integers(-9, 9),
)


@pytest.mark.parametrize("unit", sorted(UNITS))
@given(value=FIGURES)
def test_a_figure_comes_back_as_it_went_in(unit: str, value: float) -> None:
    assert significant(value * UNITS[unit] / UNITS[unit]) == value


@given(value=FIGURES)
def test_what_is_rounded_stays_as_it_is(value: float) -> None:
    assert rounded((value,)) == (value,)
