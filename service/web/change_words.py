"""What changed between two answers, in words: names of quantities, their values, and why they differ."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from service.documents.change_names import MONEY, change_name
from service.documents.labels import label, unit
from service.documents.spelled import amount
from service.web.wording import confidence, count, money, percent, quantity

_CAUSES = {
    "workload": "The workload itself",
    "catalog": "The facts of the catalog",
    "calibration": "The calibration",
    "price_book": "The price book",
    "engine": "The engine",
}
_NOTHING = "nothing"
# Of these the values are identifiers that read as words.
_WORDS = frozenset({"terms.discount_tier", "export.severity", "supply.delivery", "charge"})
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def told_value(value: Any, name: str) -> str:
    """Its value as people read it."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    number = _number(value)
    if number is None or name in _WORDS:
        return _told_text(str(value), name)
    if name == "confidence_fraction":
        return confidence(float(number))
    if name.endswith("_usd"):
        return money(number)
    if unit(name):
        return quantity(float(number), name)
    return count(float(number)) if number == number.to_integral_value() else f"{number.normalize():f}"


def told_price(value: Any, name: str, currency: str) -> str:
    """A value of a revision: money in its currency, all else as it is told elsewhere.

    Its numbers are none that are written as texts: a customer's order of 4500012345 is told as it was typed.
    """
    if isinstance(value, str):
        return _told_text(value, name)
    return told_value(value, name) if value is None or name not in MONEY else told_sum(value, currency)


def _told_text(text: str, name: str) -> str:
    if name in _WORDS:
        return text.replace("_", " ")
    return iso_day(text) if _DAY.fullmatch(text) else text


def told_sum(value: Any, currency: str) -> str:
    """A sum of a quote in its currency; one that lacks a price is incomplete."""
    return "incomplete" if value is None else f"{amount(str(value), currency)}\u00a0{currency}"


def change_from(new: Any, old: Any) -> str:
    """By how much something has grown: +12.5 %; empty where that is no number."""
    before, after = _number(old), _number(new)
    if before is None or after is None or not before:
        return ""
    share = float(after / before - 1)
    return f"{'+' if share > 0 else ''}{percent(share, 1)}"


def cause(name: str) -> str:
    """Why an answer differs, or what was new."""
    return _CAUSES.get(name) or label(name)


def local_minute(text: str) -> str:
    """A moment on the clock of its zone: Monday, 30 November 2026, 06:00."""
    moment = dt.datetime.fromisoformat(text)
    return f"{moment:%A}, {moment.day} {moment:%B %Y, %H:%M}"


def iso_day(text: str | None) -> str:
    """An ISO day as a person writes it: 29 November 2026."""
    try:
        day = dt.date.fromisoformat((text or "")[:10])
    except ValueError:
        # A source may say no more than a month or a year.
        return text or ""
    return f"{day.day} {day:%B %Y}"


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


FILTERS: dict[str, Callable[..., Any]] = {
    "cause": cause, "change_from": change_from, "iso_day": iso_day, "local_minute": local_minute,
    "told_price": told_price, "told_quantity": change_name, "told_sum": told_sum, "told_value": told_value,
}  # fmt: skip
