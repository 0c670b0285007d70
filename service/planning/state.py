"""The state of the installation in numbers, for whoever watches it: a few cheap queries, no tenant in any of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from service.errors import UnavailableError
from service.planning.heartbeat import DELIVERER, DISPATCHER, WORKER
from service.planning.transact import read
from service.queue import QueueName
from service.runtime import Runtime
from service.store import deliveries, open_chunks, outbox, processes, quote_documents, runs

# Nobody waits for a document any more that nobody has asked for in that time; who does has it made.
_WANTED_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the database tells. Ages are 0 while nothing waits, as `batches_idle_s` is while no batch is open."""

    open_runs: Mapping[str, int]
    oldest_waiting_s: float
    oldest_batch_s: float
    batches_idle_s: float
    oldest_delivery_s: float
    oldest_document_s: float
    outbox_entries: int
    processes: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What can be told now; None where the part that knows does not answer."""

    stored: Stored | None
    queue_depths: Mapping[str, int] | None
    cache_answers: bool


def state(runtime: Runtime) -> State:
    """Seven queries, one look into each queue, one ping: the same however much is stored."""
    return State(stored=_stored(runtime), queue_depths=_depths(runtime), cache_answers=runtime.cache.ping() is None)


def _stored(runtime: Runtime) -> Stored | None:
    now = runtime.clock()

    def query(session: Session) -> Stored:
        batch_since, moved_at = open_chunks.open_since(session) or (None, None)
        document_since = quote_documents.waiting_since(
            session, most_attempts=runtime.settings.max_attempts, asked_after=now - _WANTED_FOR
        )
        alive = processes.count_alive(session, since=now - timedelta(seconds=runtime.settings.silent_after_s))
        return Stored(
            open_runs=runs.open_counts(session),
            oldest_waiting_s=_age_s(runs.waiting_since(session), now),
            oldest_batch_s=_age_s(batch_since, now),
            batches_idle_s=_age_s(moved_at, now),
            oldest_delivery_s=_age_s(deliveries.due_since(session, now=now), now),
            oldest_document_s=_age_s(document_since, now),
            outbox_entries=outbox.count(session),
            processes={role: alive.get(role, 0) for role in (DELIVERER, DISPATCHER, WORKER)},
        )

    try:
        return read(runtime, query)
    except (UnavailableError, SQLAlchemyError):
        return None


def _age_s(since: datetime | None, now: datetime) -> float:
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


def _depths(runtime: Runtime) -> dict[str, int] | None:
    depths = {}
    for name in QueueName:
        depth = runtime.queue.depth(name)
        if depth is None:
            # A broker that does not answer is asked once: whoever scrapes is waiting.
            return None
        depths[name.value] = depth
    return depths
