"""Dated export-control rules as structured data: predicates over facts, never evaluated text."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Join(StrEnum):
    """How the parts of a predicate go together; a leaf compares one fact."""

    ALL = "all"
    ANY = "any"
    NOT = "not"
    ALWAYS = "always"
    LEAF = "leaf"


class Comparison(StrEnum):
    """How a leaf compares its fact."""

    AT_LEAST = "at_least"
    BELOW = "below"
    AT_MOST = "at_most"
    EQUAL = "equal"
    ONE_OF = "one_of"
    IN_GROUPS = "in_groups"


Scalar = str | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """A tree of comparisons. `parts` belong to all, any and not; `fact`, `comparison`, `value` to a leaf."""

    join: Join
    parts: tuple["Predicate", ...] = ()
    fact: str | None = None
    comparison: Comparison | None = None
    value: Scalar | tuple[Scalar, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Countries a rule is about: groups and countries, less groups and countries, but `keep` stays in."""

    everywhere: bool = False
    groups: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    less_groups: tuple[str, ...] = ()
    less_countries: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRule:
    """One rule with the days it is in force; `to` is the last day, None is open.

    What `about` does not hold for the rule says nothing of; for the others its result is `result` or `otherwise`.
    """

    id: str
    about: Predicate
    when: Predicate
    destination: Destination
    result: str
    sources: tuple[str, ...]
    basis: str
    effective_from: str | None
    effective_to: str | None
    suspended_from: str | None
    suspended_to: str | None
    enforced: bool
    control_class: str | None
    otherwise: str | None
    review: str | None
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlledPart:
    """What the rules ask of a GPU. `dense` is TOPS or TFLOPS by precision."""

    id: str
    dense: Mapping[str, float]
    die_mm2: int | None
    # Bounds of a die area that is an estimate.
    die_mm2_low: int | None
    die_mm2_high: int | None
    memory_bandwidth_gb_s: float | None
    io_gb_s: float | None
    data_centre: bool | None
    on_sale_us_2026_01_15: bool | None
    basis: str
    sources: tuple[str, ...]
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRules:
    """The whole table. `severities` are ordered, the most severe first."""

    table_version: str
    digest: str
    primary_text_seen: str
    unseen_since: str
    disclaimer: str
    severities: tuple[str, ...]
    country_groups: Mapping[str, frozenset[str]]
    rules: tuple[ExportRule, ...]
    parts: Mapping[str, ControlledPart]
    sources: Mapping[str, str]
