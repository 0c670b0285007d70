"""The worker's consumer, which connects again when an acknowledgement shows that its connection is gone."""

import functools
from collections.abc import Callable
from typing import Any

from celery.worker.consumer import Consumer

# Celery would wait for up to 30 s between two attempts.
_PACE = {"interval_start": 1, "interval_step": 1, "interval_max": 5}


class ReconnectingConsumer(Consumer):  # type: ignore[misc]  # Celery publishes no types
    """Celery's consumer, mended where it goes deaf.

    Kombu gives the credit of a message back only after the broker took the acknowledgement, and while no credit is left
    it does not listen: when the broker dies while every slot is busy, each acknowledgement fails, is logged and
    forgotten, and nothing looks at the dead connection ever again.
    """

    _lost = False

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, and try at a brisk pace for as long as the broker is away."""
        conn.ensure_connection = functools.partial(conn.ensure_connection, **_PACE)
        return super().ensure_connected(conn)

    def register_with_event_loop(self, hub: Any) -> None:
        """Called for each connection, before its loop starts."""
        self._lost = False
        super().register_with_event_loop(hub)
        hub.on_tick.add(self._leave_lost_connection)

    def call_soon_ack(self, p: Callable[..., None], *args: Any, **kwargs: Any) -> Any:
        """Acknowledge or reject, and look whether it worked."""
        return super().call_soon_ack(self._settle, p, *args, **kwargs)

    def _settle(self, settle: Any, *args: Any, **kwargs: Any) -> None:
        """`settle` is a method of a message; it logs the errors of a connection instead of raising them."""
        settle(*args, **kwargs)
        message = settle.__self__
        # A message of an earlier connection says nothing about this one.
        if not message.acknowledged and self.task_consumer and message.channel is self.task_consumer.channel:
            self._lost = True

    def _leave_lost_connection(self) -> None:
        """Raised from the loop itself, this takes Celery's own way of connecting again."""
        if self._lost:
            self._lost = False
            raise ConnectionResetError("a message could not be acknowledged")
