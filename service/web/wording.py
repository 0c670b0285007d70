"""Figures and facts in words and digits, as people read them: the filters of the templates."""

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from service.documents.labels import label, unit
from service.sizing.interval import Interval
from service.web.source_link import source_link

_UNKNOWN = "unknown"
_DIGITS = 3
_PERCENT = "%"
# A number and its unit stay on one line.
_GAP = "\u00a0"
# From one to the other, and so many of them.
_TO = "\u2013"
TIMES = "\u00d7"
NEARLY_CERTAIN = 0.99


def digits(value: float | Decimal | None, significant: int = _DIGITS) -> str:
    """A number in as many digits as mean something: 1,240; 40.2; 0.0123; 2.1 million."""
    if value is None:
        return _UNKNOWN
    number = float(value)
    if number == 0:
        return "0"
    size = abs(number)
    for least, word in ((1e12, "trillion"), (1e9, "billion"), (1e7, "million")):
        if size >= least:
            scale = 1e6 if word == "million" else least
            return f"{_rounded(number / scale, significant)}{_GAP}{word}"
    return _rounded(number, significant)


def _rounded(number: float, significant: int) -> str:
    size = abs(number)
    whole_digits = len(str(int(size))) if size >= 1 else 0
    if whole_digits >= significant:
        keep = 10 ** max(0, whole_digits - significant - 1)
        return f"{round(number / keep) * keep:,.0f}"
    if size >= 1:
        text = f"{number:,.{significant - whole_digits}f}"
    else:
        text = f"{number:.{significant}g}"
        if "e" in text:
            return text
    return text.rstrip("0").rstrip(".") if "." in text else text


def count(value: float | None) -> str:
    """A whole number: 12,480."""
    return _UNKNOWN if value is None else f"{value:,.0f}"


def quantity(value: float | None, name: str) -> str:
    """A value with the unit of its name: 40.2 ms; 87 %."""
    if value is None:
        return _UNKNOWN
    word = unit(name)
    if word == _PERCENT:
        return f"{digits(value * 100)}{_GAP}%"
    return f"{digits(value)}{_GAP}{word}" if word else digits(value)


def part_of_run(name: str) -> str:
    """What runs are told apart by; `gpu` is a bound elsewhere, with a name of its own."""
    return "GPU" if name == "gpu" else label(name)


def span(interval: Interval, name: str) -> str:
    """The ends of an interval: 1,010-1,480."""
    scale = 100 if unit(name) == _PERCENT else 1
    return f"{digits(interval.p10 * scale)}{_TO}{digits(interval.p90 * scale)}"


def lower_first(text: str) -> str:
    """Inside a sentence; abbreviations stay as they are."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def upper_first(text: str) -> str:
    """At the beginning of a sentence."""
    return text[:1].upper() + text[1:]


def confidence(fraction: float) -> str:
    """A probability in whole percent, which no prediction rounds up to certainty: 92 %; over 99 %; under 1 %."""
    if fraction > NEARLY_CERTAIN:
        return f"over{_GAP}{percent(NEARLY_CERTAIN)}"
    if fraction < 1 - NEARLY_CERTAIN:
        return f"under{_GAP}{percent(1 - NEARLY_CERTAIN)}"
    return percent(fraction)


def percent(fraction: float | None, places: int = 0) -> str:
    """A share: 92 %."""
    return _UNKNOWN if fraction is None else f"{fraction * 100:.{places}f}{_GAP}%"


def money(amount: Decimal | float | str | None) -> str:
    """US dollars without cents: $1,234,567; small unit costs with what they need."""
    if amount is None:
        return "no price"
    number = Decimal(str(amount))
    return f"${number:,.0f}" if abs(number) >= 100 else f"${digits(number)}"


def day(moment: dt.datetime | dt.date | None) -> str:
    """A day, as a person writes it: 29 November 2026."""
    return "" if moment is None else f"{moment.day} {moment:%B %Y}"


def minute(moment: dt.datetime | None) -> str:
    """A moment in UTC: 29 Nov 2026, 10:05 UTC."""
    if moment is None:
        return ""
    return f"{moment.day}{_GAP}{moment:%b}{_GAP}{moment:%Y}, {moment:%H:%M}{_GAP}UTC"


def plural(number: int, word: str, words: str | None = None) -> str:
    """1 server; 2 servers."""
    return f"{number:,}{_GAP}{word if number == 1 else words or word + 's'}"


FILTERS: dict[str, Callable[..., Any]] = {
    "confidence": confidence, "count": count, "day": day, "digits": digits, "label": label, "lower_first": lower_first,
    "minute": minute, "money": money, "part_of_run": part_of_run, "percent": percent, "plural": plural,
    "quantity": quantity, "source_link": source_link, "span": span, "unit": unit, "upper_first": upper_first,
}  # fmt: skip
