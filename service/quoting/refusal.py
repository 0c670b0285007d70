"""What to raise for a value of a quote that cannot be: the field, the value, the limit and the way out."""

import difflib
from collections.abc import Iterable

from service.errors import FieldError, InvalidRequestError


def field_error(
    field: str, message: str, *, value: object = None, limit: str | None = None, near: tuple[str, ...] = ()
) -> FieldError:
    """One wrong field."""
    return FieldError(
        field=field, message=message, value=None if value is None else str(value)[:80], limit=limit, did_you_mean=near
    )


def refused(errors: Iterable[FieldError]) -> InvalidRequestError:
    """All wrong fields as one error that tells the first in full."""
    first, *others = told = tuple(errors)
    more = f" And {len(others)} more; see errors." if others else ""
    it_is = "" if first.value is None else f" (it is '{first.value}')"
    return InvalidRequestError(f"{first.field}: {first.message}{it_is}{more}", errors=told)


def refusal(field: str, message: str, *, value: object = None, limit: str | None = None) -> InvalidRequestError:
    """One wrong field as an error."""
    return refused((field_error(field, message, value=value, limit=limit),))


def near_names(name: str, known: Iterable[str]) -> tuple[str, ...]:
    """Known names that were perhaps meant."""
    return tuple(difflib.get_close_matches(name, list(known), n=3))
