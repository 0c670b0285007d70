"""The API of schedules for Python programs: `headroom.schedules.create(...)`, `run`, `wait`, `results`."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from service.client.batch import NDJSON
from service.client.connection import Connection, path_of, tag_of
from service.client.patience import Patience
from service.client.run import Page
from service.client.waiting import WHILE_WAITING, Wait

Document = Mapping[str, Any]
_PATH = "/v1/schedules"
# What a schedule says; the rest of what is read of it the service says.
SAID = ("name", "cron", "time_zone", "triggers", "selection", "threshold_fraction")


class ScheduleCalls:
    """The calls of /v1/schedules and /v1/occurrences; documents as they come."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def create(self, asked: Document, *, idempotency_key: str | None = None) -> Document:
        """Make a schedule: `name`, `cron` or `triggers`, and what else POST /v1/schedules takes."""
        return self._connection.post(_PATH, asked, idempotency_key=idempotency_key)

    def preview(self, asked: Document) -> Document:
        """What a schedule that says this would do."""
        headers = {"Content-Type": "application/json"}
        return self._connection.document(
            "POST", f"{_PATH}/preview", content=json.dumps(asked).encode(), headers=headers
        )

    def list(self, *, name: str | None = None, limit: int | None = None, cursor: str | None = None) -> Page:
        """Schedules, newest first."""
        return self._connection.page(_PATH, name=name, limit=limit, cursor=cursor)

    def get(self, schedule_id: str) -> Document:
        """One schedule."""
        return self._connection.document("GET", self._schedule(schedule_id))

    def preview_of(self, schedule_id: str) -> Document:
        """What a schedule would do."""
        return self._connection.document("GET", f"{self._schedule(schedule_id)}/preview")

    def change(self, schedule_id: str, changes: Document) -> Document:
        """Change some of what a schedule says; refused (412) when somebody else changes it at the same moment."""
        answer = self._connection.send("GET", self._schedule(schedule_id))
        asked = {name: value for name, value in answer.json().items() if name in SAID} | dict(changes)
        return self._connection.change("PUT", self._schedule(schedule_id), asked, tag=tag_of(answer))

    def pause(self, schedule_id: str) -> Document:
        """Let it rest."""
        return self._connection.change("POST", f"{self._schedule(schedule_id)}/pause", None, tag="*")

    def resume(self, schedule_id: str) -> Document:
        """End its rest."""
        return self._connection.change("POST", f"{self._schedule(schedule_id)}/resume", None, tag="*")

    def remove(self, schedule_id: str) -> None:
        """Take it away."""
        self._connection.send("DELETE", self._schedule(schedule_id), headers={"If-Match": "*"})

    def run(self, schedule_id: str, *, idempotency_key: str | None = None) -> Document:
        """An occurrence now; refused (409) while one is open."""
        return self._connection.post(f"{self._schedule(schedule_id)}/run", None, idempotency_key=idempotency_key)

    def occurrences(
        self, schedule_id: str, *, status: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """Occurrences of a schedule, newest first."""
        path = f"{self._schedule(schedule_id)}/occurrences"
        return self._connection.page(path, status=status, limit=limit, cursor=cursor)

    def occurrence(self, occurrence_id: str, *, patience: Patience | None = None) -> Document:
        """How far an occurrence is, and what moved."""
        path = path_of("occurrences", occurrence_id)
        found: Document = self._connection.send("GET", path, patience=patience).json()
        return found

    def wait(self, occurrence_id: str, *, within_s: float, watch: Callable[[Document], None] | None = None) -> Document:
        """Follow an occurrence to its end, telling `watch` how far it is; UnfinishedError when that takes too long."""
        wait = Wait(within_s)
        while True:
            found = self.occurrence(occurrence_id, patience=WHILE_WAITING)
            if watch is not None:
                watch(found)
            if found["status"] == "done":
                return found
            wait.pause(f"Occurrence {occurrence_id} was still {found['status']}")

    def items(
        self,
        occurrence_id: str,
        *,
        outcome: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """Workloads of an occurrence in the order of their lines."""
        path = path_of("occurrences", occurrence_id, "items")
        return self._connection.page(path, outcome=outcome, limit=limit, cursor=cursor)

    def results(self, occurrence_id: str, *, media_type: str = NDJSON, outcome: str | None = None) -> Iterator[bytes]:
        """All workloads in the order of their lines, in pieces as they come."""
        path = path_of("occurrences", occurrence_id, "results")
        accept = {"Accept": f"{media_type}, application/problem+json;q=0.1"}
        params = {} if outcome is None else {"outcome": outcome}
        with self._connection.streamed(path, headers=accept, params=params) as answer:
            yield from answer.iter_bytes()

    def _schedule(self, schedule_id: str) -> str:
        return path_of("schedules", schedule_id)
