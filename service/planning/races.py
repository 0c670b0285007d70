"""Races that the database decides: the loser looks again, and finds what the winner has made."""

from collections.abc import Callable
from typing import TypeVar

import structlog
from sqlalchemy.exc import IntegrityError

from service.errors import UnavailableError

log = structlog.get_logger(__name__)

T = TypeVar("T")

_TRIES = 5


class OvertakenError(Exception):
    """What was read is no longer so: somebody else has changed it before this transaction could."""


def until_settled(transaction: Callable[[], T]) -> T:
    """Run a whole transaction until it loses no race, so that it sees what it lost to; UnavailableError after five."""
    for _ in range(_TRIES):
        try:
            return transaction()
        except IntegrityError as error:
            log.info("race_lost", reason=type(error.orig).__name__)
        except OvertakenError:
            log.info("race_lost", reason="overtaken")
    raise UnavailableError("Too many requests for the same thing arrive at this moment; try again.", retry_after_s=1)
