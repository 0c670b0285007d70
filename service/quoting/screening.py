"""Screening of a shipment: which dated export rules match its parts, destination and parties. A flag, never a verdict.

A fact that nobody has given leaves a rule open, and an open rule asks for a review: silence clears nothing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby

from service.quoting.export_rules import ControlledPart, Destination, ExportRule, ExportRules
from service.quoting.three_valued import Fact, Range, country_in, holds, undecided

# Bits of an operand by format.
BITS = {"fp4": 4, "fp8": 8, "int8": 8, "fp16": 16}
_NO_CLASS = "none"
_NEEDS_REVIEW = "needs_review"
_NO_RULE = "no_rule_in_table_matched"
_DESTINATION = "destination"


class EndUse(StrEnum):
    """What the end user wants the parts for, as the catch-all rules ask it."""

    CIVIL = "civil"
    MILITARY = "military"
    MILITARY_INTELLIGENCE = "military_intelligence"
    WEAPONS_OF_MASS_DESTRUCTION = "weapons_of_mass_destruction"
    SUPERCOMPUTER_D5 = "supercomputer_d5"
    AI_TRAINING_D5_PARTY = "ai_training_d5_party"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Who sends what where, on which day [ISO date]; None is not known. Countries are ISO 3166-1 alpha-2."""

    parts: tuple[str, ...]
    on: str
    destination: str | None
    headquarters: str | None = None
    ultimate_parent: str | None = None
    exporter: str | None = None
    end_use: EndUse | None = None
    listed_owners_fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenedPart:
    """What the rules were asked about a part. Performance density has bounds, for die areas are often estimates.

    `control_classes` are those that the table may put it into: one where all facts are known.
    """

    part: str
    tpp: float | None
    performance_density_low: float | None
    performance_density_high: float | None
    die_mm2: int | None
    die_mm2_low: int | None
    die_mm2_high: int | None
    memory_bandwidth_gb_s: float | None
    io_gb_s: float | None
    data_centre: bool | None
    on_sale_us_2026_01_15: bool | None
    control_classes: tuple[str, ...]
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMatch:
    """A rule that matches, or that may: then `missing` names the facts that leave it open, and it asks for a review."""

    rule: str
    severity: str
    parts: tuple[str, ...]
    missing: tuple[str, ...]
    result_if_met: str
    review: str | None
    enforced: bool
    effective_from: str | None
    effective_to: str | None
    sources: tuple[str, ...]
    basis: str
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """All rules in force that match, the most severe first, with what they were asked and the age of the table."""

    severity: str
    needs_review: bool
    shipment: Shipment
    parts: tuple[ScreenedPart, ...]
    matches: tuple[RuleMatch, ...]
    table_version: str
    table_digest: str
    primary_text_seen: str
    unseen_since: str
    disclaimer: str


def screen(shipment: Shipment, table: ExportRules) -> Screening:
    """The rules of the table that match the shipment on its day."""
    in_force = [rule for rule in table.rules if _in_force(rule, shipment.on)]
    parts = tuple(_screened(part, table, in_force) for part in sorted(set(shipment.parts)))
    found = [match for part in parts for match in _matches(part, shipment, table, in_force)]
    order = {name: place for place, name in enumerate(table.severities)}
    matches = tuple(sorted(_together(found), key=lambda match: (order[match.severity], match.rule, match.parts)))
    return Screening(
        severity=matches[0].severity if matches else _NO_RULE,
        needs_review=any(match.severity == _NEEDS_REVIEW for match in matches),
        shipment=shipment,
        parts=parts,
        matches=matches,
        table_version=table.table_version,
        table_digest=table.digest,
        primary_text_seen=table.primary_text_seen,
        unseen_since=table.unseen_since,
        disclaimer=table.disclaimer,
    )


def total_processing_performance(part: ControlledPart) -> float:
    """The largest of dense TOPS x bit length (15 CFR 774 Supplement 1, 3A090, technical notes)."""
    return max(value * BITS[name] for name, value in part.dense.items())


def control_classes(facts: dict[str, Fact], rules: Iterable[ExportRule], table: ExportRules) -> tuple[str, ...]:
    """Classes that the facts may mean; the first rule that surely matches ends the list."""
    possible: list[str] = []
    for rule in rules:
        if rule.control_class is None:
            continue
        met = holds(rule.when, facts, table.country_groups)
        if met is not False and rule.control_class not in possible:
            possible.append(rule.control_class)
        if met:
            return tuple(possible)
    return (*possible, _NO_CLASS)


def _in_force(rule: ExportRule, on: str) -> bool:
    if rule.suspended_from is not None and rule.suspended_from <= on <= (rule.suspended_to or on):
        return False
    return (rule.effective_from or "") <= on and (rule.effective_to is None or on <= rule.effective_to)


