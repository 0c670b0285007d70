"""The state of the installation in numbers, for whoever watches it: a few cheap queries, no tenant in any of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.errors import UnavailableError
from service.planning.heartbeat import DELIVERER, DISPATCHER, WORKER
from service.planning.transact import read
from service.queue import QueueName
from service.runtime import Runtime
from service.store import outbox, processes, runs


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the database tells. The age is 0 while no run waits."""

    open_runs: Mapping[str, int]
    oldest_waiting_s: float
    outbox_entries: int
    processes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What can be told now; None where the part that knows does not answer."""

    stored: Stored | None
    queue_depths: Mapping[str, int] | None
    cache_answers: bool


def state(runtime: Runtime) -> State:
    """Four queries, one look into each queue, one ping: the same however much is stored."""
    return State(stored=_stored(runtime), queue_depths=_depths(runtime), cache_answers=runtime.cache.ping() is None)


def _stored(runtime: Runtime) -> Stored | None:
    now = runtime.clock()

    def query(session: Session) -> Stored:
        since = runs.waiting_since(session)
        alive = processes.count_alive(session, since=now - timedelta(seconds=runtime.settings.silent_after_s))
        return Stored(
            open_runs=runs.open_counts(session),
            oldest_waiting_s=0.0 if since is None else max(0.0, (now - since).total_seconds()),
            outbox_entries=outbox.count(session),
            processes={role: alive.get(role, 0) for role in (DELIVERER, DISPATCHER, WORKER)},
        )

    try:
        return read(runtime, query)
    except (UnavailableError, SQLAlchemyError):
        return None


def _depths(runtime: Runtime) -> dict[str, int] | None:
    depths = {}
    for name in QueueName:
        depth = runtime.queue.depth(name)
        if depth is None:
            # A broker that does not answer is asked once: whoever scrapes is waiting.
            return None
        depths[name.value] = depth
    return depths
