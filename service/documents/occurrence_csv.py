"""What an occurrence has found as CSV: a row a workload, each quantity before and now."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import orjson

from service.documents.csv_pieces import csv_pieces

_QUANTITIES = (
    *("feasible", "server", "servers", "gpus", "facility_power_kw", "cost.total_usd", "confidence_fraction"),
)
HEADING = (
    *("line", "workload_id", "workload_version", "name", "kind", "outcome", "moved_fraction", "causes"),
    *(f"{quantity.removeprefix('cost.')}_{when}" for quantity in _QUANTITIES for when in ("old", "new")),
    *("former_id", "error_code", "error_message"),
)


class Item(Protocol):
    """A workload of an occurrence; `problem` and `answer` are JSON."""

    line: int
    workload_id: str
    workload_version: int
    name: str | None
    kind: str
    outcome: str | None
    moved_fraction: float | None
    former_id: str | None
    causes: Sequence[str]
    changes: Sequence[Mapping[str, Any]]
    problem: str | None
    answer: str | None


def occurrence_csv(items: Iterable[Item]) -> Iterator[bytes]:
    """A heading and a row a workload, in pieces."""
    return csv_pieces(HEADING, (_row(item) for item in items))


def _row(item: Item) -> tuple[object, ...]:
    error = {} if item.problem is None else orjson.loads(item.problem)
    new = _quantities(item.answer)
    # What did not change was the same before; without a former answer nothing is known of it.
    old = {} if item.former_id is None or item.outcome == "first" else dict(new)
    old |= {change["quantity"]: change["old"] for change in item.changes}
    outcome = None if item.outcome is None else str(item.outcome)
    return (
        *(item.line, item.workload_id, item.workload_version, item.name, item.kind, outcome),
        *(item.moved_fraction, " ".join(item.causes)),
        *(known.get(quantity) for quantity in _QUANTITIES for known in (old, new)),
        *(item.former_id, error.get("code"), error.get("message")),
    )


def _quantities(answer: str | None) -> dict[str, object]:
    if answer is None:
        return {}
    read = orjson.loads(answer)
    option: Mapping[str, Any] = read["option"] or {}
    found = {name: option.get(name) for name in ("server", "servers", "gpus", "confidence_fraction")}
    power = (option.get("facility") or {}).get("facility_power_kw")
    cost = (option.get("cost") or {}).get("total_usd")
    return {**found, "feasible": read["feasible"], "facility_power_kw": power, "cost.total_usd": cost}
