"""Webhooks, their events and deliveries: functions (session, ...) -> row. What a caller asks for is of one tenant."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from service.store.insert_many import insert_many
from service.store.tables.webhooks import WebhookDeliveryRow, WebhookEventRow


def add_events(
    connection: Connection, events: Sequence[Mapping[str, Any]], deliveries: Sequence[Mapping[str, Any]]
) -> None:
    """Insert events and what is to be delivered of them, given as their columns."""
    insert_many(connection, WebhookEventRow, events)
    insert_many(connection, WebhookDeliveryRow, deliveries)
