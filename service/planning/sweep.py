"""What was lost or is due: unsent outbox rows, unclaimed runs, lapsed leases, followers left behind, overdue quotes."""

from dataclasses import dataclass
from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from service.metrics import Mended
from service.planning.delivery.feed import end_unwanted
from service.planning.heard import run_ended
from service.planning.idempotency import expired_before
from service.planning.quote_expiry import expire_overdue
from service.planning.ring import RungBy, enqueue
from service.planning.transact import read, transact
from service.queue import ROUTES, TaskName
from service.runtime import Runtime
from service.store import batches, idempotency, outbox, processes, runs
from service.store.bells import Bell, bell_of
from service.store.tables.outbox import OutboxRow
from service.store.tables.runs import RunRow

log = structlog.get_logger(__name__)

_BATCH = 500
# Other tasks were written by a newer version during a rolling upgrade; its own dispatcher will know them.
_KNOWN = tuple(TaskName)
_HEARTBEATS_KEPT = timedelta(hours=1)
_RECEIVED_WITHIN = timedelta(hours=1)
# Removed in small transactions, so that writers get their turn in between, and no more than this in one go, so that
# the dispatcher keeps its lease. It comes back soon: more keys than this nobody makes in the meantime.
_KEYS_AT_ONCE = 1000
_KEYS_MOST = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What one sweep did."""

    relayed: int
    rung: int
    poisoned: int
    settled: int
    expired: int


def sweep(runtime: Runtime) -> Swept:
    """Everything, once. Each part may be repeated and may run twice at a time without harm."""
    poisoned, lapsed = expel_expired(runtime)
    settled = settle_orphans(runtime)
    swept = Swept(
        relayed=relay(runtime),
        rung=ring_again(runtime, lapsed) + ring_again(runtime, lost(runtime)),
        poisoned=poisoned,
        settled=settled,
        expired=expire_overdue(runtime),
    )
    end_unwanted(runtime)
    runtime.metrics.swept("done")
    runtime.metrics.mended(Mended.LEASE_EXPIRED, poisoned + len(lapsed))
    runtime.metrics.mended(Mended.POISONED, poisoned)
    runtime.metrics.mended(Mended.SETTLED, settled)
    runtime.metrics.mended(Mended.RUNG, swept.rung)
    if swept.rung or swept.poisoned or swept.settled:
        log.warning("swept", rung=swept.rung, poisoned=swept.poisoned, settled=swept.settled)
    return swept


def relay(runtime: Runtime) -> int:
    """Ring for every outbox row, oldest first, until the broker refuses; returns how many were rung."""
    # A moment's grace: whoever wrote the row is about to ring for it.
    before = runtime.clock() - timedelta(seconds=runtime.settings.outbox_poll_s)
    total = 0
    while True:
        rows = read(runtime, lambda session: outbox.oldest(session, tasks=_KNOWN, before=before, limit=_BATCH))
        rung = []
        for row, bell in rows:
            if not enqueue(runtime, bell, task=TaskName(row.task), rung_by=RungBy.RELAY):
                break
            rung.append(row)
        if rung:
            _forget(runtime, rung)
        total += len(rung)
        runtime.metrics.mended(Mended.RELAYED, len(rung))
        if len(rows) < _BATCH or len(rung) < len(rows):
            return total


def _forget(runtime: Runtime, rung: list[OutboxRow]) -> None:
    now = runtime.clock()

    def work(session: Session) -> None:
        # In the order of ring, claim and cancel: the runs first.
        runs.mark_sent(session, [row.entity_id for row in rung], now=now)
        outbox.remove(session, [row.id for row in rung])

    transact(runtime, work)


def lost(runtime: Runtime) -> list[Bell]:
    """Queued runs whose message the broker no longer has, however long ago it was rung.

    A long queue is not a loss: only as many are rung again, oldest first, as there are queued runs without a message.
    """
    sent_before = runtime.clock() - timedelta(seconds=runtime.settings.resend_after_s)
    waiting = runtime.queue.depth(ROUTES[TaskName.SIZE_WORKLOAD])
    if waiting is None:
        return []

    def query(session: Session) -> list[Bell]:
        missing = runs.count_queued(session) - waiting
        return list(runs.unclaimed(session, sent_before=sent_before, limit=min(missing, _BATCH))) if missing > 0 else []

    return read(runtime, query)


def ring_again(runtime: Runtime, bells: list[Bell]) -> int:
    """Ring for these until the broker refuses; returns how many were rung."""
    rung = []
    for bell in bells:
        if not enqueue(runtime, bell, rung_by=RungBy.SWEEPER):
            break
        rung.append(bell.run_id)
    now = runtime.clock()
    if rung:
        transact(runtime, lambda session: runs.mark_sent(session, rung, now=now))
    return len(rung)


def expel_expired(runtime: Runtime) -> tuple[int, list[Bell]]:
    """Fail the expired runs that have used up their attempts; returns how many, and the others to ring for."""
    now = runtime.clock()
    sent_before = now - timedelta(seconds=runtime.settings.resend_after_s)
    rows = read(runtime, lambda session: list(runs.expired(session, now=now, sent_before=sent_before, limit=_BATCH)))
    exhausted = [row for row in rows if row.attempts - row.spares >= runtime.settings.max_attempts]
    poisoned = sum(_poison(runtime, row) for row in exhausted)
    return poisoned, [bell_of(row) for row in rows if row not in exhausted]


def _poison(runtime: Runtime, row: RunRow) -> bool:
    now = runtime.clock()
    message = f"Every one of {row.attempts} attempts ended without an answer; the worker died or was stopped."

    def work(session: Session) -> bool:
        token = runs.expel(session, row.id, token=row.lease_token)
        failed = token is not None and runs.fail(
            session, row.id, token=token, code="poison", message=message, traceback=None, now=now
        )
        if failed:
            run_ended(runtime, session, row.tenant_id, row.id, now=now)
        return failed

    ended = transact(runtime, work)
    if ended:
        log.error("run_poisoned", attempts=row.attempts, kind=row.kind, **bell_of(row).ids)
    return ended


def settle_orphans(runtime: Runtime) -> int:
    """End the followers whose leader has ended without them."""
    if not read(runtime, lambda session: runs.orphans(session, limit=1)):
        return 0
    now = runtime.clock()

    def work(session: Session) -> list[tuple[Bell, str, str, str]]:
        pairs = runs.orphans(session, limit=_BATCH)
        for follower, leader in pairs:
            runs.settle(session, follower, leader, now=now)
            run_ended(runtime, session, follower.tenant_id, follower.id, now=now)
        return [(bell_of(follower), follower.kind, leader.id, leader.status) for follower, leader in pairs]

    settled = transact(runtime, work)
    for bell, kind, leader_id, status in settled:
        log.warning("run_settled", kind=kind, follows=leader_id, status=status, **bell.ids)
    return len(settled)


def prune(runtime: Runtime) -> int:
    """Remove what nobody needs any more; returns how many rows."""
    before = runtime.clock() - _HEARTBEATS_KEPT
    silent = transact(runtime, lambda session: processes.forget_silent(session, before=before))
    return silent + forget_keys(runtime) + _forget_unfinished(runtime)


def _forget_unfinished(runtime: Runtime) -> int:
    """Batches whose request died while it was received: some of their items at a time, for they may be long."""
    before, total = runtime.clock() - _RECEIVED_WITHIN, 0
    while total < _KEYS_MOST:
        gone = transact(runtime, lambda session: batches.forget_unfinished(session, before=before, limit=_KEYS_AT_ONCE))
        total += gone
        if not gone:
            break
    return total


def forget_keys(runtime: Runtime, *, at_once: int = _KEYS_AT_ONCE, most: int = _KEYS_MOST) -> int:
    """Remove the idempotency keys that stand for nothing any more, `at_once` per transaction; returns how many."""
    before = expired_before(runtime)
    total = 0
    while total < most:
        gone = transact(runtime, lambda session: idempotency.forget(session, before=before, limit=at_once))
        total += gone
        if gone < at_once:
            break
    return total
