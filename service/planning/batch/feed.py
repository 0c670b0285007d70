"""Bells for batches: a few chunks lie in the broker at a time, of the tenants in turn; the rows are the queue."""

from datetime import timedelta

import structlog
from sqlalchemy.orm import Session

from service.planning.transact import read, transact
from service.queue import QueueName, TaskName
from service.runtime import Runtime
from service.store import open_chunks
from service.store.open_chunks import Waiting
from service.store.scope import for_everybody

log = structlog.get_logger(__name__)

# Enough that no worker waits for the next bell, and so few that a tenant who comes later is served among the next.
_AHEAD = 4


@for_everybody()
def feed(runtime: Runtime) -> int:
    """Ring for as many chunks as the broker may hold more; how many were rung for.

    Workers do so after each chunk, requests after each batch, the dispatcher every second: whoever dies is replaced.
    """
    if not read(runtime, open_chunks.any_open):
        return 0
    depth = runtime.queue.depth(QueueName.BATCH)
    wanted = 0 if depth is None else _AHEAD - depth
    if wanted <= 0:
        return 0
    now = runtime.clock()
    resend_before = now - timedelta(seconds=runtime.settings.resend_after_s)

    def choose(session: Session) -> list[Waiting]:
        due = open_chunks.waiting(session, now=now, resend_before=resend_before, limit=wanted)
        # In one order everywhere: two that wait for each other's rows would both be stuck.
        marked = {
            (one.batch_id, one.number)
            for one in sorted(due, key=lambda one: (one.batch_id, one.number))
            if open_chunks.mark_sent(session, one, now=now)
        }
        return [one for one in due if (one.batch_id, one.number) in marked]

    # Marked first: rung for twice it would be claimed once, and rung for and forgotten it would hold up the others.
    chosen = transact(runtime, choose)
    rung = 0
    for one in chosen:
        if not runtime.queue.enqueue(TaskName.SIZE_CHUNK, one.batch_id, str(one.number)):
            _take_back(runtime, chosen[rung:])
            break
        rung += 1
    return rung


def _take_back(runtime: Runtime, unrung: list[Waiting]) -> None:
    """The broker refuses: as if nobody had rung, so that the dispatcher does as soon as it answers."""

    def work(session: Session) -> None:
        for one in unrung:
            open_chunks.unmark(session, one)

    transact(runtime, work)
