"""The working of an option as an answer: how each number was found, under which versions."""

from service.schemas.plain import count, many, one, text
from service.schemas.result import WorkingStepSchema
from service.schemas.run import VersionsSchema
from service.schemas.words import WordedSchema


class WorkingSchema(WordedSchema):
    """Every quantity of one ranked option, with its formula, its inputs and their source."""

    run_id = text("The run.")
    rank = count("Rank of the option.")
    server = text("Its server configuration, by id.")
    digest = text("Identity of the question under these versions.")
    versions = one(VersionsSchema, "Under which versions it was computed.")
    steps = many(WorkingStepSchema, "Each step, in the order in which it was taken.")
