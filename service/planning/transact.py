"""Transactions: short, retried where the database says that a retry helps, and failing with words a caller can use."""

import random
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from service.errors import UnavailableError
from service.queue import TimeLimitReached
from service.runtime import Runtime
from service.store.engine import WRITES
from service.store.silent import SilentDatabaseError

log = structlog.get_logger(__name__)

T = TypeVar("T")
S = TypeVar("S", Session, Connection)

_ATTEMPTS = 3
_RETRY_AFTER_S = 5
# serialization_failure, deadlock_detected: the database has rolled back and asks for another try.
_ROLLED_BACK = {"40001", "40P01"}


def transact(runtime: Runtime, work: Callable[[Session], T]) -> T:
    """Run `work` in one writing transaction and commit it; UnavailableError when the database does not answer."""

    def flushed(session: Session) -> T:
        outcome = work(session)
        session.flush()
        return outcome

    return _committed(runtime, lambda: runtime.sessions(execution_options=WRITES), flushed)


def transact_rows(runtime: Runtime, work: Callable[[Connection], T]) -> T:
    """The same for work that needs no objects: on a bare connection, which costs a fraction of a session."""
    return _committed(runtime, runtime.kept_open.connection, work)


def _committed(runtime: Runtime, opened: Callable[[], AbstractContextManager[S]], work: Callable[[S], T]) -> T:
    for attempt in range(1, _ATTEMPTS + 1):
        committing = False
        try:
            with runtime.writers_turn, opened() as transaction, _dropped_when_interrupted(transaction):
                outcome = work(transaction)
                committing = True
                transaction.commit()
                return outcome
        except IntegrityError:
            raise
        except (DBAPIError, PoolTimeoutError) as error:
            if attempt == _ATTEMPTS or not _worth_another_try(error, committing=committing):
                raise _unavailable(error) from error
            time.sleep(random.uniform(0.01, 0.05) * attempt)  # noqa: S311 - jitter, not a secret
    raise AssertionError("unreachable")


def read(runtime: Runtime, query: Callable[[Session], T]) -> T:
    """Run `query`, which writes and locks nothing; UnavailableError when the database does not answer."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with runtime.reading() as session, _dropped_when_interrupted(session):
                return query(session)
        except (DBAPIError, PoolTimeoutError) as error:
            if attempt == _ATTEMPTS or not _worth_another_try(error, committing=False):
                raise _unavailable(error) from error
    raise AssertionError("unreachable")


class _dropped_when_interrupted:  # noqa: N801 - used as a function is; a generator would cost every request more
    """A time limit strikes in the middle of whatever the driver does: its connection can do nothing more, not even roll
    back. It is closed, so that the database does; left open it would hold its locks for as long as nobody collects it.
    What the driver says of it, where it was sending many statements at once, is that the connection failed: whoever
    has the time limit is told that it was that.
    """

    __slots__ = ("_before", "_transaction")

    def __init__(self, transaction: Session | Connection) -> None:
        self._transaction = transaction
        # Who puts things in order after a time limit is not interrupted by it: Python names it in whatever fails then.
        self._before = sys.exception()

    def __enter__(self) -> None:
        """Nothing yet."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        """Close what was interrupted."""
        if error is None or not _interrupted(error, before=self._before):
            return
        self._transaction.invalidate()
        if not isinstance(error, TimeLimitReached):
            raise TimeLimitReached from error


def _interrupted(error: BaseException, *, before: BaseException | None) -> bool:
    """Whether a time limit lies behind it, other than behind what had failed `before`."""
    seen: list[BaseException | None] = [before]
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or any(one is known for known in seen):
            continue
        if isinstance(one, TimeLimitReached):
            return True
        seen.append(one)
        waiting += (one.__cause__, one.__context__)
    return False


def _worth_another_try(error: Exception, *, committing: bool) -> bool:
    """A lost connection is worth it unless it was lost while committing: then nobody knows what happened.

    Nor is one that was given up: the next would be waited for as long.
    """
    if not isinstance(error, DBAPIError) or isinstance(error.orig, SilentDatabaseError):
        return False
    if getattr(error.orig, "sqlstate", None) in _ROLLED_BACK:
        return True
    return error.connection_invalidated and not committing


def _unavailable(error: Exception) -> Exception:
    """What a caller may know: try again. What was wrong goes to the log; a mistake of ours stays a mistake."""
    if not isinstance(error, OperationalError | InterfaceError | PoolTimeoutError):
        return error
    log.warning("database_unavailable", error=type(error).__name__, reason=str(getattr(error, "orig", error))[:300])
    return UnavailableError("The database does not answer at the moment; try again.", retry_after_s=_RETRY_AFTER_S)
