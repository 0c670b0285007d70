"""Several names are looked up, and those that the catalog does not have are told together, not one at a time."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from service.errors import FieldError, PlannerError, UnknownReferenceError
from service.schemas.issue import MAX_ISSUES

A = TypeVar("A")
B = TypeVar("B")


def each(looks: Iterable[Callable[[], A]]) -> list[A]:
    """What every look-up finds; UnknownReferenceError with the fields of all that find nothing."""
    found, missed = [], []
    for look in looks:
        try:
            found.append(look())
        except UnknownReferenceError as error:
            missed.append(error)
        except PlannerError:
            # What is wrong in another way is told once every name is known.
            if missed:
                break
            raise
    if missed:
        raise unknown(*(field for error in missed for field in error.detail.errors))
    return found


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """The same for two that find different things."""
    looks: tuple[Callable[[], Any], ...] = (first, second)
    one, other = each(looks)
    return one, other


def unknown(*errors: FieldError) -> UnknownReferenceError:
    """What to raise for fields that name what the catalog does not have: the first in full, and how many there are."""
    first, *others = told = errors[:MAX_ISSUES]
    more = f" And {len(others)} more; see errors." if others else ""
    message = f"{first.field}: {first.message} (it is '{first.value}'){more}"
    return UnknownReferenceError(message, errors=told)
