"""Audit events on the wire."""

from service.schemas.plain import many, text
from service.schemas.run import PageSchema, moment
from service.schemas.words import WordedSchema


class AuditEventSchema(WordedSchema):
    """An accepted change: who did what to which resource, when, from which request."""

    id = text("Id of the event.")
    action = text("What was done, such as workload.changed.")
    resource_kind = text("To what kind of resource.")
    resource_id = text("To which one.")
    old_state = text("Its state before; null for what was made.", allow_none=True)
    new_state = text("Its state afterwards; for a workload with the run that was made.", allow_none=True)
    principal = text("Who did it.")
    key_id = text("With which API key; null for what was done on the host itself.", allow_none=True)
    request_id = text("In which request; X-Request-Id of its answer.")
    created_at = moment("When.")


class AuditEventPageSchema(PageSchema):
    """Audit events, newest first."""

    items = many(AuditEventSchema, "The events of this page.")
