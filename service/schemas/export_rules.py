"""config/export_rules.yaml as a schema: every predicate is a bounded tree of known facts and comparisons."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load

from service.quoting.export_rules import Comparison, ControlledPart, Destination, ExportRule, Join, Predicate
from service.quoting.screening import BITS
from service.schemas.country import COUNTRIES
from service.schemas.fact import FactBasis
from service.schemas.issue import Issue, nearest
from service.schemas.strict import Amount, Choice, Count, Flag, StrictSchema, Text

FACTS = (
    "part",
    "tpp",
    "bits_tops",
    "performance_density",
    "memory_bandwidth_gb_s",
    "io_gb_s",
    "data_centre",
    "class",
    "on_sale_us_2026_01_15",
    "headquarters",
    "ultimate_parent",
    "listed_owners_fraction",
    "end_use",
    "exporter",
)
SEVERITIES = (
    "presumption_of_denial_flag",
    "licence_required_flag",
    "case_by_case_flag",
    "exception_possible_flag",
    "needs_review",
    "cost_note",
    "classification",
    "no_rule_in_table_matched",
)
_DEEPEST = 8
_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


class PredicateField(fields.Field[Any]):
    """A tree of {all}, {any}, {not}, {always} and {fact, is, value}."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Predicate:
        return _predicate(value, depth=0)


def _predicate(raw: Any, *, depth: int) -> Predicate:
    if not isinstance(raw, Mapping) or depth > _DEEPEST:
        raise ValidationError([Issue(f"Must be a tree of at most {_DEEPEST} levels.", value=raw)])
    if set(raw) == {"fact", "is", "value"}:
        return _leaf(raw)
    if len(raw) != 1:
        raise ValidationError([Issue("Must be one of all, any, not, always, or fact with is and value.")])
    [(join, inner)] = raw.items()
    if join == "always" and inner is True:
        return Predicate(join=Join.ALWAYS)
    if join == "not":
        return Predicate(join=Join.NOT, parts=(_predicate(inner, depth=depth + 1),))
    if join in {"all", "any"} and isinstance(inner, list) and inner:
        return Predicate(join=Join(join), parts=tuple(_predicate(part, depth=depth + 1) for part in inner))
    raise ValidationError([Issue("Must be one of all, any, not, always, or fact with is and value.", value=str(join))])


def _leaf(raw: Mapping[str, Any]) -> Predicate:
    fact, comparison, value = raw["fact"], raw["is"], raw["value"]
    if fact not in FACTS:
        near = nearest(str(fact), FACTS)
        raise ValidationError({"fact": [Issue("There is no such fact.", value=fact, did_you_mean=near)]})
    if comparison not in [str(known) for known in Comparison]:
        raise ValidationError({"is": [Issue("There is no such comparison.", value=comparison)]})
    several = comparison in {Comparison.ONE_OF, Comparison.IN_GROUPS}
    number = comparison in {Comparison.AT_LEAST, Comparison.BELOW, Comparison.AT_MOST}
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    if several != isinstance(value, list) or (number and not numeric):
        raise ValidationError({"value": [Issue(f"Does not go with {comparison}.", value=value)]})
    held = tuple(value) if several else value
    return Predicate(join=Join.LEAF, fact=fact, comparison=Comparison(comparison), value=held)


class DestinationSchema(StrictSchema):
    """Where a rule applies."""

    everywhere = Flag("Every country.", load_default=False)
    groups = fields.List(Text("", longest=4), load_default=list)
    countries = fields.List(Text("", longest=2), load_default=list)
    less_groups = fields.List(Text("", longest=4), load_default=list)
    less_countries = fields.List(Text("", longest=2), load_default=list)
    keep = fields.List(Text("", longest=2), load_default=list)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Destination:
        for name in ("countries", "less_countries", "keep"):
            for country in data[name]:
                if country not in COUNTRIES:
                    raise ValidationError({name: [Issue("There is no such country.", value=country)]})
        if not data["everywhere"] and not data["groups"] and not data["countries"]:
            raise ValidationError([Issue("Name a country, a group, or everywhere.")])
        listed: dict[str, Any] = {name: tuple(value) for name, value in data.items() if isinstance(value, list)}
        return Destination(everywhere=data["everywhere"], **listed)


class SuspensionSchema(StrictSchema):
    """Days in which a rule sleeps."""

    from_ = Text("", longest=10, required=True, data_key="from")
    to = Text("", longest=10, required=True)


