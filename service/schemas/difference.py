"""The difference of two runs as an answer: causes and effects, and nothing that is the same."""

from decimal import Decimal
from typing import Any

from marshmallow import fields

from service.quoting.difference import CauseKind
from service.schemas.plain import figure, many, text, texts
from service.schemas.strict import whole
from service.schemas.words import WordedSchema

_SCALARS = ["number", "string", "boolean"]


class Either(fields.Raw):
    """A value of any simple kind; money is written as a decimal string."""

    def __init__(self, what: str, *kinds: str) -> None:
        super().__init__(required=True, allow_none=True, metadata={"description": what, "type": [*_SCALARS, *kinds]})

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if isinstance(value, Decimal):
            return format(value, "f")
        return whole(value) if isinstance(value, float) else value


class CauseSchema(WordedSchema):
    """A field of the question, or a version, that differs."""

    kind = fields.Enum(CauseKind, by_value=True, required=True, metadata={"description": "Where the cause lies."})
    field = text("Which field, dotted from the top of the question, or which version.")
    old = Either("In the first run; null where it has none.", "array", "object")
    new = Either("In the second run; null where it has none.", "array", "object")


class ChangeSchema(WordedSchema):
    """A quantity of the answer that differs."""

    quantity = text("What changed; a number's name ends in its unit.")
    old = Either("In the first run; null where it has none.")
    new = Either("In the second run; null where it has none.")
    change_fraction = figure(
        "new / old - 1; null for words, for the rank, and where old is 0 or there is none.", allow_none=True
    )


class OptionChangesSchema(WordedSchema):
    """What differs between the best options of one server."""

    server = text("Server configuration, by id; both runs offer it.")
    changes = many(ChangeSchema, "Quantity by quantity.")


class DifferenceSchema(WordedSchema):
    """What changed from one run to another, and why; every list is empty when nothing did."""

    old_run_id = text("The first run.")
    new_run_id = text("The second run.")
    old_digest = text("Identity of the first question under its versions.")
    new_digest = text("Identity of the second question under its versions.")
    causes = many(CauseSchema, "Why: fields of the canonical questions, and versions, that differ.")
    outcome = many(ChangeSchema, "Whether something fits, what is recommended, and how far off it is.")
    options = many(OptionChangesSchema, "What changed on servers that both runs offer, best server first.")
    servers_gone = texts("Servers that only the first run offers.")
    servers_added = texts("Servers that only the second run offers.")

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Causes and effects stand beside the runs."""
        return getattr(obj if attr.startswith(("old_", "new_")) else obj.difference, attr, default)
