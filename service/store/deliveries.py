"""Deliveries to webhooks: which are to be rung for, in turn between tenants; who may send one; how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from service.store.stated import stated
from service.store.tables.tenants import TenantRow
from service.store.tables.webhooks import (
    DeliveryStatus,
    WebhookDeliveryRow,
    WebhookEventRow,
    WebhookRow,
    WebhookState,
)
from service.store.written import rows_written

_PENDING = stated(WebhookDeliveryRow.status, DeliveryStatus.PENDING)
# A webhook that answers slowly holds up its own deliveries, and of the others none.
_PER_WEBHOOK = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ringing:
    """A delivery that is to be rung for, as it was when it was looked at."""

    delivery_id: str
    tenant_id: str
    sent_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A delivery that somebody holds by its token, with what is to be sent where.

    `refused`: nothing is sent there any more; `paused`: nothing is sent for its tenant at the moment; `lapsed`: whoever
    held it before has let its lease run out.
    """

    delivery_id: str
    tenant_id: str
    webhook_id: str
    event_id: str
    event: str
    token: int
    attempts: int
    created_at: datetime
    url: str
    secrets: tuple[str, ...]
    body: bytes
    refused: bool
    paused: bool
    lapsed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFilter:
    """Which deliveries are asked for."""

    status: DeliveryStatus | None = None
    event: str | None = None


def due(session: Session, *, now: datetime, resend_before: datetime, limit: int) -> list[Ringing]:
    """Deliveries to ring for: the oldest of each webhook that takes some now, of the tenants in turn.

    The tenant with the least under way comes first, so one with many slow webhooks holds up no other.
    """
    mine = and_(WebhookDeliveryRow.webhook_id == WebhookRow.id, _PENDING)
    under_way = select(func.count()).select_from(WebhookDeliveryRow).where(mine, _rung(resend_before))
    oldest = (
        select(WebhookDeliveryRow.id)
        .where(mine, WebhookDeliveryRow.due_at <= now, _unheard(now, resend_before))
        .order_by(WebhookDeliveryRow.due_at)
        .limit(1)
    )
    query = (
        select(
            WebhookRow.tenant_id,
            oldest.correlate(WebhookRow).scalar_subquery(),
            under_way.correlate(WebhookRow).scalar_subquery(),
        )
        .join(TenantRow, TenantRow.id == WebhookRow.tenant_id)
        .where(_takes(now))
    )
    loads: dict[str, int] = {}
    queues: dict[str, list[str]] = {}
    for tenant_id, delivery_id, load in session.execute(query):
        loads[tenant_id] = loads.get(tenant_id, 0) + load
        if delivery_id is not None and load < _PER_WEBHOOK:
            queues.setdefault(tenant_id, []).append(delivery_id)
    return _seen(session, _in_turn(queues, loads, limit=limit))


def _takes(now: datetime) -> ColumnElement[bool]:
    """Webhooks that something is sent to at this moment."""
    return and_(
        stated(WebhookRow.state, WebhookState.ACTIVE),
        TenantRow.disabled_at.is_(None),
        or_(WebhookRow.resume_at.is_(None), WebhookRow.resume_at <= now),
    )


def _in_turn(queues: dict[str, list[str]], loads: dict[str, int], *, limit: int) -> list[str]:
    """So many, each time of the tenant with the least under way; of each tenant the oldest first."""
    for queue in queues.values():
        queue.sort()
    chosen: list[str] = []
    while len(chosen) < limit and queues:
        tenant_id = min(queues, key=lambda each: (loads[each], queues[each][0]))
        chosen.append(queues[tenant_id].pop(0))
        loads[tenant_id] += 1
        if not queues[tenant_id]:
            del queues[tenant_id]
    return chosen


def _seen(session: Session, ids: Sequence[str]) -> list[Ringing]:
    columns = (WebhookDeliveryRow.id, WebhookDeliveryRow.tenant_id, WebhookDeliveryRow.sent_at)
    rows = session.execute(select(*columns).where(WebhookDeliveryRow.id.in_(ids))).all() if ids else []
    found = {row.id: Ringing(delivery_id=row.id, tenant_id=row.tenant_id, sent_at=row.sent_at) for row in rows}
    return [found[each] for each in ids if each in found]


