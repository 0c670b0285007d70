"""A run, as a program that uses the client reads it; the whole answer of the server stays beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.client.problem import NotUnderstoodError


class RunStatus(StrEnum):
    """How far a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = frozenset({RunStatus.QUEUED, RunStatus.RUNNING})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunError:
    """Why a run failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of the engine for one workload; `result` is as the API documents it, null until it is done."""

    id: str
    workload_id: str
    status: RunStatus
    kind: str
    cached: bool
    feasible: bool | None
    attempts: int
    progress_fraction: float
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: RunError | None
    result: Mapping[str, Any] | None
    document: Mapping[str, Any]
    retry_after_s: float | None = None

    @property
    def open(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in OPEN


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of a list; `next_cursor` asks for the next one."""

    items: tuple[Mapping[str, Any], ...]
    next_cursor: str | None
    document: Mapping[str, Any]


def run_of(document: Mapping[str, Any], *, retry_after_s: float | None = None) -> Run:
    """The run in an answer."""
    try:
        error = document["error"]
        return Run(
            id=document["id"],
            workload_id=document["workload_id"],
            status=RunStatus(document["status"]),
            kind=document["kind"],
            cached=document["cached"],
            feasible=document["feasible"],
            attempts=document["attempts"],
            progress_fraction=document["progress_fraction"],
            created_at=datetime.fromisoformat(document["created_at"]),
            started_at=_moment(document["started_at"]),
            finished_at=_moment(document["finished_at"]),
            error=None if error is None else RunError(code=error["code"], message=error["message"]),
            result=document.get("result"),
            document=document,
            retry_after_s=retry_after_s,
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise NotUnderstoodError(f"The server's run is not as this client knows runs ({fault}).") from fault


def page_of(document: Mapping[str, Any]) -> Page:
    """The page in an answer."""
    items = document.get("items")
    if not isinstance(items, list):
        raise NotUnderstoodError("The server's list is not as this client knows lists (it has no items).")
    return Page(items=tuple(items), next_cursor=document.get("next_cursor"), document=document)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
