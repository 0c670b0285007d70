"""Events are announced to those who listen, in the transaction of what happened: both are committed, or neither."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.orm import Session

from service.quoting.steps import QuoteStep
from service.runtime import Runtime
from service.schemas.digest import canonical_json
from service.schemas.event import EventName
from service.store import webhooks
from service.store.ids import new_id, new_ids
from service.store.listeners import Listener
from service.store.tables.webhooks import DeliveryStatus

# Whoever announces needs both.
__all__ = ["Announcement", "EventName", "announce", "announce_many", "listened_to", "written"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Something that has happened. `href` is where callers read the subject, `data` what is told of it as JSON.

    Of what customers ask and pay nothing belongs into `data`: it leaves the installation.
    """

    tenant_id: str
    name: EventName | QuoteStep
    subject_id: str
    href: str
    data: Mapping[str, Any]
    at: datetime


def listened_to(runtime: Runtime, session: Session, tenant_id: str, names: Iterable[EventName | QuoteStep]) -> bool:
    """Whether somebody listens to any of these; asks the database only where that was not known a moment ago."""
    wanted = {name.value for name in names}
    return any(wanted & one.events for one in runtime.listeners.of(session.connection(), tenant_id))


def announce(runtime: Runtime, session: Session, *announcements: Announcement) -> int:
    """Write down what happened for all who listen; returns how many deliveries that makes.

    For a tenant that nobody listens to it costs no statement, but for one look per `webhook_memory_s`.
    """
    return announce_many(runtime, session.connection(), announcements)


def announce_many(runtime: Runtime, connection: Connection, announcements: Iterable[Announcement]) -> int:
    """The same without a session."""
    events, deliveries = [], []
    for one in announcements:
        heard_by = [each for each in runtime.listeners.of(connection, one.tenant_id) if one.name.value in each.events]
        if heard_by:
            event, to_each = written(one, heard_by)
            events.append(event)
            deliveries += to_each
    if events:
        webhooks.add_events(connection, events, deliveries)
    return len(deliveries)


def written(one: Announcement, heard_by: Iterable[Listener]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The event and its deliveries as columns. Its id is in the body: whoever hears of it twice can tell."""
    event_id = new_id("evt", one.at)
    event = {
        "id": event_id,
        "tenant_id": one.tenant_id,
        "name": one.name.value,
        "subject_id": one.subject_id,
        "body": _body(one, event_id),
        "created_at": one.at,
    }
    listeners = tuple(heard_by)
    ids = new_ids(one.at, *["whd"] * len(listeners))
    deliveries = [
        {
            "id": delivery_id,
            "tenant_id": one.tenant_id,
            "webhook_id": each.webhook_id,
            "event_id": event_id,
            "event": one.name.value,
            "status": DeliveryStatus.PENDING.value,
            "due_at": one.at,
            "created_at": one.at,
        }
        for delivery_id, each in zip(ids, listeners, strict=True)
    ]
    return event, deliveries


def _body(one: Announcement, event_id: str) -> str:
    subject = {"kind": one.name.value.partition(".")[0], "id": one.subject_id, "href": one.href}
    told = {"id": event_id, "event": one.name.value, "created_at": _moment(one.at), "subject": subject}
    return canonical_json({**told, "data": dict(one.data)}).decode()


def _moment(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
