"""Numbers in sentences, as people write them: four digits, thousands set apart, never an exponent."""

import math

_DIGITS = 4


def spoken(value: float) -> str:
    """The number with four significant digits; from a thousand on all before the point: 32,768 GPUs, not 32,770."""
    if not math.isfinite(value) or value == 0.0:
        return f"{value:g}"
    places = _DIGITS - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.0f}" if places <= 0 else f"{value:.{places}f}".rstrip("0").rstrip(".")
