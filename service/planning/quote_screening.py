"""Screening again: whether the export rules that match a quote today are those that it was approved and issued with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from service.planning.quote_drafting import screened
from service.quoting.screening import EndUse, Shipment
from service.runtime import Runtime
from service.schemas.screening import ScreeningSchema

_SCREENING = ScreeningSchema()
# What makes two matches the same: texts and sources of a rule may be reworded without anything being different.
_SAME = ("rule", "severity", "parts", "missing", "result_if_met", "enforced")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rescreened:
    """What came out; `changed` says in words what is not as in the snapshot, None where nothing is."""

    record: Mapping[str, Any]
    changed: str | None


def rescreen(runtime: Runtime, snapshot: Mapping[str, Any], *, at: str, on: date) -> Rescreened:
    """Screen what the snapshot was screened for by the rules of that day; `at` is the step that asks."""
    before = snapshot["export"]
    now = _SCREENING.dump(screened(runtime, _shipment(before["shipment"], on)))
    changed = _changed(before["matches"], now["matches"])
    record = {
        "at": at,
        "on": on.isoformat(),
        "severity": now["severity"],
        "needs_review": now["needs_review"],
        "table_version": now["table_version"],
        "table_digest": now["table_digest"],
        "changed": changed,
    }
    return Rescreened(record=record, changed=changed)


def _shipment(stated: Mapping[str, Any], on: date) -> Shipment:
    end_use = stated["end_use"]
    return Shipment(
        parts=tuple(stated["parts"]),
        on=on.isoformat(),
        destination=stated["destination"],
        headquarters=stated["headquarters"],
        ultimate_parent=stated["ultimate_parent"],
        exporter=stated["exporter"],
        end_use=None if end_use is None else EndUse(end_use),
        listed_owners_fraction=stated["listed_owners_fraction"],
    )


def _changed(before: Iterable[Mapping[str, Any]], after: Iterable[Mapping[str, Any]]) -> str | None:
    old, new = _by_identity(before), _by_identity(after)
    found = [f"{rule} matches ({severity})" for rule, severity in _told(new, old)]
    found += [f"{rule} matched ({severity}) and does not in this way any more" for rule, severity in _told(old, new)]
    return "; ".join(found) or None


def _by_identity(matches: Iterable[Mapping[str, Any]]) -> dict[tuple[Any, ...], Mapping[str, Any]]:
    return {
        tuple(tuple(match[name]) if isinstance(match[name], list) else match[name] for name in _SAME): match
        for match in matches
    }


def _told(
    these: Mapping[tuple[Any, ...], Mapping[str, Any]], others: Iterable[tuple[Any, ...]]
) -> list[tuple[str, str]]:
    known = set(others)
    return [(match["rule"], match["severity"]) for identity, match in these.items() if identity not in known]
