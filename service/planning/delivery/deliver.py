"""A delivery is sent: claim (short transaction), send (none), write down what came of it (short transaction).

A worker that dies between the two leaves a delivery whose lease runs out: it is sent again, with the same id and body.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

import structlog
from sqlalchemy.orm import Session

from service.metrics import Mended
from service.outbound import TOTAL_S, Heard, RefusedError, UnsentError
from service.planning.delivery.backoff import next_due, resume_at
from service.planning.delivery.disable import disable
from service.planning.delivery.feed import feed_deliveries
from service.planning.delivery.signing import SIGNATURE, signature
from service.planning.transact import transact
from service.runtime import Runtime
from service.settings import Settings
from service.store import deliveries, webhooks
from service.store.deliveries import Claimed
from service.store.tables.webhooks import DeliveryStatus

log = structlog.get_logger(__name__)

_EXCERPT_CHARACTERS = 500
# To write down what came of an attempt.
_WRITING_S = 2.0
_UNPRINTABLE = re.compile(r"[^\x20-\x7e\u00a1-\u1fff\u2010-\u2027\u2030-\ud7ff]+")
GONE = "It answered 410: nobody wants to hear of anything there any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What came of an attempt. `error` is None where the event was taken; else a code, or `http_<status>`."""

    error: str | None
    status_code: int | None = None
    excerpt: str | None = None

    @property
    def columns(self) -> Mapping[str, Any]:
        """As columns of the delivery."""
        return {"error": self.error, "status_code": self.status_code, "excerpt": self.excerpt}


def lease_of(settings: Settings) -> float:
    """For how long a delivery is held [s]: whatever the lease of runs, it lasts until its receiver has had its time."""
    return max(settings.lease_s, TOTAL_S + _WRITING_S)


def deliver(runtime: Runtime, delivery_id: str) -> bool:
    """Send one delivery once; False when there was nothing to do, or somebody else did it."""
    now, lease_s = runtime.clock(), lease_of(runtime.settings)
    claimed = transact(runtime, lambda session: deliveries.claim(session, delivery_id, now=now, lease_s=lease_s))
    if claimed is None:
        log.info("delivery_not_claimed", resource_id=delivery_id)
        return False
    runtime.metrics.mended(Mended.DELIVERY_LEASE_EXPIRED, int(claimed.lapsed))
    if claimed.paused:
        transact(runtime, lambda session: deliveries.settle(session, claimed, due_at=now))
        return False
    ids = {"resource_id": claimed.webhook_id, "tenant_id": claimed.tenant_id, "attempt": claimed.attempts}
    with structlog.contextvars.bound_contextvars(**ids):
        attempt = _Attempt(error="webhook_disabled") if claimed.refused else _send(runtime, claimed, at=now)
        stored = transact(runtime, lambda session: _store(runtime, session, claimed, attempt))
        runtime.metrics.delivery_attempted(attempt.error or "delivered")
        if not stored:
            log.warning("delivery_taken_over", token=claimed.token)
        else:
            log.info("delivery_attempted", kind=claimed.event, code=attempt.error or "delivered")
    feed_deliveries(runtime)
    return stored


def _send(runtime: Runtime, claimed: Claimed, *, at: datetime) -> _Attempt:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Headroom-Webhooks/1",
        "Headroom-Event": claimed.event,
        "Headroom-Event-Id": claimed.event_id,
        "Headroom-Delivery-Id": claimed.delivery_id,
        SIGNATURE: signature(claimed.body, claimed.secrets, at_s=int(at.timestamp())),
    }
    try:
        return _heard(runtime.outbound.post(claimed.url, claimed.body, headers))
    except RefusedError as error:
        return _Attempt(error="refused_address", excerpt=str(error))
    except UnsentError as error:
        return _Attempt(error=error.code, excerpt=str(error))


def _heard(heard: Heard) -> _Attempt:
    taken = HTTPStatus.OK <= heard.status < HTTPStatus.MULTIPLE_CHOICES
    said = _UNPRINTABLE.sub(" ", heard.body[: 4 * _EXCERPT_CHARACTERS].decode("utf-8", "replace")).strip()
    return _Attempt(
        error=None if taken else f"http_{heard.status}",
        status_code=heard.status,
        excerpt=said[:_EXCERPT_CHARACTERS] or None,
    )


def _store(runtime: Runtime, session: Session, claimed: Claimed, attempt: _Attempt) -> bool:
    """The end of the delivery, or when it is tried again; and what that says of its webhook, whose row comes first."""
    now = runtime.clock()
    if attempt.error is None:
        webhooks.answered(session, claimed.webhook_id)
        return deliveries.settle(
            session, claimed, status=DeliveryStatus.DELIVERED.value, ended_at=now, **attempt.columns
        )
    held = webhooks.hold(session, claimed.tenant_id, claimed.webhook_id)
    due_at = next_due(runtime.settings, attempts=claimed.attempts, created_at=claimed.created_at, now=now)
    gone = attempt.status_code == HTTPStatus.GONE
    if claimed.refused or gone or due_at is None:
        ended = {"status": DeliveryStatus.GAVE_UP.value, "ended_at": now}
        stored = deliveries.settle(session, claimed, **ended, **attempt.columns)
    else:
        stored = deliveries.settle(session, claimed, due_at=due_at, **attempt.columns)
    if not stored or held is None or claimed.refused:
        return stored
    held.failures += 1
    # Since when it has had something that it did not take.
    held.failing_since = held.failing_since or (claimed.created_at if claimed.attempts == 1 else now)
    held.resume_at = resume_at(runtime.settings, failures=held.failures, now=now)
    failing_s = (now - held.failing_since).total_seconds()
    if gone or failing_s >= runtime.settings.webhook_retry_window_s:
        reason = GONE if gone else f"Nothing got through since {held.failing_since:%Y-%m-%d %H:%M} UTC."
        disable(runtime, session, held, reason=reason, now=now)
    return stored
