"""Days of a quote: what lies in the past or the future where it must not, and how long prices and a rate bear it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from service.errors import FieldError
from service.quoting.refusal import field_error, refusal

VALID_DAYS = 30
LONGEST_VALIDITY_DAYS = 730
OLD_RATE_DAYS = 7
"""A rate that is older is used, and every document says how old it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """What was asked: a last day, or days from today; with neither it is the product's to say."""

    until: date | None
    days: int | None


def wrong_days(*, today: date, rate_of: date | None, deliver_by: date | None) -> Iterator[FieldError]:
    """A rate of tomorrow, and a delivery before today."""
    if rate_of is not None and rate_of > today:
        limit = f"at most {today}"
        yield field_error(
            "fx.date", f"Must be {limit}: nobody knows a rate of a day to come.", value=rate_of, limit=limit
        )
    if deliver_by is not None and deliver_by < today:
        limit = f"at least {today}"
        yield field_error("deliver_by", f"Must be {limit}: that day is over.", value=deliver_by, limit=limit)


def last_day(asked: Validity, *, today: date, prices_until: date | None, book: str) -> date:
    """The last day of the validity: never after that of the prices, `prices_until`, which the book of that name states.

    Raises InvalidRequestError where a longer one was asked for, or one of more than two years.
    """
    longest = today + timedelta(days=LONGEST_VALIDITY_DAYS)
    if asked.until is None and asked.days is None:
        return min(today + timedelta(days=VALID_DAYS), prices_until or longest)
    last = asked.until or today + timedelta(days=asked.days or 0)
    field = "valid_days" if asked.until is None else "valid_until"
    if last > longest:
        limit = f"at most {longest}"
        message = f"Must be {limit}, {LONGEST_VALIDITY_DAYS} days from today."
        raise refusal(field, message, value=last, limit=limit)
    if prices_until is not None and last > prices_until:
        limit = f"at most {prices_until}"
        message = f"Must end {limit}, the last day of the price book {book}; this would end on {last}."
        raise refusal(field, message, value=asked.until or asked.days, limit=limit)
    return last


def age_of_rate(rate_of: date, today: date) -> str | None:
    """A word on a rate that is older than a week; None for a younger one."""
    days = (today - rate_of).days
    if days <= OLD_RATE_DAYS:
        return None
    return f"OLD RATE: the exchange rate is of {rate_of}, {days} days before this quote was written."
