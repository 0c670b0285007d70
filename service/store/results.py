"""Results: the answers, one per tenant and digest, written once."""

import functools
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Dialect, bindparam, select
from sqlalchemy.orm import Session

from service.store.driven import driven
from service.store.insert import insert_if_absent
from service.store.scope import check_tenants, checked_words
from service.store.tables.runs import ResultRow

_TABLE = ResultRow.__table__.c
_FEASIBLE = select(_TABLE.feasible).where(_TABLE.tenant_id == bindparam("t"), _TABLE.digest == bindparam("d"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """An answer as it is kept: `body` as callers read it, and the working of its options by rank, canonical JSON."""

    body: bytes
    working: bytes
    feasible: bool


def put(session: Session, tenant_id: str, digest: str, answer: StoredAnswer, *, now: datetime) -> bool:
    """Store the answer unless it is there; the first one stands, and equal questions have equal answers."""
    return insert_if_absent(
        session,
        ResultRow,
        tenant_id=tenant_id,
        digest=digest,
        body=answer.body.decode(),
        working=answer.working.decode(),
        feasible=answer.feasible,
        created_at=now,
    )


def body(session: Session, tenant_id: str, digest: str) -> bytes | None:
    """The answer as callers read it."""
    query = select(ResultRow.body).where(ResultRow.tenant_id == tenant_id, ResultRow.digest == digest)
    found = session.scalar(query)
    return None if found is None else found.encode()


def working(session: Session, tenant_id: str, digest: str) -> bytes | None:
    """The working of the answer's options, by rank."""
    query = select(ResultRow.working).where(ResultRow.tenant_id == tenant_id, ResultRow.digest == digest)
    found = session.scalar(query)
    return None if found is None else found.encode()


def feasible_of(connection: Connection, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], bool]:
    """Whether the stored answers are feasible, for each (tenant, digest) that has one."""
    check_tenants([tenant_id for tenant_id, _ in pairs])
    statement, values = _in_words_of(connection.dialect)
    found = {pair: driven(connection, statement, values(*pair)) for pair in pairs}
    return {pair: bool(row[0]) for pair, row in found.items() if row is not None}


@functools.cache
def _in_words_of(dialect: Dialect) -> tuple[str, Callable[[str, str], Any]]:
    """The statement as the driver takes it: the way of a question that has been answered before is a short one."""
    statement = checked_words(_FEASIBLE, dialect)
    if dialect.positional:
        return statement, lambda tenant_id, digest: (tenant_id, digest)
    return statement, lambda tenant_id, digest: {"t": tenant_id, "d": digest}


def feasible(session: Session, tenant_id: str, digest: str) -> bool | None:
    """Whether the stored answer is feasible, without reading it; None when there is none."""
    query = select(ResultRow.feasible).where(ResultRow.tenant_id == tenant_id, ResultRow.digest == digest)
    return session.scalar(query)
