"""Issued quotes whose validity has ended become expired by themselves; nobody could accept them since it ended."""

import uuid

import structlog
from sqlalchemy.orm import Session

from service.planning.quote_step import expire
from service.planning.races import until_settled
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.store import quotes

log = structlog.get_logger(__name__)

_AT_ONCE = 200


def expire_overdue(runtime: Runtime) -> int:
    """End those that are overdue, some hundred at a time; returns how many. Two at once do no harm."""
    now = runtime.clock()
    found = read(runtime, lambda session: quotes.overdue(session, now=now, limit=_AT_ONCE))
    return sum(_expire_one(runtime, tenant_id, quote_id) for tenant_id, quote_id in found)


def _expire_one(runtime: Runtime, tenant_id: str, quote_id: str) -> bool:
    def work(session: Session) -> bool:
        rows = quotes.hold_number(session, tenant_id, quote_id)
        row = next((each for each in rows if each.id == quote_id), None)
        return row is not None and expire(runtime, session, row, now=runtime.clock(), request_id=uuid.uuid4().hex)

    ended = until_settled(lambda: transact(runtime, work))
    if ended:
        log.info("quote_expired", quote_id=quote_id, tenant_id=tenant_id)
    return ended
