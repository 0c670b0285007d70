"""What changed between two answers, in words: names of quantities, their values, and why they differ."""

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from service.documents.labels import label, unit
from service.documents.spelled import amount
from service.web.wording import confidence, count, money, percent, quantity

_QUANTITIES = {
    "feasible": "Fits",
    "server": "Server",
    "servers": "Servers",
    "gpus": "GPUs",
    "confidence_fraction": "Confidence",
    "facility_power_kw": "Power at the meter",
    "cost.total_usd": "Indicative cost",
    "totals.one_time.net_amount": "Net, paid once",
    "totals.recurring.net_amount": "Net, paid by the year over the term",
    "totals.subtotal": "All lines, net",
    "totals.charges_amount": "Charges beside the lines",
    "totals.total": "Total",
    "tco.total": "Cost of ownership",
    "run.id": "Sizing",
    "run.digest": "Digest of the question",
    "rules.bom": "Rules that count the parts",
    "rules.discounts": "Rules of discounts",
    "price_book.name": "Price book",
    "price_book.version": "Version of the price book",
    "price_book.date": "Day of the price book",
    "price_book.currency": "Currency of the price book",
    "price_book.digest": "Digest of the price book",
    "export.severity": "Strongest export flag",
    "export.table_version": "Version of the export rules",
}
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


def told_quantity(name: str) -> str:
    """What a quantity of an answer is called."""
    return _QUANTITIES.get(name) or label(name.rpartition(".")[2])


def told_value(value: Any, name: str) -> str:
    """Its value as people read it."""
    if value is None:
        return _NOTHING
    if name in _WORDS:
        return str(value).replace("_", " ")
    if isinstance(value, bool):
        return "yes" if value else "no"
    number = _number(value)
    if number is None:
        return iso_day(str(value)) if _DAY.fullmatch(str(value)) else str(value)
    if name == "confidence_fraction":
        return confidence(float(number))
    if name.endswith("_usd"):
        return money(number)
    return quantity(float(number), name) if unit(name) else count(float(number))


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
    "told_quantity": told_quantity, "told_sum": told_sum, "told_value": told_value,
}  # fmt: skip
