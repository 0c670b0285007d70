"""Metrics: what this process counts for Prometheus. Labels come from small fixed sets and never name a customer.

Processes that are given the same folder count together. Each writes files under its slot, and the next process that
takes the slot counts on in them: nothing that a dead process counted is lost, and the files do not grow in number.
"""

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from service.slots import Slots

log = structlog.get_logger(__name__)

_REQUEST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_SIZING_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAITING_S = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0)

# What somebody is to be told of when it happens once.
_ALARMING_PROBLEMS = ("stored_content_damaged",)
_ALARMING_OUTCOMES = ("engine_error", "time_limit")
_ALARMING_STATES = ("failed",)


class Lookup(StrEnum):
    """What became of a question to the cache of results."""

    HIT = "hit"
    MISS = "miss"
    UNAVAILABLE = "unavailable"


class Answered(StrEnum):
    """How a run that was asked for was begun."""

    KNOWN = "known"
    JOINED = "joined"
    QUEUED = "queued"


class Mended(StrEnum):
    """What was found and mended: by the dispatcher, and of chunks and deliveries by whoever took them next."""

    RELAYED = "relayed"
    RUNG = "rung_again"
    LEASE_EXPIRED = "lease_expired"
    CHUNK_LEASE_EXPIRED = "chunk_lease_expired"
    DELIVERY_LEASE_EXPIRED = "delivery_lease_expired"
    POISONED = "poisoned"
    SETTLED = "settled"


class Engine(StrEnum):
    """For what the engine is asked but for runs."""

    BATCH = "batch"
    ESTIMATE = "estimate"