def _screened(name: str, table: ExportRules, rules: Iterable[ExportRule]) -> ScreenedPart:
    part = table.parts.get(name)
    if part is None:
        unknown = f"the table does not know {name}"
        return _part(name, None, note=unknown, classes=control_classes({"part": name}, rules, table))
    facts = _facts_of_part(_part(name, part, note=part.note, classes=()))
    return _part(name, part, note=part.note, classes=control_classes(facts, rules, table))


def _part(name: str, part: ControlledPart | None, *, note: str | None, classes: tuple[str, ...]) -> ScreenedPart:
    tpp = None if part is None else total_processing_performance(part)
    low = None if part is None else part.die_mm2_low or part.die_mm2
    high = None if part is None else part.die_mm2_high or part.die_mm2
    return ScreenedPart(
        part=name,
        tpp=tpp,
        performance_density_low=None if tpp is None or high is None else tpp / high,
        performance_density_high=None if tpp is None or low is None else tpp / low,
        die_mm2=None if part is None else part.die_mm2,
        die_mm2_low=low,
        die_mm2_high=high,
        memory_bandwidth_gb_s=None if part is None else part.memory_bandwidth_gb_s,
        io_gb_s=None if part is None else part.io_gb_s,
        data_centre=None if part is None else part.data_centre,
        on_sale_us_2026_01_15=None if part is None else part.on_sale_us_2026_01_15,
        control_classes=classes,
        note=note,
    )


def _facts_of_part(part: ScreenedPart) -> dict[str, Fact]:
    low, high = part.performance_density_low, part.performance_density_high
    return {
        "part": part.part,
        "tpp": part.tpp,
        "bits_tops": part.tpp,
        "performance_density": None if low is None or high is None else Range(low=low, high=high),
        "memory_bandwidth_gb_s": part.memory_bandwidth_gb_s,
        "io_gb_s": part.io_gb_s,
        "data_centre": part.data_centre,
        "on_sale_us_2026_01_15": part.on_sale_us_2026_01_15,
        "class": frozenset(part.control_classes),
    }


def _matches(
    part: ScreenedPart, shipment: Shipment, table: ExportRules, rules: Iterable[ExportRule]
) -> Iterator[RuleMatch]:
    facts = _facts_of_part(part) | {
        "headquarters": shipment.headquarters,
        "ultimate_parent": shipment.ultimate_parent,
        "exporter": shipment.exporter,
        "end_use": None if shipment.end_use is None else shipment.end_use.value,
        "listed_owners_fraction": shipment.listed_owners_fraction,
    }
    for rule in rules:
        match = _match(rule, part.part, facts, shipment.destination, table)
        if match is not None:
            yield match


def _match(
    rule: ExportRule, part: str, facts: dict[str, Fact], destination: str | None, table: ExportRules
) -> RuleMatch | None:
    groups = table.country_groups
    there = _is_for(rule.destination, destination, table)
    about = holds(rule.about, facts, groups)
    if there is False or about is False:
        return None
    met = holds(rule.when, facts, groups)
    result = rule.result if met is not False else rule.otherwise
    if result is None:
        return None
    open_facts = {*undecided(rule.about, facts, groups), *undecided(rule.when, facts, groups)}
    missing = (*([_DESTINATION] if there is None else []), *sorted(open_facts))
    return RuleMatch(
        rule=rule.id,
        severity=_NEEDS_REVIEW if missing else result,
        parts=(part,),
        missing=missing,
        result_if_met=result,
        review=rule.review,
        enforced=rule.enforced,
        effective_from=rule.effective_from,
        effective_to=rule.effective_to,
        sources=tuple(table.sources[f"export_rules/{source}"] for source in rule.sources),
        basis=rule.basis,
        note=rule.note,
    )


def _is_for(scope: Destination, country: str | None, table: ExportRules) -> bool | None:
    """Whether the rule is about the destination; None where that is not known and decides."""
    if country is None:
        return True if scope.everywhere and not scope.less_groups and not scope.less_countries else None
    groups = table.country_groups
    named = scope.everywhere or country_in(country, (*scope.groups, *scope.countries), groups)
    spared = country_in(country, (*scope.less_groups, *scope.less_countries), groups)
    return named and (not spared or country in scope.keep)


def _together(found: Iterable[RuleMatch]) -> Iterator[RuleMatch]:
    """Matches of one rule for the same reason, as one."""

    def reason(match: RuleMatch) -> tuple[str, str, str, tuple[str, ...]]:
        return match.rule, match.severity, match.result_if_met, match.missing

    for _, several in groupby(sorted(found, key=lambda match: (*reason(match), match.parts)), key=reason):
        first, *others = several
        parts = (*first.parts, *(part for match in others for part in match.parts))
        yield RuleMatch(**{name: getattr(first, name) for name in first.__slots__ if name != "parts"}, parts=parts)
