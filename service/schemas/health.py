"""Health as an answer: every part, whether it works, and why not."""

from service.schemas.plain import flag, many, text
from service.schemas.words import WordedSchema


class AliveSchema(WordedSchema):
    """The process answers."""

    status = text("alive")


class CheckSchema(WordedSchema):
    """One part that the service needs."""

    name = text("The part.")
    ok = flag("Whether it works.")
    reason = text("ok, or why not.")
    required = flag("Whether the service is not ready without it.")


class ReadinessSchema(WordedSchema):
    """Every part that the service needs."""

    ready = flag("Whether every required part works.")
    checks = many(CheckSchema, "Part by part.")