class Metrics:
    """The counters and histograms of a process, alone or (with a folder) together with others."""

    def __init__(self, folder: Path | None = None) -> None:
        """Together only after `shared_metrics`, which also chooses where values are kept."""
        self._folder = folder
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "headroom_http_requests", "HTTP requests.", ("route", "method", "status"), registry=registry
        )
        self._request_s = Histogram(
            "headroom_http_request_duration_seconds",
            "Time from the first hook to the answer.",
            ("route", "method"),
            buckets=_REQUEST_S,
            registry=registry,
        )
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._refused = Counter(
            "headroom_rate_limited", "Requests refused for their number.", ("limit",), registry=registry
        )
        self._problems = Counter(
            "headroom_problems", "Answers that refuse or fail, by the kind of problem.", ("code",), registry=registry
        )
        submitted = Counter("headroom_runs_submitted", "Runs by how they began.", ("answer",), registry=registry)
        self._submitted = {answer: submitted.labels(answer.value) for answer in Answered}
        self._lookups = Counter(
            "headroom_result_cache_lookups", "Questions to the cache of results.", ("result",), registry=registry
        )
        self._claims = Counter(
            "headroom_run_claims", "Runs that a worker took.", ("kind", "attempt"), registry=registry
        )
        self._waiting_s = Histogram(
            "headroom_run_waiting_seconds",
            "Time from the arrival of a run to the first worker that took it.",
            ("kind",),
            buckets=_WAITING_S,
            registry=registry,
        )
        self._sizings = Counter(
            "headroom_sizings", "Sizings by how they ended.", ("kind", "outcome"), registry=registry
        )
        self._sizing_s = Histogram(
            "headroom_sizing_duration_seconds",
            "Time that the engine took.",
            ("kind",),
            buckets=_SIZING_S,
            registry=registry,
        )
        self._engine_s = Histogram(
            "headroom_engine_call_duration_seconds",
            "Time that the engine took for the items of a chunk together, or for an estimate.",
            ("of", "kind"),
            buckets=_SIZING_S,
            registry=registry,
        )
        self._items = Counter(
            "headroom_batch_items", "Items of batches by how they ended.", ("state", "reused"), registry=registry
        )
        self._deliveries = Counter(
            "headroom_webhook_attempts",
            "Attempts to deliver to webhooks, by outcome.",
            ("outcome",),
            registry=registry,
        )
        self._sweeps = Counter(
            "headroom_dispatcher_sweeps", "Sweeps by how they ended.", ("outcome",), registry=registry
        )
        self._mended = Counter("headroom_mended", "What was found and mended.", ("what",), registry=registry)
        self._begin()

    def _begin(self) -> None:
        """Small sets, and what alerts wait for, are told from the start: the first event is a rise then.

        Of a series that begins with its first event Prometheus says that it has not risen.
        """
        for result in Lookup:
            self._lookups.labels(result.value)
        for what in Mended:
            self._mended.labels(what.value)
        for code in _ALARMING_PROBLEMS:
            self._problems.labels(code)
        for state in _ALARMING_STATES:
            self._items.labels(state, "false")
        self._sweeps.labels("done")

    def expect(self, kinds: Iterable[str]) -> None:
        """Tell from the start how often sizings of these kinds failed."""
        for kind in kinds:
            for outcome in _ALARMING_OUTCOMES:
                self._sizings.labels(kind, outcome)

    def answered(self, *, route: str, method: str, status: int, seconds: float) -> None:
        """An HTTP answer; `route` is a template, never a path."""
        series = route, method, status // 100
        known = self._answered.get(series)
        if known is None:
            # Finding a series by its labels costs more than counting in it; there are as many as routes have answers.
            known = self._requests.labels(route, method, f"{status // 100}xx"), self._request_s.labels(route, method)
            self._answered[series] = known
        requests, request_s = known
        requests.inc()
        request_s.observe(seconds)

    def refused(self, code: str) -> None:
        """A request was answered with a problem of this kind; there are as many kinds as the document has."""
        self._problems.labels(code).inc()

    def rate_limited(self, limit: str) -> None:
        """A request was one too many."""
        self._refused.labels(limit).inc()

    def submitted(self, answer: Answered) -> None:
        """A run was asked for."""
        self._submitted[answer].inc()

    def looked_up(self, result: Lookup) -> None:
        """The cache of results was asked."""
        self._lookups.labels(result.value).inc()

    def claimed(self, kind: str, *, attempt: int, waited_s: float) -> None:
        """A worker took a run, for the first time or again."""
        self._claims.labels(kind, "first" if attempt == 1 else "again").inc()
        if attempt == 1:
            self._waiting_s.labels(kind).observe(max(0.0, waited_s))

    def sized(self, kind: str, *, outcome: str, seconds: float) -> None:
        """The engine answered, failed or was stopped; `outcome`: feasible, infeasible, spared, or a failure's code."""
        self._sizings.labels(kind, outcome).inc()
        self._sizing_s.labels(kind).observe(seconds)

    def engine_called(self, of: Engine, kind: str, *, seconds: float) -> None:
        """The engine answered something else than a run."""
        self._engine_s.labels(of.value, kind).observe(seconds)

    def items_ended(self, state: str, count: int, *, reused: bool = False) -> None:
        """So many items of a batch came to this end, with an answer that was there already or without."""
        if count:
            self._items.labels(state, str(reused).lower()).inc(count)

    def delivery_attempted(self, outcome: str) -> None:
        """An event was sent to a webhook: `delivered`, the code of what went wrong, or `http_<status>`."""
        self._deliveries.labels(f"{outcome[:6]}xx" if outcome.startswith("http_") else outcome).inc()

    def mended(self, what: Mended, count: int) -> None:
        """So many were found."""
        if count:
            self._mended.labels(what.value).inc(count)

    def swept(self, outcome: str) -> None:
        """A sweep was `done`, or the dispatcher's turn ended early: `unavailable`, `error`."""
        self._sweeps.labels(outcome).inc()

    def collected(self) -> CollectorRegistry:
        """What this process, or all processes that share the folder, have counted: to be exposed once."""
        registry = CollectorRegistry()
        registry.register(self._registry if self._folder is None else _Together(self._folder))
        return registry


class _Together:
    """What every process has written into a folder, added up."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        """A file is empty for a moment after it was made."""
        files = [str(path) for path in sorted(self._folder.glob("*.db")) if path.stat().st_size]
        found: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
        return found


def shared_metrics(folder: Path | None) -> Metrics:
    """Metrics counted together with every process of the same folder; alone when there is none, or it cannot be used.

    The library keeps one way of keeping values per process: only a root that starts a process may choose it.
    """
    if folder is None:
        return Metrics()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        slots = Slots(folder)
        slots.mine()
    except OSError as error:
        log.warning("metrics_counted_alone", folder=str(folder), error=type(error).__name__)
        return Metrics()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(folder)
    values.ValueClass = values.MultiProcessValue(slots.mine)  # type: ignore[no-untyped-call]
    return Metrics(folder)
