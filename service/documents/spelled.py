"""Amounts, shares, numbers and days as a document spells them; English, whatever the reader's machine is set to."""

from datetime import date
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

from service.quoting.currency import MINOR_DIGITS, rounded

_LOCALE = "en_GB"
_LEAST_DIGITS = 4
_NO_BREAK = "\N{NO-BREAK SPACE}"
_NEARLY_CERTAIN = 0.99
_SPELLED = {"gpu": "GPU", "pue": "PUE", "kwh": "kWh", "kw": "kW", "ttft": "TTFT", "tpot": "TPOT"}
TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"


def amount(value: str | None, currency: str, *, dash: str = DASH) -> str:
    """An amount in the minor units of its currency, without its code; a dash where there is none."""
    if value is None:
        return dash
    digits = MINOR_DIGITS[currency]
    return format_decimal(Decimal(value), format="#,##0" + (f".{'0' * digits}" if digits else ""), locale=_LOCALE)


def unit_price(value: str | None, currency: str) -> str:
    """A price of one in minor units, as a rate may have made it long; a small one keeps four digits."""
    if value is None:
        return DASH
    exact = Decimal(value)
    if not exact or exact >= 1:
        return amount(str(rounded(exact, currency)), currency)
    minor = MINOR_DIGITS[currency]
    more = max(0, _LEAST_DIGITS - 1 - exact.adjusted() - minor)
    return format_decimal(exact, format="0." + "0" * minor + "#" * more, locale=_LOCALE)


def is_rounded(value: str | None, currency: str) -> bool:
    """Whether a price of one is longer than it is shown."""
    if value is None:
        return False
    exact = Decimal(value)
    return exact != exact.quantize(Decimal(1).scaleb(-MINOR_DIGITS[currency]))


def share(value: str | float | None) -> str:
    """A share in percent, with up to two decimals."""
    return (
        DASH if value is None else format_percent(Decimal(str(value)), format=f"#,##0.##{_NO_BREAK}%", locale=_LOCALE)
    )


def figure(value: float | str | None) -> str:
    """A number as people read it: grouped, three significant digits below a thousand, whole above."""
    if value is None:
        return DASH
    exact = Decimal(str(value))
    if not exact:
        return "0"
    digits = max(0, 2 - exact.adjusted())
    short = round(exact, digits) if digits else exact.to_integral_value()
    return format_decimal(short.normalize() if digits else short, format="#,##0.######", locale=_LOCALE)


def whole(value: float | None) -> str:
    """A count."""
    return DASH if value is None else format_decimal(int(value), format="#,##0", locale=_LOCALE)


def pieces(unit: str, number: float) -> str:
    """The unit of so many: 1 module, 4 modules, 2 switches, 3 shelves, 32 GPU-years."""
    if number == 1:
        return unit
    if unit.endswith("shelf"):
        return unit.removesuffix("f") + "ves"
    return f"{unit}es" if unit.endswith("ch") else f"{unit}s"


def counted_in(unit: str, number: float, months: int) -> str:
    """The unit of a line, so that it times the price of one is the amount: 4 modules; 32 GPUs for 3 years."""
    if not months:
        return pieces(unit, number)
    years, rest = divmod(months, 12)
    term = pieces("month", months) if rest else pieces("year", years)
    return f"{pieces(unit.removesuffix('-year'), number)} {TIMES} {months if rest else years} {term}"


def day(value: str | None) -> str:
    """29 November 2026."""
    return DASH if value is None else format_date(date.fromisoformat(value), format="d MMMM y", locale=_LOCALE)


def words(name: str) -> str:
    """An identifier as words: one_time is one time, pue is PUE."""
    return " ".join(_SPELLED.get(word, word) for word in name.split("_"))


def percent(value: float) -> str:
    """A probability in whole percent, which no prediction rounds up to certainty: 85 %; over 99 %; under 1 %."""
    if value > _NEARLY_CERTAIN:
        return f"over {percent(_NEARLY_CERTAIN)}"
    if value < 1 - _NEARLY_CERTAIN:
        return f"under {percent(1 - _NEARLY_CERTAIN)}"
    return f"{round(value * 100)}{_NO_BREAK}%"
