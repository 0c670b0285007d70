"""Lead times as an answer: the seller's own against the wished date, and what was said in public."""

from typing import Any

from marshmallow import fields

from service.quoting.supply import Delivery
from service.schemas.plain import count, decimal, many, text, texts
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}


class PartSupplySchema(WordedSchema):
    """The seller's lead time of one part."""

    part = text("The part.")
    weeks = count("Weeks; null where the seller states none.", **_OPTIONAL)
    as_of = text("As of which day.", **_OPTIONAL)
    ready_on = text("When an order of today would be ready.", **_OPTIONAL)
    late = fields.Boolean(required=True, allow_none=True, metadata={"description": "Whether that is too late."})


class LeadTimeNoteSchema(WordedSchema):
    """What somebody said about lead times."""

    id = text("Id.")
    about = text("Of what.")
    said = text("When.")
    low_weeks = count("From.", **_OPTIONAL)
    high_weeks = count("To.", **_OPTIONAL)
    statement = text("What was said.")
    basis = text("How it is known.")
    confidence = text("How much to trust it.")
    sources = texts("By whom.")


class BacklogFactSchema(WordedSchema):
    """Orders and backlog of AI servers in a quarter, in billions of USD."""

    quarter = text("Which quarter.")
    reported = text("When it was reported.")
    orders_usd_b = decimal("Orders.", **_OPTIONAL)
    shipped_usd_b = decimal("Shipments.", **_OPTIONAL)
    backlog_usd_b = decimal("Backlog.", **_OPTIONAL)
    note = text("What was said with it.", **_OPTIONAL)
    basis = text("How it is known.")
    sources = texts("By whom.")


class SupplySchema(WordedSchema):
    """The seller's lead times against the wished date."""

    ordered_on = text("The day that weeks are counted from.")
    deliver_by = text("The wished date.", **_OPTIONAL)
    delivery = fields.Enum(
        Delivery, by_value=True, required=True, metadata={"description": "What the lead times say of it."}
    )
    longest_weeks = count("The longest known lead time.", **_OPTIONAL)
    parts = many(PartSupplySchema, "Part by part.")
    without_lead_time = texts("Parts without a lead time.")
    notes = many(LeadTimeNoteSchema, "What was said in public; no promise.")
    backlog = many(BacklogFactSchema, "Backlog as reported.")