class ExportRuleSchema(StrictSchema):
    """One rule."""

    id = Text("", longest=60, required=True)
    from_ = Text("", longest=10, required=True, allow_none=True, data_key="from")
    to = Text("", longest=10, required=True, allow_none=True)
    complied_from = Text("", longest=10, **_OPTIONAL)
    suspended = fields.Nested(SuspensionSchema, **_OPTIONAL)
    enforced = Flag("", load_default=True)
    about = PredicateField(load_default=Predicate(join=Join.ALWAYS))
    when = PredicateField(required=True)
    destination = fields.Nested(DestinationSchema, required=True)
    result = fields.String(required=True)
    class_ = Text("", longest=2, data_key="class", **_OPTIONAL)
    otherwise = Text("", longest=40, **_OPTIONAL)
    review = Text("", longest=40, **_OPTIONAL)
    sources = fields.List(Text("", longest=40), required=True)
    basis = Choice("", FactBasis, required=True)
    note = Text("", longest=400, **_OPTIONAL)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ExportRule:
        for name in ("result", "otherwise", "review"):
            if data[name] is not None and data[name] not in SEVERITIES:
                limit = ", ".join(SEVERITIES)
                raise ValidationError({name: [Issue(f"Must be one of {limit}.", value=data[name], limit=limit)]})
        if not data["sources"]:
            raise ValidationError({"sources": [Issue("A rule needs at least one source.")]})
        suspended = data["suspended"] or {"from_": None, "to": None}
        return ExportRule(
            id=data["id"],
            about=data["about"],
            when=data["when"],
            destination=data["destination"],
            result=data["result"],
            sources=tuple(data["sources"]),
            basis=str(data["basis"]),
            effective_from=data["from_"],
            effective_to=data["to"],
            suspended_from=suspended["from_"],
            suspended_to=suspended["to"],
            enforced=data["enforced"],
            control_class=data["class_"],
            otherwise=data["otherwise"],
            review=data["review"],
            note=data["note"],
        )


class ControlledPartSchema(StrictSchema):
    """What the rules ask of one GPU."""

    id = Text("", longest=60, required=True)
    dense = fields.Dict(keys=Text("", longest=8), values=Amount("", low=0, high=1e7, above=True), required=True)
    die_mm2 = Count("", low=1, high=100_000, required=True, allow_none=True)
    die_mm2_low = Count("", low=1, high=100_000, **_OPTIONAL)
    die_mm2_high = Count("", low=1, high=100_000, **_OPTIONAL)
    memory_bandwidth_gb_s = Amount("", low=0, high=1e6, above=True, required=True, allow_none=True)
    io_gb_s = Amount("", low=0, high=1e6, above=True, **_OPTIONAL)
    data_centre = Flag("", required=True, allow_none=True)
    on_sale_us_2026_01_15 = Flag("", **_OPTIONAL)
    basis = Choice("", FactBasis, required=True)
    sources = fields.List(Text("", longest=40), required=True)
    note = Text("", longest=400, **_OPTIONAL)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> ControlledPart:
        if not data["dense"] or not set(data["dense"]) <= set(BITS):
            limit = ", ".join(BITS)
            raise ValidationError({"dense": [Issue(f"Must give figures by {limit}.", limit=limit)]})
        return ControlledPart(**{**data, "basis": str(data["basis"]), "sources": tuple(data["sources"])})


class ExportRulesFileSchema(StrictSchema):
    """The whole file; groups, rules and parts are checked one by one."""

    date = Text("", longest=10, required=True)
    table_version = Text("", longest=40, required=True)
    primary_text_seen = Text("", longest=10, required=True)
    unseen_since = Text("", longest=10, required=True)
    disclaimer = Text("", longest=400, required=True)
    principles = fields.List(Text("", longest=300), required=True)
    severities = fields.List(Text("", longest=40), required=True)
    sources = fields.Dict(required=True)
    definitions = fields.Dict(required=True)
    country_groups = fields.Dict(keys=Text("", longest=4), values=fields.List(Text("", longest=2)), required=True)
    country_notes = fields.List(Text("", longest=400), required=True)
    rules = fields.List(fields.Raw(), required=True)
    parts = fields.List(fields.Raw(), required=True)
    checks = fields.List(fields.Dict(), required=True)