def _rung(resend_before: datetime) -> Any:
    return and_(WebhookDeliveryRow.sent_at.is_not(None), WebhookDeliveryRow.sent_at >= resend_before)


def _unheard(now: datetime, resend_before: datetime) -> Any:
    """Never rung for since its last attempt, or so long ago that bell or worker must be lost."""
    free = or_(WebhookDeliveryRow.lease_until.is_(None), WebhookDeliveryRow.lease_until < now)
    return and_(free, or_(WebhookDeliveryRow.sent_at.is_(None), WebhookDeliveryRow.sent_at < resend_before))


def due_since(session: Session, *, now: datetime) -> datetime | None:
    """Since when the delivery is due that has been so for longest, of webhooks that take some now; None without one."""
    oldest = (
        select(func.min(WebhookDeliveryRow.due_at))
        .where(WebhookDeliveryRow.webhook_id == WebhookRow.id, _PENDING, WebhookDeliveryRow.due_at <= now)
        .correlate(WebhookRow)
        .scalar_subquery()
    )
    webhooks = select(oldest.label("due_at")).select_from(WebhookRow)
    of_each = webhooks.join(TenantRow, TenantRow.id == WebhookRow.tenant_id).where(_takes(now))
    return cast("datetime | None", session.scalar(select(func.min(of_each.subquery().c.due_at))))


def mark_sent(session: Session, one: Ringing, *, now: datetime) -> bool:
    """The bell is about to be rung; False when somebody else has rung it since it was looked at."""
    seen = WebhookDeliveryRow.sent_at
    same = seen.is_(None) if one.sent_at is None else seen == one.sent_at
    mine = and_(WebhookDeliveryRow.id == one.delivery_id, _PENDING, same)
    return rows_written(session, update(WebhookDeliveryRow).where(mine).values(sent_at=now)) == 1


def unmark(session: Session, one: Ringing) -> None:
    """The bell could not be rung after all."""
    mine = and_(WebhookDeliveryRow.id == one.delivery_id, _PENDING)
    rows_written(session, update(WebhookDeliveryRow).where(mine).values(sent_at=one.sent_at))


def claim(session: Session, delivery_id: str, *, now: datetime, lease_s: float) -> Claimed | None:
    """Take a delivery that was rung for; None when there is nothing to take: it was sent, is being sent, or waits."""
    lapsed = False
    row = _taken(session, delivery_id, WebhookDeliveryRow.lease_until.is_(None), now=now, lease_s=lease_s)
    if row is None:
        lapsed = True
        row = _taken(session, delivery_id, WebhookDeliveryRow.lease_until < now, now=now, lease_s=lease_s)
    if row is None:
        return None
    webhook, event, disabled_at = session.execute(
        select(WebhookRow, WebhookEventRow, TenantRow.disabled_at)
        .join(TenantRow, TenantRow.id == WebhookRow.tenant_id)
        .join(WebhookEventRow, WebhookEventRow.id == row.event_id)
        .where(WebhookRow.id == row.webhook_id, WebhookRow.tenant_id == row.tenant_id)
        # What one tenant says never leaves to another one's address, whatever a row may claim.
        .where(WebhookEventRow.tenant_id == row.tenant_id)
    ).one()
    old = webhook.old_secret_until is not None and now < webhook.old_secret_until
    return Claimed(
        delivery_id=row.id,
        tenant_id=row.tenant_id,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        event=row.event,
        token=row.lease_token,
        attempts=row.attempts,
        created_at=row.created_at,
        url=webhook.url,
        secrets=(webhook.secret, *((webhook.old_secret,) if old and webhook.old_secret else ())),
        body=event.body.encode(),
        refused=webhook.state != WebhookState.ACTIVE,
        paused=disabled_at is not None,
        lapsed=lapsed,
    )


