"""Webhooks: functions (session, ...) -> row, every one of one tenant; and the events that their tenants hear of."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, Select, and_, func, select, update
from sqlalchemy.orm import Session

from service.store.insert_many import insert_many
from service.store.tables.webhooks import WebhookDeliveryRow, WebhookEventRow, WebhookRow, WebhookState

_SEEN = WebhookRow.state != WebhookState.DELETED.value


def add(session: Session, row: WebhookRow) -> None:
    """Insert a webhook."""
    session.add(row)
    session.flush()


def get(session: Session, tenant_id: str, webhook_id: str) -> WebhookRow | None:
    """The tenant's webhook of that id; None for another tenant's, and for a deleted one."""
    return session.scalar(_of(tenant_id, webhook_id), execution_options={"populate_existing": True})


def hold(session: Session, tenant_id: str, webhook_id: str) -> WebhookRow | None:
    """The same, locked until this transaction ends. Whoever changes both takes a webhook before its deliveries."""
    query = _of(tenant_id, webhook_id).with_for_update()
    return session.scalar(query, execution_options={"populate_existing": True})


def _of(tenant_id: str, webhook_id: str) -> Select[WebhookRow]:
    return select(WebhookRow).where(WebhookRow.tenant_id == tenant_id, WebhookRow.id == webhook_id, _SEEN)


def newest(
    session: Session, tenant_id: str, *, state: WebhookState | None, before_id: str | None, limit: int
) -> Sequence[WebhookRow]:
    """The tenant's webhooks, newest first, older than `before_id`."""
    query = select(WebhookRow).where(WebhookRow.tenant_id == tenant_id, _SEEN)
    if state is not None:
        query = query.where(WebhookRow.state == state.value)
    if before_id is not None:
        query = query.where(WebhookRow.id < before_id)
    return session.scalars(query.order_by(WebhookRow.id.desc()).limit(limit)).all()


def count(session: Session, tenant_id: str) -> int:
    """How many webhooks the tenant has."""
    return session.scalar(select(func.count()).where(WebhookRow.tenant_id == tenant_id, _SEEN)) or 0


def change(session: Session, held: WebhookRow, *, now: datetime, **values: Any) -> None:
    """Write over a held webhook, as its next version."""
    for name, value in values.items():
        setattr(held, name, value)
    held.version += 1
    held.changed_at = now
    session.flush()


def answered(session: Session, webhook_id: str) -> None:
    """A delivery got through: what failed before is forgotten. A webhook that fails nothing is not written to."""
    failing = and_(WebhookRow.id == webhook_id, WebhookRow.failures > 0)
    values: dict[str, Any] = {"failures": 0, "failing_since": None, "resume_at": None}
    statement = update(WebhookRow).where(failing).values(**values)
    cast("CursorResult[Any]", session.execute(statement.execution_options(synchronize_session=False)))


def add_events(
    connection: Connection, events: Sequence[Mapping[str, Any]], deliveries: Sequence[Mapping[str, Any]]
) -> None:
    """Insert events and what is to be delivered of them, given as their columns."""
    insert_many(connection, WebhookEventRow, events)
    if deliveries:
        insert_many(connection, WebhookDeliveryRow, deliveries)


def event(session: Session, tenant_id: str, event_id: str) -> WebhookEventRow | None:
    """The tenant's event of that id."""
    return session.scalar(
        select(WebhookEventRow).where(WebhookEventRow.tenant_id == tenant_id, WebhookEventRow.id == event_id)
    )
