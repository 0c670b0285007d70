"""Listeners: which webhooks of a tenant want to hear of which events, remembered for a moment by each process."""

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, select

from service.shelf import Shelf
from service.store.stated import stated
from service.store.tables.webhooks import WebhookRow, WebhookState

_KEPT_BYTES = 1_000_000
_ENTRY_BYTES = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An active webhook and the events that it is subscribed to."""

    webhook_id: str
    events: frozenset[str]


class Listeners:
    """Of a tenant at most one look per `memory_s`, in whatever transaction it is asked for; else nothing is asked.

    Whoever subscribes is heard of after that time at the latest, in every process; in its own at once.
    """

    def __init__(self, *, memory_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._memory_s = memory_s
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._forgotten_at_s: dict[str, float] = {}
        self._known: Shelf[str, tuple[float, tuple[Listener, ...]]] = Shelf(most_bytes=_KEPT_BYTES)

    def of(self, connection: Connection, tenant_id: str) -> tuple[Listener, ...]:
        """The tenant's listeners, as they were less than `memory_s` ago."""
        began_s = self._monotonic()
        known = self._known.get(tenant_id)
        if known is not None and began_s - known[0] < self._memory_s:
            return known[1]
        found = tuple(_listeners(connection, tenant_id))
        with self._lock:
            # What was read before somebody said that it has changed is not kept.
            if self._forgotten_at_s.get(tenant_id, -1.0) < began_s:
                size_bytes = _ENTRY_BYTES * (1 + len(found))
                self._known.put(tenant_id, (began_s, found), size_bytes=size_bytes)
        return found

    def forget(self, tenant_id: str) -> None:
        """The tenant's webhooks have changed."""
        with self._lock:
            self._forgotten_at_s[tenant_id] = now_s = self._monotonic()
            self._known.put(tenant_id, (now_s - self._memory_s, ()), size_bytes=_ENTRY_BYTES)


def _listeners(connection: Connection, tenant_id: str) -> Iterable[Listener]:
    active = (WebhookRow.tenant_id == tenant_id, stated(WebhookRow.state, WebhookState.ACTIVE))
    for webhook_id, events in connection.execute(select(WebhookRow.id, WebhookRow.events).where(*active)):
        yield Listener(webhook_id=webhook_id, events=frozenset(events))
