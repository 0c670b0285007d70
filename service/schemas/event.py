"""The names of events that webhooks hear of."""

from enum import StrEnum


class EventName(StrEnum):
    """What can be heard of; the word before the first dot is the kind of its subject."""

    RUN_DONE = "run.done"
    RUN_FAILED = "run.failed"
    RUN_CANCELLED = "run.cancelled"
    BATCH_DONE = "batch.done"
    BATCH_CANCELLED = "batch.cancelled"
    OCCURRENCE_DONE = "occurrence.done"
    QUOTE_CREATED = "quote.created"
    QUOTE_CHANGED = "quote.changed"
    QUOTE_SUBMITTED = "quote.submitted"
    QUOTE_APPROVED = "quote.approved"
    QUOTE_REJECTED = "quote.rejected"
    QUOTE_RETURNED = "quote.returned"
    QUOTE_ISSUED = "quote.issued"
    QUOTE_SUPERSEDED = "quote.superseded"
    QUOTE_ACCEPTED = "quote.accepted"
    QUOTE_DECLINED = "quote.declined"
    QUOTE_EXPIRED = "quote.expired"
    QUOTE_WITHDRAWN = "quote.withdrawn"
    QUOTE_REVISED = "quote.revised"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_PING = "webhook.ping"


# A ping goes to the webhook that is pinged, whatever it is subscribed to.
SUBSCRIBABLE = tuple(name for name in EventName if name is not EventName.WEBHOOK_PING)
