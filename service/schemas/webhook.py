"""Webhooks and their deliveries on the wire."""

from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import ValidationError, fields

from service.schemas.event import EVENTS, SUBSCRIBABLE
from service.schemas.issue import Issue
from service.schemas.plain import count, many, text, texts
from service.schemas.run import PageSchema, moment
from service.schemas.strict import Amount, Choice, Flag, RecordSchema, Text
from service.schemas.words import WordedSchema

STATES = ("active", "disabled")
STATUSES = ("pending", "delivered", "gave_up")
_LONGEST_URL = 2000
_LONGEST_OLD_H = 168


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookRequest:
    """What an administrator asks of a webhook; the events are sorted, each once."""

    name: str | None
    url: str
    events: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RotationRequest:
    """For how long the secret of before stays valid [h]."""

    old_valid_h: float


class EventsField(fields.List[Any]):
    """Names of events: order and repetition mean nothing."""

    limit = f"1 to {len(SUBSCRIBABLE)} names of events"

    def __init__(self, what: str) -> None:
        super().__init__(
            Choice("Name of an event.", SUBSCRIBABLE),
            required=True,
            metadata={"description": what, "minItems": 1, "maxItems": len(SUBSCRIBABLE)},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list) or not 1 <= len(value) <= len(SUBSCRIBABLE):
            raise ValidationError(Issue(f"Must be a list of {self.limit}.", limit=self.limit))
        return tuple(sorted({str(each) for each in super()._deserialize(value, attr, data, **kwargs)}))


class WebhookRequestSchema(RecordSchema):
    """A webhook as it is asked for, all of it."""

    record: ClassVar[type] = WebhookRequest

    name = Text("Its name, for people.", load_default=None, allow_none=True)
    url = Text(
        "Where events are sent by POST: https on port 443 or 8443, at an address of the public internet, or whatever "
        "lies in the networks that the operator allows.",
        longest=_LONGEST_URL,
        required=True,
    )
    events = EventsField("The events that it hears of.")
    enabled = Flag("Whether anything is sent. A webhook that was disabled begins anew.", load_default=True)


class RotationRequestSchema(RecordSchema):
    """Asks for another secret."""

    record: ClassVar[type] = RotationRequest

    old_valid_h = Amount(
        "For so many hours the secret of before signs beside the new one; 0 ends it at once.",
        low=0,
        high=_LONGEST_OLD_H,
        load_default=24.0,
    )


class WebhookSchema(WordedSchema):
    """A webhook, without its secret."""

    id = text("Id of the webhook.")
    name = text("Its name, for people.", allow_none=True)
    url = text("Where events are sent.")
    events = texts("The events that it hears of.")
    state = fields.String(
        required=True,
        metadata={
            "description": "active; or disabled, by an administrator or because it took nothing for too long, or "
            "answered 410.",
            "enum": list(STATES),
        },
    )
    version = count("Counts its changes.")
    failing_since = moment(
        "Since when it takes nothing; null while it does. It is disabled when that has lasted for the retry window.",
        allow_none=True,
    )
    disabled_at = moment("When it was disabled; null while it is active.", allow_none=True)
    disabled_reason = text("Why it was disabled.", allow_none=True)
    old_secret_until = moment(
        "Until when the secret of before the last rotation signs beside the new one.", allow_none=True
    )
    principal = text("Who made it.")
    created_at = moment("When it was made.")
    changed_at = moment("When it was last changed or disabled.")


class NewWebhookSchema(WebhookSchema):
    """A webhook with a secret that was just made, and is shown here only."""

    secret = text(
        "What deliveries are signed with. Keep it: it is not shown again, and null where a request is sent again under "
        "its idempotency key.",
        allow_none=True,
    )


class WebhookPageSchema(PageSchema):
    """Webhooks, newest first."""

    items = many(WebhookSchema, "The webhooks of this page.")


class DeliverySchema(WordedSchema):
    """An event on its way to a webhook, or at the end of it."""

    id = text("Id of the delivery.")
    webhook_id = text("Of which webhook.")
    event = fields.String(
        required=True, metadata={"description": "Name of the event.", "enum": [name.value for name in EVENTS]}
    )
    event_id = text("Id of the event: the same for every attempt and every replay.")
    status = fields.String(
        required=True,
        metadata={
            "description": "pending; delivered once a 2xx was answered; gave_up after the retry window, or where the "
            "webhook was disabled or deleted.",
            "enum": list(STATUSES),
        },
    )
    attempts = count("How often it was sent, or tried to.")
    status_code = count("What was answered last; null where nothing was.", allow_none=True)
    excerpt = text("The beginning of what was answered last, or why nothing was.", allow_none=True)
    error = text(
        "Why it was not taken the last time: http_<status>, timeout, unreachable, unresolved, tls, broken, "
        "refused_address, webhook_disabled, webhook_deleted; null for one that was.",
        allow_none=True,
    )
    replay_of = text("The delivery that it repeats.", allow_none=True)
    created_at = moment("When it was asked for.")
    attempted_at = moment("When it was last sent.", allow_none=True)
    next_attempt_at = moment("When it is due again; null once it has ended.", allow_none=True)
    ended_at = moment("When it was delivered or given up.", allow_none=True)


class WholeDeliverySchema(DeliverySchema):
    """A delivery with what it sends."""

    body = text("What is sent, to the byte: JSON.", allow_none=True)


class DeliveryPageSchema(PageSchema):
    """Deliveries, newest first."""

    items = many(DeliverySchema, "The deliveries of this page.")
