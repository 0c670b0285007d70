"""Bells for deliveries: a few lie in the broker at a time, of the tenants in turn; the rows are the queue."""

from datetime import timedelta

from sqlalchemy.orm import Session

from service.planning.transact import read, transact
from service.queue import QueueName, TaskName
from service.runtime import Runtime
from service.store import deliveries
from service.store.deliveries import Ringing

# Enough that no thread waits for the next bell, and so few that a tenant who comes later is served among the next.
_AHEAD = 8
_ENDED_AT_ONCE = 500


def feed_deliveries(runtime: Runtime) -> int:
    """Ring for as many deliveries that are due as the broker may hold more; how many were rung for.

    The dispatcher does so every second, whoever has sent one after it: two at a time do no harm.
    """
    now = runtime.clock()
    resend_before = now - timedelta(seconds=max(runtime.settings.resend_after_s, runtime.settings.lease_s))

    def look(session: Session) -> list[Ringing]:
        return deliveries.due(session, now=now, resend_before=resend_before, limit=_AHEAD)

    found = read(runtime, look)
    if not found:
        return 0
    depth = runtime.queue.depth(QueueName.WEBHOOKS)
    wanted = 0 if depth is None else _AHEAD - depth
    if wanted <= 0:
        return 0

    def choose(session: Session) -> list[Ringing]:
        # In one order everywhere: two that wait for each other's rows would both be stuck.
        marked = {
            one.delivery_id
            for one in sorted(found[:wanted], key=lambda one: one.delivery_id)
            if deliveries.mark_sent(session, one, now=now)
        }
        return [one for one in found if one.delivery_id in marked]

    chosen = transact(runtime, choose)
    for place, one in enumerate(chosen):
        if not runtime.queue.enqueue(TaskName.DELIVER_WEBHOOK, one.delivery_id):
            _take_back(runtime, chosen[place:])
            return place
    return len(chosen)


def end_unwanted(runtime: Runtime) -> int:
    """Give up what was written for webhooks that were disabled or deleted just then; how many deliveries.

    A process remembers for a moment who listens, so this happens; nobody would ring for these.
    """
    found = read(runtime, lambda session: deliveries.unwanted(session, limit=_ENDED_AT_ONCE))
    if not found:
        return 0
    now = runtime.clock()
    # In one order everywhere, as they are rung for.
    return transact(
        runtime, lambda session: deliveries.give_up(session, sorted(found), error="webhook_disabled", now=now)
    )


def _take_back(runtime: Runtime, unrung: list[Ringing]) -> None:
    """The broker refuses: as if nobody had rung, so that the dispatcher does as soon as it answers."""

    def work(session: Session) -> None:
        for one in unrung:
            deliveries.unmark(session, one)

    transact(runtime, work)
