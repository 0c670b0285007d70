"""A batch, as a program that uses the client reads it; the whole answer of the server stays beside it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.client.problem import NotUnderstoodError

NDJSON = "application/x-ndjson"
CSV = "text/csv"
JSON = "application/json"


class BatchStatus(StrEnum):
    """How far a batch is."""

    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Workloads that were posted together; `counts` are items by state, and together all `items`."""

    id: str
    name: str | None
    status: BatchStatus
    items: int
    counts: Mapping[str, int]
    reused_items: int
    progress_fraction: float
    rate_items_s: float | None
    left_s: float | None
    created_at: datetime
    document: Mapping[str, Any]
    retry_after_s: float | None = None

    @property
    def open(self) -> bool:
        """Whether it has not ended yet."""
        return self.status in {BatchStatus.ACCEPTED, BatchStatus.RUNNING}

    @property
    def ended_items(self) -> int:
        """Items that have come to an end."""
        return self.items - self.counts.get("queued", 0) - self.counts.get("running", 0)

    @property
    def troubled(self) -> bool:
        """Whether some items have no answer and get none."""
        return any(self.counts.get(state, 0) for state in ("refused", "failed", "cancelled"))


def batch_of(document: Mapping[str, Any], *, retry_after_s: float | None = None) -> Batch:
    """The batch in an answer."""
    try:
        return Batch(
            id=document["id"],
            name=document["name"],
            status=BatchStatus(document["status"]),
            items=document["items"],
            counts=document["counts"],
            reused_items=document["reused_items"],
            progress_fraction=document["progress_fraction"],
            rate_items_s=document["rate_items_s"],
            left_s=document["left_s"],
            created_at=datetime.fromisoformat(document["created_at"]),
            document=document,
            retry_after_s=retry_after_s,
        )
    except (KeyError, TypeError, ValueError) as fault:
        raise NotUnderstoodError(f"The server's batch is not as this client knows batches ({fault}).") from fault


def is_one_over_lines(body: bytes) -> bool:
    """Whether it is one workload that is written over several lines, of which none is one."""
    text = body.strip()
    if not text.startswith(b"{") or b"\n" not in text:
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def media_type_of(name: str, body: bytes) -> str:
    """What an upload is, by the name of its file, else by how it begins."""
    begins = body[:1000].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if name.lower().endswith((".ndjson", ".jsonl")):
        return NDJSON
    if name.lower().endswith(".csv"):
        return CSV
    return {b"[": JSON, b"{": NDJSON}.get(begins, CSV)
