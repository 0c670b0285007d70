"""Amounts, shares, numbers and days as a document spells them; English, whatever the reader's machine is set to."""

from datetime import date
from decimal import Decimal

from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

from service.quoting.currency import MINOR_DIGITS

_LOCALE = "en_GB"
TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"


def amount(value: str | None, currency: str, *, dash: str = DASH) -> str:
    """An amount in the minor units of its currency, without its code; a dash where there is none."""
    if value is None:
        return dash
    digits = MINOR_DIGITS[currency]
    return format_decimal(Decimal(value), format="#,##0" + (f".{'0' * digits}" if digits else ""), locale=_LOCALE)


def unit_price(value: str | None, currency: str) -> str:
    """A price of one, with up to six decimals where a rate has made it long."""
    if value is None:
        return DASH
    exact = Decimal(value)
    short = amount(value, currency)
    if exact == exact.quantize(Decimal(1).scaleb(-2)):
        return short
    return format_decimal(exact, format="#,##0.00####", locale=_LOCALE)


def share(value: str | float | None) -> str:
    """A share in percent, with up to two decimals."""
    return DASH if value is None else format_percent(Decimal(str(value)), format="#,##0.## %", locale=_LOCALE)


def figure(value: float | str | None) -> str:
    """A number as people read it: grouped, three significant digits below a thousand, whole above."""
    if value is None:
        return DASH
    exact = Decimal(str(value))
    if not exact:
        return "0"
    digits = max(0, 2 - exact.adjusted())
    rounded = round(exact, digits) if digits else exact.to_integral_value()
    return format_decimal(rounded.normalize() if digits else rounded, format="#,##0.######", locale=_LOCALE)


def whole(value: float | None) -> str:
    """A count."""
    return DASH if value is None else format_decimal(int(value), format="#,##0", locale=_LOCALE)


def day(value: str | None) -> str:
    """29 November 2026."""
    return DASH if value is None else format_date(date.fromisoformat(value), format="d MMMM y", locale=_LOCALE)


def words(name: str) -> str:
    """An identifier as words: one_time is one time."""
    return name.replace("_", " ")


def percent(value: float) -> str:
    """A probability in whole percent."""
    return f"{round(value * 100)} %"
