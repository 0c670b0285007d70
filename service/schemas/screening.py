"""An export screening as an answer: the rules that match or may match, what they were asked, and the table's age."""

from typing import Any

from marshmallow import fields

from service.quoting.screening import EndUse
from service.schemas.plain import count, figure, flag, many, one, text, texts
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}


def _known(what: str) -> fields.Boolean:
    return fields.Boolean(required=True, allow_none=True, metadata={"description": f"{what}; null is not known."})


class ShipmentSchema(WordedSchema):
    """Who sends what where; null is not known."""

    parts = texts("GPUs, by id.")
    on = text("The day that the rules are of.")
    destination = text("Country of destination.", **_OPTIONAL)
    headquarters = text("Country of the end user's headquarters.", **_OPTIONAL)
    ultimate_parent = text("Country of its ultimate parent.", **_OPTIONAL)
    exporter = text("Country that it is sent from.", **_OPTIONAL)
    end_use = fields.Enum(
        EndUse, by_value=True, required=True, allow_none=True, metadata={"description": "What it is wanted for."}
    )
    listed_owners_fraction = figure("Share of listed owners.", **_OPTIONAL)


class ScreenedPartSchema(WordedSchema):
    """What the rules were asked about a part."""

    part = text("GPU, by id.")
    tpp = figure("Total processing performance.", **_OPTIONAL)
    performance_density_low = figure("Performance density, lower bound.", **_OPTIONAL)
    performance_density_high = figure("Performance density, upper bound.", **_OPTIONAL)
    die_mm2 = count("Die area.", **_OPTIONAL)
    die_mm2_low = count("Die area, lower bound.", **_OPTIONAL)
    die_mm2_high = count("Die area, upper bound.", **_OPTIONAL)
    memory_bandwidth_gb_s = figure("Memory bandwidth.", **_OPTIONAL)
    io_gb_s = figure("Input and output bandwidth.", **_OPTIONAL)
    data_centre = _known("Marketed for data centres")
    on_sale_us_2026_01_15 = _known("On sale in the United States on 2026-01-15")
    control_classes = texts("Classes that the table may put it into.")
    note = text("What to know about it.", **_OPTIONAL)


class RuleMatchSchema(WordedSchema):
    """A rule that matches, or that may: then `missing` names what leaves it open."""

    rule = text("The rule, by id.")
    severity = text("How it counts here.")
    parts = texts("GPUs that it is about.")
    missing = texts("Facts that are not known and decide.")
    result_if_met = text("What it says where it matches.")
    review = text("How it is reviewed.", **_OPTIONAL)
    enforced = flag("Whether it is enforced.")
    effective_from = text("First day.", **_OPTIONAL)
    effective_to = text("Last day; null is open.", **_OPTIONAL)
    sources = texts("Where it is from.")
    basis = text("How it is known.")
    note = text("What to mind.", **_OPTIONAL)


class ScreeningSchema(WordedSchema):
    """All rules in force that match, the most severe first: a flag, never a verdict."""

    severity = text("The most severe.")
    needs_review = flag("Whether a missing fact leaves a rule open.")
    shipment = one(ShipmentSchema, "What was screened.")
    parts = many(ScreenedPartSchema, "What is known of each GPU.")
    matches = many(RuleMatchSchema, "Rules that match or may match.")
    table_version = text("Version of the table.")
    table_digest = text("Digest of the table.")
    primary_text_seen = text("Until when primary texts were read.")
    unseen_since = text("Since when changes may be unknown to it.")
    disclaimer = text("What this is not.")
