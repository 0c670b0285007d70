"""Tasks that deliver."""

from service.planning.delivery.deliver import deliver
from service.queue import TaskName
from workers.app import app, runtime


@app.task(name=TaskName.DELIVER_WEBHOOK.value)  # type: ignore[untyped-decorator]  # Celery publishes no types
def deliver_webhook(delivery_id: str) -> None:
    """Send one event to one webhook."""
    deliver(runtime(), delivery_id)
