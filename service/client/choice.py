"""Which items of a list are asked for: what it can be narrowed to, as the API spells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

Query = dict[str, str | list[str] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChoice:
    """None is any. Times are from `created_after` on and before `created_before`; without a zone, this machine's."""

    status: str | None = None
    kind: str | None = None
    workload_id: str | None = None
    feasible: bool | None = None
    cached: bool | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None

    def query(self) -> Query:
        """The query of the list; what is None is left out."""
        return {
            "status": self.status,
            "kind": self.kind,
            "workload_id": self.workload_id,
            "feasible": _word(self.feasible),
            "cached": _word(self.cached),
            "label": _labels(self.labels),
            "created_after": _moment(self.created_after),
            "created_before": _moment(self.created_before),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadChoice:
    """None is any; `archived` is false, true or any. Times as in RunChoice."""

    kind: str | None = None
    name: str | None = None
    archived: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    created_after: datetime | None = None
    created_before: datetime | None = None

    def query(self) -> Query:
        """The query of the list; what is None is left out."""
        return {
            "kind": self.kind,
            "name": self.name,
            "archived": self.archived,
            "label": _labels(self.labels),
            "created_after": _moment(self.created_after),
            "created_before": _moment(self.created_before),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class EventChoice:
    """None is any. Times as in RunChoice."""

    action: str | None = None
    principal: str | None = None
    resource_kind: str | None = None
    resource_id: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    def query(self) -> Query:
        """The query of the list; what is None is left out."""
        return {
            "action": self.action,
            "principal": self.principal,
            "resource_kind": self.resource_kind,
            "resource_id": self.resource_id,
            "created_after": _moment(self.created_after),
            "created_before": _moment(self.created_before),
        }


ANY_RUN = RunChoice()
LISTED_WORKLOADS = WorkloadChoice()
ANY_EVENT = EventChoice()


def _labels(labels: Mapping[str, str]) -> list[str] | None:
    return [f"{key}:{value}" for key, value in labels.items()] or None


def _word(flag: bool | None) -> str | None:  # noqa: FBT001 - it is the value itself
    return None if flag is None else str(flag).lower()


def _moment(time: datetime | None) -> str | None:
    return None if time is None else (time if time.tzinfo else time.astimezone()).isoformat()
