"""The driver's ledger: every request sent and every answer received, kept outside the service and held against it."""

import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from scripts.faulting.answer import Answer, Violation
from scripts.faulting.heard import Call, foreign_words, wrong_problem

# What answers a post under a key that another is still being answered, and what marks the answer that it was given.
CONFLICT, REPLAYED = 409, "idempotency-replayed"
# What a caller is told the id of is promised to end: runs and batches.
RUN, BATCH = "run_", "bat_"
_PROMISED = (RUN, BATCH)
_ORDER = {"queued": 0, "running": 1, "done": 2, "failed": 2, "cancelled": 2}
ENDED = frozenset({"done", "failed", "cancelled"})


class Issued(NamedTuple):
    """Whose quote it is, and the hash of what it said when it was first read."""

    tenant: str
    sha256: str


@dataclass(slots=True, kw_only=True)
class Job:
    """A job that was asked for under a key, however often: the runs that answers named, and how they were seen."""

    tenant: str
    key: str
    body: dict[str, Any]
    run_ids: set[str] = field(default_factory=set)
    acknowledged: bool = False
    seen: list[str] = field(default_factory=list)
    # Posts under its key, and those of them that made nothing because another had made it, or was about to.
    asked: int = 0
    absorbed: int = 0

    @property
    def run_id(self) -> str:
        """The run of an acknowledged job."""
        return min(self.run_ids)


