"""A webhook that takes nothing is disabled, and that is told: in its state, in the audit, to the tenant's others."""

import uuid
from datetime import datetime

import structlog
from sqlalchemy.orm import Session

from service.planning.audit import SERVICE, Action, Author, Change, record
from service.planning.webhooks import Announcement, EventName, announce
from service.runtime import Runtime
from service.store import deliveries, webhooks
from service.store.tables.webhooks import WebhookRow, WebhookState

log = structlog.get_logger(__name__)


def disable(runtime: Runtime, session: Session, held: WebhookRow, *, reason: str, now: datetime) -> None:
    """Nothing is sent to a held, active webhook any more; what was on its way is given up, and can be replayed."""
    if held.state != WebhookState.ACTIVE:
        return
    state = WebhookState.DISABLED
    webhooks.change(session, held, now=now, state=state.value, disabled_at=now, disabled_reason=reason)
    deliveries.give_up_all(session, held.id, error="webhook_disabled", now=now)
    author = Author(principal=SERVICE, key_id=None, request_id=uuid.uuid4().hex)
    change = Change(
        at=now,
        action=Action.WEBHOOK_DISABLED,
        tenant_id=held.tenant_id,
        resource_id=held.id,
        old_state=WebhookState.ACTIVE.value,
        new_state=f"{state.value}: {reason}",
    )
    record(session, (author, change))
    runtime.listeners.forget(held.tenant_id)
    told = Announcement(
        tenant_id=held.tenant_id,
        name=EventName.WEBHOOK_DISABLED,
        subject_id=held.id,
        href=f"/v1/webhooks/{held.id}",
        data={"state": state.value, "reason": reason},
        at=now,
    )
    announce(runtime, session, told)
    log.error("webhook_disabled", resource_id=held.id, tenant_id=held.tenant_id)
