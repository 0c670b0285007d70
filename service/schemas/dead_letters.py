"""Dead letters on the wire."""

from service.schemas.plain import count, many, text
from service.schemas.run import PageSchema, moment
from service.schemas.words import WordedSchema


class DeadLetterSchema(WordedSchema):
    """A run that ended without an answer; neither whose it was nor what was asked."""

    id = text("Id of the run; log lines and traces name it.")
    kind = text("Kind of workload.")
    code = text("Why it failed: poison, time_limit, engine_error ...")
    attempts = count("How often it was begun.")
    engine_version = text("Under which version of the engine.")
    request_id = text("In which request it was asked.")
    created_at = moment("When it was asked.")
    finished_at = moment("When it was given up.")


class DeadLetterPageSchema(PageSchema):
    """Dead letters, newest first."""

    items = many(DeadLetterSchema, "The dead letters of this page.")
