"""The names of events that webhooks hear of."""

from enum import StrEnum

from service.quoting.steps import QuoteStep


class EventName(StrEnum):
    """What can be heard of beside the steps of quotes; the word before the first dot is the kind of its subject."""

    RUN_DONE = "run.done"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    BATCH_DONE = "batch.done"
    BATCH_CANCELLED = "batch.cancelled"
    OCCURRENCE_DONE = "occurrence.done"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_PING = "webhook.ping"


EVENTS: tuple[EventName | QuoteStep, ...] = (*EventName, *QuoteStep)
# A ping goes to the webhook that is pinged, whatever it is subscribed to.
SUBSCRIBABLE = tuple(name for name in EVENTS if name is not EventName.WEBHOOK_PING)
