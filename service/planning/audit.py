"""The audit: each accepted change is written down with its author, in its own transaction; what is refused never is."""

import functools
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from sqlalchemy import Dialect
from sqlalchemy.orm import Session

from service.access import Caller
from service.planning.transact import read
from service.quoting.steps import QuoteStep
from service.runtime import Runtime
from service.store import audit
from service.store.filters import AuditFilter
from service.store.ids import new_id
from service.store.insert_many import ManyRows

OPERATOR = "operator on the host"
SERVICE = "the service itself"


class ResourceKind(StrEnum):
    """To what a change is done."""

    WORKLOAD = "workload"
    RUN = "run"
    BATCH = "batch"
    KEY = "key"
    TENANT = "tenant"
    PRICE_BOOK = "price_book"
    QUOTE = "quote"
    WEBHOOK = "webhook"
    SCHEDULE = "schedule"
    OCCURRENCE = "occurrence"


class Action(StrEnum):
    """What was done, the steps of quotes apart; the word before the dot is the kind of the resource."""

    WORKLOAD_CREATED = "workload.created"
    WORKLOAD_CHANGED = "workload.changed"
    WORKLOAD_ARCHIVED = "workload.archived"
    RUN_CREATED = "run.created"
    RUN_CANCELLED = "run.cancelled"
    BATCH_CREATED = "batch.created"
    BATCH_CANCELLED = "batch.cancelled"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    KEY_ROTATED = "key.rotated"
    TENANT_CREATED = "tenant.created"
    TENANT_DISABLED = "tenant.disabled"
    TENANT_ENABLED = "tenant.enabled"
    TENANT_QUOTA_CHANGED = "tenant.quota_changed"
    PRICE_BOOK_CREATED = "price_book.created"
    PRICE_BOOK_ACTIVATED = "price_book.activated"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_DELETED = "webhook.deleted"
    SCHEDULE_CREATED = "schedule.created"
    SCHEDULE_CHANGED = "schedule.changed"
    SCHEDULE_PAUSED = "schedule.paused"
    SCHEDULE_RESUMED = "schedule.resumed"
    SCHEDULE_REMOVED = "schedule.removed"
    OCCURRENCE_CREATED = "occurrence.created"
    OCCURRENCE_DONE = "occurrence.done"


ACTIONS: tuple[Action | QuoteStep, ...] = (*Action, *QuoteStep)
"""Everything that is noted."""


@functools.cache
def resource_kind_of(action: Action | QuoteStep) -> ResourceKind:
    """Of what kind the resource of an action is."""
    return ResourceKind(action.value.partition(".")[0])


class Author(NamedTuple):
    """Who makes a change, with which key, in which request; without a key it is somebody on the host itself."""

    principal: str
    key_id: str | None
    request_id: str


def author_of(caller: Caller, request_id: str) -> Author:
    """The author of what a request changes."""
    return Author(principal=caller.principal, key_id=caller.key_id, request_id=request_id)


def author_on_host(principal: str = OPERATOR) -> Author:
    """The author of what a script on the host changes: each call is a request of its own."""
    return Author(principal=principal, key_id=None, request_id=uuid.uuid4().hex)


class Change(NamedTuple):
    """An accepted change of one resource of a tenant; without an old state it was made."""

    at: datetime
    action: Action | QuoteStep
    tenant_id: str
    resource_id: str
    old_state: str | None
    new_state: str
    # Of the event that tells of it, where somebody has made one already.
    event_id: str | None = None


def record(session: Session, *changes: tuple[Author, Change]) -> None:
    """Write changes down beside them, in one statement: both are committed, or neither."""
    connection = session.connection()
    events_of(connection.dialect, changes).insert(connection)


def events_of(dialect: Dialect, changes: Iterable[tuple[Author, Change]]) -> ManyRows:
    """The events of changes, to be written beside them."""
    return audit.many(dialect, [_columns(author, change) for author, change in changes])


def _columns(author: Author, change: Change) -> dict[str, object]:
    return {
        "id": change.event_id or new_id("aud", change.at),
        "tenant_id": change.tenant_id,
        "principal": author.principal,
        "key_id": author.key_id,
        "action": change.action.value,
        "resource_kind": resource_kind_of(change.action).value,
        "resource_id": change.resource_id,
        "old_state": change.old_state,
        "new_state": change.new_state,
        "request_id": author.request_id,
        "created_at": change.at,
    }


def state_of_version(version: int, *, run_id: str | None = None, status: str | None = None) -> str:
    """The state of a workload: its version, and the run that came with it."""
    return f"version {version}" if run_id is None else f"version {version}, {run_id} {status}"


def workload_created(
    tenant_id: str, workload_id: str, *, run_id: str, status: str, at: datetime, event_id: str | None = None
) -> Change:
    """A new workload with its run: one change, for nobody asked for one without the other."""
    return Change(
        at=at,
        action=Action.WORKLOAD_CREATED,
        tenant_id=tenant_id,
        resource_id=workload_id,
        old_state=None,
        new_state=state_of_version(1, run_id=run_id, status=status),
        event_id=event_id,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEventView:
    """An audit event as its tenant's administrators see it."""

    id: str
    action: str
    resource_kind: str
    resource_id: str
    old_state: str | None
    new_state: str | None
    principal: str
    key_id: str | None
    request_id: str
    created_at: datetime


def list_events(
    runtime: Runtime, caller: Caller, *, only: AuditFilter, before_id: str | None = None, limit: int = 50
) -> tuple[AuditEventView, ...]:
    """The tenant's events, newest first; `before_id` is the last id of the page before."""
    rows = read(
        runtime,
        lambda session: audit.newest(session, caller.tenant_id, only=only, before_id=before_id, limit=limit),
    )
    return tuple(AuditEventView(**{name: getattr(row, name) for name in AuditEventView.__slots__}) for row in rows)