def _taken(
    session: Session, delivery_id: str, free: ColumnElement[bool], *, now: datetime, lease_s: float
) -> WebhookDeliveryRow | None:
    query = (
        update(WebhookDeliveryRow)
        .where(WebhookDeliveryRow.id == delivery_id, _PENDING, WebhookDeliveryRow.sent_at.is_not(None), free)
        .values(
            attempts=WebhookDeliveryRow.attempts + 1,
            lease_token=WebhookDeliveryRow.lease_token + 1,
            lease_until=now + timedelta(seconds=lease_s),
            attempted_at=now,
        )
        .returning(WebhookDeliveryRow)
    )
    return session.scalars(query, execution_options={"populate_existing": True}).one_or_none()


def settle(session: Session, claimed: Claimed, **values: Any) -> bool:
    """Write what came of an attempt; False when somebody else holds the delivery by now."""
    holds = and_(
        WebhookDeliveryRow.id == claimed.delivery_id, _PENDING, WebhookDeliveryRow.lease_token == claimed.token
    )
    values = {"lease_until": None, "sent_at": None, **values}
    return rows_written(session, update(WebhookDeliveryRow).where(holds).values(**values)) == 1


def give_up_all(session: Session, webhook_id: str, *, error: str, now: datetime) -> int:
    """End what is pending for a webhook that nothing is sent to any more; how many."""
    return _give_up(session, WebhookDeliveryRow.webhook_id == webhook_id, error=error, now=now)


def _give_up(session: Session, which: Any, *, error: str, now: datetime) -> int:
    values: dict[str, Any] = {
        "status": DeliveryStatus.GAVE_UP.value,
        "ended_at": now,
        "error": func.coalesce(WebhookDeliveryRow.error, error),
        "lease_until": None,
        "sent_at": None,
    }
    return rows_written(session, update(WebhookDeliveryRow).where(which, _PENDING).values(**values))


def unwanted(session: Session, *, limit: int) -> Sequence[str]:
    """Pending deliveries to webhooks that take nothing any more: written while somebody still took one for active."""
    query = select(WebhookDeliveryRow.id).join(WebhookRow, WebhookRow.id == WebhookDeliveryRow.webhook_id)
    return session.scalars(query.where(_PENDING, WebhookRow.state != WebhookState.ACTIVE.value).limit(limit)).all()


def give_up(session: Session, delivery_ids: Sequence[str], *, error: str, now: datetime) -> int:
    """End these where they are pending; how many."""
    return _give_up(session, WebhookDeliveryRow.id.in_(delivery_ids), error=error, now=now)


def add(session: Session, row: WebhookDeliveryRow) -> None:
    """Insert one delivery."""
    session.add(row)
    session.flush()


def get(session: Session, tenant_id: str, webhook_id: str, delivery_id: str) -> WebhookDeliveryRow | None:
    """The delivery of that id to the tenant's webhook."""
    mine = (WebhookDeliveryRow.tenant_id == tenant_id, WebhookDeliveryRow.webhook_id == webhook_id)
    return session.scalar(select(WebhookDeliveryRow).where(*mine, WebhookDeliveryRow.id == delivery_id))


def newest(
    session: Session, tenant_id: str, webhook_id: str, *, only: DeliveryFilter, before_id: str | None, limit: int
) -> Sequence[WebhookDeliveryRow]:
    """The deliveries to the tenant's webhook, newest first, older than `before_id`."""
    query = select(WebhookDeliveryRow).where(
        WebhookDeliveryRow.tenant_id == tenant_id, WebhookDeliveryRow.webhook_id == webhook_id
    )
    if only.status is not None:
        query = query.where(WebhookDeliveryRow.status == only.status.value)
    if only.event is not None:
        query = query.where(WebhookDeliveryRow.event == only.event)
    if before_id is not None:
        query = query.where(WebhookDeliveryRow.id < before_id)
    return session.scalars(query.order_by(WebhookDeliveryRow.id.desc()).limit(limit)).all()
