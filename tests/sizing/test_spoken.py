"""Numbers as people write them."""

import pytest

from service.sizing.spoken import spoken


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (32_768.0, "32,768"),
        (100_000.0, "100,000"),
        (1e7, "10,000,000"),
        (1234.56, "1,235"),
        (53.84213, "53.84"),
        (0.01, "0.01"),
        (0.000012345, "0.00001234"),
        (-2.5, "-2.5"),
        (0.0, "0"),
        (8.0, "8"),
        (999.96, "1000"),
    ],
)
def test_numbers_are_told_as_people_write_them(value: float, told: str) -> None:
    assert spoken(value) == told
