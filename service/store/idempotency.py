"""Idempotency keys: functions (session, ...) -> row, every one of one tenant; what is old is removed for all."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from sqlalchemy import CursorResult, Table, bindparam, delete, select, tuple_, update
from sqlalchemy.orm import Session

from service.store.insert import insert_into
from service.store.tables.idempotency import IdempotencyRow

_TABLE = cast("Table", IdempotencyRow.__table__)
_KEY = (IdempotencyRow.tenant_id, IdempotencyRow.key)


@lru_cache
def _claim(dialect: str) -> Any:
    """Insert, in place of a row of the same key that is too old; made once, because many requests need it."""
    insert = insert_into(_TABLE, dialect)
    return insert.on_conflict_do_update(
        index_elements=list(_TABLE.primary_key),
        set_={column.name: insert.excluded[column.name] for column in _TABLE.columns if not column.primary_key},
        where=_TABLE.c.created_at < bindparam("expired_before", type_=_TABLE.c.created_at.type),
    ).returning(_TABLE.c.key)


def claim(
    session: Session,
    tenant_id: str,
    key: str,
    *,
    fingerprint: str,
    resource_id: str,
    held_until: datetime,
    status: int | None,
    headers: Mapping[str, str] | None,
    body: str | None,
    now: datetime,
    expired_before: datetime,
) -> bool:
    """Let the key stand for this request, unless it stands for one already; then False, and nothing is written.

    On PostgreSQL a second claim waits here until the transaction of the first one has ended.
    """
    values = {
        "tenant_id": tenant_id,
        "key": key,
        "fingerprint": fingerprint,
        "resource_id": resource_id,
        "held_until": held_until,
        "status": status,
        "headers": None if headers is None else dict(headers),
        "body": body,
        "created_at": now,
        "expired_before": expired_before,
    }
    return session.connection().execute(_claim(session.get_bind().dialect.name), values).first() is not None


def get(session: Session, tenant_id: str, key: str, *, expired_before: datetime) -> IdempotencyRow | None:
    """What the tenant's key stands for; None when it stands for nothing, or does no more."""
    query = select(IdempotencyRow).where(
        IdempotencyRow.tenant_id == tenant_id, IdempotencyRow.key == key, IdempotencyRow.created_at >= expired_before
    )
    return session.scalar(query)


def record(
    session: Session,
    tenant_id: str,
    key: str,
    *,
    resource_id: str,
    status: int,
    headers: Mapping[str, str],
    body: str | None,
) -> bool:
    """Keep the first answer; False when one is kept already, or the key stands for something else by now."""
    query = (
        update(IdempotencyRow)
        .where(
            IdempotencyRow.tenant_id == tenant_id,
            IdempotencyRow.key == key,
            IdempotencyRow.resource_id == resource_id,
            IdempotencyRow.status.is_(None),
        )
        .values(status=status, headers=dict(headers), body=body)
        .execution_options(synchronize_session=False)
    )
    return _count(session, query) == 1


def forget(session: Session, *, before: datetime, limit: int) -> int:
    """Remove at most `limit` keys that are older, the oldest first; returns how many."""
    old = select(*_KEY).where(IdempotencyRow.created_at < before).order_by(IdempotencyRow.created_at).limit(limit)
    # Its age is looked at again once it is locked: a key may have been taken anew since it was listed.
    gone = (tuple_(*_KEY).in_(old), IdempotencyRow.created_at < before)
    query = delete(IdempotencyRow).where(*gone).execution_options(synchronize_session=False)
    return _count(session, query)


def _count(session: Session, query: Any) -> int:
    return cast("CursorResult[Any]", session.execute(query)).rowcount
