"""The product's own worker that stops listening as soon as it is ready, and goes on beating."""

from typing import Any

from celery.signals import worker_ready

from workers.app import app

__all__ = ["app"]


def _stop_listening(sender: Any, **_: Any) -> None:
    sender.task_consumer.cancel()


worker_ready.connect(_stop_listening, weak=False)