class Ledger:
    """Thread-safe; each line also goes to a file as soon as it is known."""

    def __init__(self, file: Path) -> None:
        self._lock = threading.Lock()
        self._file = file.open("a", encoding="utf-8")
        self._began_s = time.monotonic()
        self.jobs: dict[tuple[str, str], Job] = {}
        # The tenant of each run and batch that a client was told of, however it was asked for.
        self.made: dict[str, str] = {}
        self.canaries: dict[str, bytes] = {}
        self.results: dict[str, str] = {}
        self.issued: dict[str, Issued] = {}
        self.webhooks: dict[tuple[str, str], bytes] = {}
        self.violations: list[Violation] = []
        self.counts: Counter[str] = Counter()
        self._in_window = False
        self._closed_s = float("-inf")
        self._expected: set[int] = set()
        self._host = socket.gethostname().encode()

    def close(self) -> None:
        """No more lines."""
        self._file.close()

    def violate(self, invariant: str, words: str) -> None:
        """Something does not hold."""
        with self._lock:
            self.violations.append(Violation(invariant, words))

    def open_window(self) -> None:
        """From now on something is broken."""
        self._in_window = True

    def close_window(self) -> None:
        """All works again: a failure of what is asked from now on has no excuse."""
        self._in_window, self._closed_s = False, time.monotonic()

    def _was_asked_inside(self, answer: Answer) -> bool:
        return self._in_window or time.monotonic() - answer.took_s < self._closed_s

    @contextmanager
    def expecting(self, *statuses: int) -> Iterator[None]:
        """In the block these are right, of answers that would be failures otherwise."""
        self._expected.update(statuses)
        try:
            yield
        finally:
            self._expected.difference_update(statuses)

    def write(self, **fields: Any) -> None:
        """A line, with the time since the ledger was opened."""
        line = json.dumps({"at_s": round(time.monotonic() - self._began_s, 4), **fields})
        with self._lock:
            self._file.write(line + "\n")
            self._file.flush()

    def job(self, tenant: str, key: str, body: dict[str, Any]) -> Job:
        """The job of a key, new or known."""
        with self._lock:
            return self.jobs.setdefault((tenant, key), Job(tenant=tenant, key=key, body=body))

    def acknowledged(self) -> list[Job]:
        """Every job of which a client saw the complete 2xx."""
        with self._lock:
            return [job for job in self.jobs.values() if job.acknowledged]

    def tried(self, job: Job, answer: Answer) -> None:
        """A post under a job's key was answered, or not."""
        with self._lock:
            job.asked += 1
            job.absorbed += answer.status == CONFLICT or (answer.is_success and REPLAYED in answer.headers)
            job.acknowledged |= answer.is_success
        if answer.is_success:
            self.saw_run(job, answer.json())

    def acknowledge(self, tenant: str, *ids: str) -> None:
        """Somebody was told that these runs or batches are there."""
        with self._lock:
            self.made.update(dict.fromkeys(ids, tenant))

    def count(self, name: str) -> None:
        """One more."""
        with self._lock:
            self.counts[name] += 1

    def sent(self, tenant: str, method: str, path: str, *, body: bytes, key: str | None) -> None:
        """A request is about to be sent."""
        self.count("requests")
        digest = hashlib.sha256(body).hexdigest()[:16]
        self.write(sent=f"{method} {path}", tenant=tenant, key=key, body=digest)

    def received(self, tenant: str, method: str, path: str, answer: Answer) -> None:
        """An answer came, or none: what every answer must hold is looked at here and now."""
        self.write(received=f"{method} {path}", tenant=tenant, status=answer.status, took_s=round(answer.took_s, 4))
        if answer.status is None:
            self.count("no answer")
            return
        self.count(f"{answer.status // 100}xx")
        call = Call(tenant=tenant, method=method, path=path, status=answer.status)
        self._add(foreign_words(call, answer, self.canaries))
        if answer.status >= 400:
            self._add(wrong_problem(call, answer, host=self._host))
            if answer.status >= 500 and answer.status not in self._expected:
                self._check_failure(str(call), answer)
        elif answer.is_success and method != "GET":
            self._note_made(tenant, answer)

    def _add(self, found: Iterable[Violation]) -> None:
        listed = list(found)
        with self._lock:
            self.violations += listed

    def _note_made(self, tenant: str, answer: Answer) -> None:
        told = answer.json()
        made = str(told.get("id", "")) if isinstance(told, dict) else ""
        if made.startswith(_PROMISED):
            self.acknowledge(tenant, made)

    def _check_failure(self, where: str, answer: Answer) -> None:
        inside = self._was_asked_inside(answer)
        self.count("5xx in windows" if inside else "5xx outside the windows")
        if answer.status not in {503, 504}:
            self.violate("I4", f"{where}: {answer.body[:300]!r}")
        elif not answer.headers.get("retry-after"):
            self.violate("I4", f"{where} without Retry-After")
        if not inside:
            self.violate("I4", f"{where} while no fault was injected: {answer.body[:200]!r}")

    def saw_run(self, job: Job, run: Mapping[str, Any]) -> None:
        """An answer told of a job's run: its state never goes back, and done has its result."""
        status = str(run["status"])
        with self._lock:
            job.run_ids.add(str(run["id"]))
            before = job.seen[-1] if job.seen else status
            job.seen.append(status)
        backwards = _ORDER[status] < _ORDER[before] or (before in ENDED and status != before)
        if backwards:
            self.violate("I8", f"run {run['id']} was {before} and is {status}")
        if status == "done" and "result" in run:
            self._saw_result(job, run)

    def _saw_result(self, job: Job, run: Mapping[str, Any]) -> None:
        if run["result"] is None:
            self.violate("I8", f"run {run['id']} is done and has no result to read")
            return
        canonical = json.dumps(run["result"], sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        with self._lock:
            before = self.results.setdefault(str(run["digest"]), digest)
        if before != digest:
            self.violate("I5", f"run {run['id']} of {job.tenant}: another answer to the question {run['digest']}")

    def saw_issued(self, tenant: str, quote_id: str, snapshot: bytes) -> None:
        """The bytes of an issued quote: the same for ever."""
        digest = hashlib.sha256(snapshot).hexdigest()
        with self._lock:
            before = self.issued.setdefault(quote_id, Issued(tenant, digest))
        if before.sha256 != digest:
            self.violate("I6", f"quote {quote_id} says something else than when it was issued")

    def heard_event(self, path: str, event_id: str, body: bytes) -> None:
        """A webhook was called: an event says the same each time, and tells of one tenant."""
        self.write(webhook=path, event=event_id, body=hashlib.sha256(body).hexdigest()[:16])
        self.count("webhooks")
        with self._lock:
            before = self.webhooks.setdefault((path, event_id), body)
        if before != body:
            self.violate("I2", f"event {event_id} came to {path} again and said something else")
        if sum(canary in body for canary in self.canaries.values()) > 1:
            self.violate("I3", f"event {event_id} at {path} tells of several tenants")
