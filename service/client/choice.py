"""Which runs are asked for: what a list can be narrowed to, as the API spells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


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

    def query(self) -> dict[str, str | list[str] | None]:
        """The query of the list; what is None is left out."""
        return {
            "status": self.status,
            "kind": self.kind,
            "workload_id": self.workload_id,
            "feasible": _word(self.feasible),
            "cached": _word(self.cached),
            "label": [f"{key}:{value}" for key, value in self.labels.items()] or None,
            "created_after": _moment(self.created_after),
            "created_before": _moment(self.created_before),
        }


ANY_RUN = RunChoice()


def _word(flag: bool | None) -> str | None:  # noqa: FBT001 - it is the value itself
    return None if flag is None else str(flag).lower()


def _moment(time: datetime | None) -> str | None:
    return None if time is None else (time if time.tzinfo else time.astimezone()).isoformat()
