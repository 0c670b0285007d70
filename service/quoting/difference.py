"""What changed between two priced answers, and why: causes in the question and the versions, effects in the options."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from service.quoting.indicative import PricedResult
from service.sizing.result import SizingOption

# A place among others: no share of one tells anything of another.
_ORDINAL = frozenset({"rank"})
Value = bool | int | float | str | Decimal | None


class CauseKind(StrEnum):
    """Where a cause lies."""

    WORKLOAD = "workload"
    CONSTRAINTS = "constraints"
    CATALOG = "catalog"
    CALIBRATION = "calibration"
    ENGINE = "engine"
    PRICE_BOOK = "price_book"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A question as canonical JSON, the versions that it was answered under, and the answer."""

    question: Mapping[str, Any]
    versions: Mapping[CauseKind, str | None]
    priced: PricedResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A field of the question or a version that differs; None where one of the two has no such field."""

    kind: CauseKind
    field: str
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A quantity that differs: a number, a word or money. `change_fraction` is new / old - 1, None without meaning."""

    quantity: str
    old: Any
    new: Any
    change_fraction: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionChanges:
    """What differs between the best options of one server that both answers have."""

    server: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Causes, and effects: on the outcome, on servers that both answers offer, and servers that only one offers."""

    causes: tuple[Cause, ...]
    outcome: tuple[Change, ...]
    options: tuple[OptionChanges, ...]
    servers_gone: tuple[str, ...]
    servers_added: tuple[str, ...]


def difference(old: Answered, new: Answered) -> Difference:
    """What differs from the old answer to the new one; nothing does between equal ones."""
    before, after = _best_by_server(old.priced), _best_by_server(new.priced)
    return Difference(
        causes=(*_question_causes(old.question, new.question), *_version_causes(old, new)),
        outcome=tuple(changes(_outcome(old.priced), _outcome(new.priced))),
        options=tuple(
            OptionChanges(server=server, changes=found)
            for server in before
            if server in after and (found := tuple(changes(before[server], after[server])))
        ),
        servers_gone=tuple(server for server in before if server not in after),
        servers_added=tuple(server for server in after if server not in before),
    )


def _question_causes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Cause]:
    before, after = dict(_leaves("", old)), dict(_leaves("", new))
    for field in dict.fromkeys((*before, *after)):
        # A group that is absent and one that is null say the same.
        if before.get(field) != after.get(field):
            kind = CauseKind(field.partition(".")[0])
            yield Cause(kind=kind, field=field, old=before.get(field), new=after.get(field))


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{place}.{name}" if place else str(name), inner)
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(f"{place}.{index}", item)
    else:
        yield place, value


def _version_causes(old: Answered, new: Answered) -> Iterator[Cause]:
    for kind, version in old.versions.items():
        if version != new.versions[kind]:
            yield Cause(kind=kind, field=f"versions.{kind}", old=version, new=new.versions[kind])


def _best_by_server(priced: PricedResult) -> dict[str, dict[str, Value]]:
    """What is compared of each server's best option, best server first."""
    costs = {cost.rank: cost.total_usd for cost in priced.costs}
    found: dict[str, dict[str, Value]] = {}
    for option in priced.result.options:
        if option.server not in found:
            found[option.server] = _quantities(option, total_usd=costs.get(option.rank))
    return found


def _quantities(option: SizingOption, *, total_usd: Decimal | None) -> dict[str, Value]:
    return {
        "rank": option.rank,
        "servers": option.servers,
        "gpus": option.gpus,
        "weight_precision": option.weight_precision,
        "kv_precision": option.kv_precision,
        "precision": option.precision,
        "bottleneck": option.bottleneck,
        **{f"{metric.name}.p50": metric.interval.p50 for metric in option.metrics},
        "confidence_fraction": option.confidence_fraction,
        "facility_power_kw": option.facility.facility_power_kw,
        "cost.total_usd": total_usd,
    }


def _outcome(priced: PricedResult) -> dict[str, Value]:
    """What is compared of the answer as a whole: whether something fits, what is recommended, how far off it is."""
    result = priced.result
    found: dict[str, Value] = {"feasible": result.feasible}
    if result.options:
        best = result.options[0]
        found |= {
            "recommended.server": best.server,
            "recommended.servers": best.servers,
            "recommended.gpus": best.gpus,
        }
    if result.shortfall is not None:
        found |= {
            "shortfall.limit": result.shortfall.limit.value,
            "shortfall.distance_fraction": result.shortfall.distance_fraction,
        }
    return found


def changes(old: Mapping[str, Value], new: Mapping[str, Value]) -> Iterator[Change]:
    """Every quantity that differs; one that only one of them has differs from nothing."""
    for quantity in dict.fromkeys((*old, *new)):
        before, after = old.get(quantity), new.get(quantity)
        if before != after:
            share = None if quantity in _ORDINAL else _relative(before, after)
            yield Change(quantity=quantity, old=before, new=after, change_fraction=share)


def _relative(old: Value, new: Value) -> float | None:
    before, after = _number(old), _number(new)
    return None if before is None or after is None or not before else round(after / before - 1.0, 6)


def _number(value: Value) -> float | None:
    return None if value is None or isinstance(value, bool | str) else float(value)
