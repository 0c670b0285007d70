"""Readiness: each part that the service needs, whether it works, and why not. Reads only."""

from dataclasses import dataclass, replace

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.errors import UnavailableError
from service.planning.heartbeat import DELIVERER, DISPATCHER, WORKER
from service.planning.transact import read
from service.runtime import Runtime
from service.store import processes, runs
from service.store.revision import current_revision, head_revision, is_newer

_OK = "ok"
_UNKNOWN = "unknown while the database does not answer"
QUEUE = "queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One part: its name, whether it works, the reason in words. What is not `required` may be down."""

    name: str
    ok: bool
    reason: str
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """All checks; ready when every required one is."""

    checks: tuple[Check, ...]

    @property
    def ready(self) -> bool:
        """Whether requests can be served in full."""
        return all(check.ok for check in self.checks if check.required)


def readiness(runtime: Runtime) -> Readiness:
    """Database, broker, cache, workers, dispatcher, queue, deliverer.

    The cache may be missing, for a miss is always possible; without a deliverer webhooks wait, and nothing else does.
    """
    database = _database(runtime)
    living: tuple[Check, ...]
    if database.ok:
        living = (
            _heartbeat(runtime, WORKER),
            _heartbeat(runtime, DISPATCHER),
            _queue(runtime),
            replace(_heartbeat(runtime, DELIVERER), required=False),
        )
    else:
        named = [Check(name=name, ok=False, reason=_UNKNOWN) for name in (WORKER, DISPATCHER, QUEUE)]
        living = (*named, Check(name=DELIVERER, ok=False, reason=_UNKNOWN, required=False))
    broker, cache = runtime.queue.ping(), runtime.cache.ping()
    return Readiness(
        checks=(
            database,
            Check(name="broker", ok=broker is None, reason=broker or _OK),
            Check(name="cache", ok=cache is None, reason=cache or _OK, required=False),
            *living,
        )
    )


def _database(runtime: Runtime) -> Check:
    try:
        revision = read(runtime, lambda session: current_revision(session.connection()))
    except (UnavailableError, SQLAlchemyError):
        return Check(name="database", ok=False, reason="the database does not answer")
    if revision != head_revision() and not is_newer(revision):
        return Check(name="database", ok=False, reason=f"the database is at revision {revision}, migrations are due")
    return Check(name="database", ok=True, reason=_OK)


def _heartbeat(runtime: Runtime, role: str) -> Check:
    def query(session: Session) -> Check:
        seen_at = processes.last_seen(session, role)
        if seen_at is None:
            return Check(name=role, ok=False, reason=f"no {role} has been seen")
        silent_s = (runtime.clock() - seen_at).total_seconds()
        if silent_s > runtime.settings.silent_after_s:
            reason = f"no {role} has been seen for {silent_s:.0f} s"
            return Check(name=role, ok=False, reason=reason)
        return Check(name=role, ok=True, reason=_OK)

    try:
        return read(runtime, query)
    except UnavailableError:
        return Check(name=role, ok=False, reason=_UNKNOWN)


def _queue(runtime: Runtime) -> Check:
    """A heartbeat says that a process lives; only the oldest run that waits says that runs are taken."""
    try:
        since = read(runtime, runs.waiting_since)
    except UnavailableError:
        return Check(name=QUEUE, ok=False, reason=_UNKNOWN)
    waited_s = 0.0 if since is None else (runtime.clock() - since).total_seconds()
    if waited_s > runtime.settings.queue_age_max_s:
        return Check(name=QUEUE, ok=False, reason=f"the oldest run that nobody took has waited for {waited_s:.0f} s")
    return Check(name=QUEUE, ok=True, reason=_OK)
