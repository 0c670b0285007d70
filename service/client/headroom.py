"""The API for Python programs: `with Headroom(url, key) as headroom: run = headroom.size(workload)`."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import httpx

from service.client.batch_calls import BatchCalls
from service.client.choice import ANY_EVENT, ANY_RUN, LISTED_WORKLOADS, EventChoice, RunChoice, WorkloadChoice
from service.client.connection import Body, Connection, document_of, path_of
from service.client.patience import LEAST_PAUSE_S, Patience, retry_after_s
from service.client.price_book_calls import PriceBookCalls
from service.client.problem import HeadroomError, UnfinishedError
from service.client.quote_calls import QuoteCalls
from service.client.run import Page, Run, run_of
from service.client.schedule_calls import ScheduleCalls
from service.client.waiting import UNREACHABLE_WHILE_WAITING_S
from service.client.webhook_calls import WebhookCalls

ANSWER_WITHIN_S = 30.0
RUN_WITHIN_S = 600.0
_POLL_S = 1.0
# So long a request waits at the server for the end of a run: most end sooner, and of the others it tells how far.
_SERVER_WAIT_S = 2
# So much of the time that is left is for the last look.
_LAST_LOOK_S = 0.2


class Headroom:
    """The calls of the API. Each tries again where that may help, and raises a HeadroomError where it does not."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        patience: Patience | None = None,
        answer_within_s: float = ANSWER_WITHIN_S,
        on_pause: Callable[[HeadroomError, float], None] | None = None,
    ) -> None:
        self._connection = Connection(url, key, patience=patience, answer_within_s=answer_within_s, on_pause=on_pause)
        self.url = self._connection.url

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    @property
    def batches(self) -> BatchCalls:
        """The calls of batches: many workloads at once."""
        return BatchCalls(self._connection)

    @property
    def webhooks(self) -> WebhookCalls:
        """The calls of webhooks: where the tenant hears of what happens; for administrators."""
        return WebhookCalls(self._connection)

    @property
    def price_books(self) -> PriceBookCalls:
        """The calls of price books."""
        return PriceBookCalls(self._connection)

    @property
    def quotes(self) -> QuoteCalls:
        """The calls of quotes."""
        return QuoteCalls(self._connection)

    @property
    def schedules(self) -> ScheduleCalls:
        """The calls of schedules: workloads are sized again and again."""
        return ScheduleCalls(self._connection)

    def submit(
        self, request: Body, *, wait_s: int = 0, idempotency_key: str | None = None, within_s: float = math.inf
    ) -> Run:
        """Post a workload; its run, which has ended when the answer was known or came within `wait_s` seconds.

        The same request under the same `idempotency_key` is the same run for a day: its first answer comes again.
        After `within_s` seconds it is not tried again; a try is never cut short, or nobody would know its run.
        """
        answer = self._connection.posted(
            "/v1/workloads",
            request,
            headers=_prefer(wait_s),
            idempotency_key=idempotency_key,
            patience=self._connection.patience.within(within_s),
            extra_s=wait_s,
        )
        return _run(answer)

    def wait(
        self,
        run: Run,
        *,
        within_s: float = RUN_WITHIN_S,
        waited_s: float = 0.0,
        watch: Callable[[Run], None] | None = None,
    ) -> Run:
        """Follow a run to its end, telling `watch` how far it is; UnfinishedError when that takes too long.

        Of the `within_s` seconds `waited_s` are over already.
        """
        deadline = time.monotonic() + within_s - waited_s
        pause_s = 0.0
        while run.open:
            if watch is not None:
                watch(run)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise UnfinishedError(f"Run {run.id} was still {run.status} after {within_s:g} s; it goes on.")
            time.sleep(min(pause_s, left_s, max(left_s - _LAST_LOOK_S, LEAST_PAUSE_S)))
            run, pause_s = self._look(run, deadline - time.monotonic())
        return run

    def _look(self, run: Run, left_s: float) -> tuple[Run, float]:
        """The run once it has ended, or as it is a moment later; and how long to pause before the next look."""
        wait_s = int(min(left_s - _LAST_LOOK_S, _SERVER_WAIT_S))
        answer = self._connection.send(
            "GET",
            path_of("runs", run.id),
            patience=replace(self._connection.patience, unreachable_s=UNREACHABLE_WHILE_WAITING_S),
            within_s=left_s,
            headers=_prefer(wait_s),
        )
        later = _run(answer)
        # A server where too many wait already answers at once, and says when to come again.
        waited = "Preference-Applied" in answer.headers
        return later, 0.0 if waited else max(later.retry_after_s or _POLL_S, LEAST_PAUSE_S)

    def size(self, request: Body, *, within_s: float = RUN_WITHIN_S) -> Run:
        """Post a workload and follow its run to the end."""
        started = time.monotonic()
        run = self.submit(request, wait_s=int(min(within_s, _SERVER_WAIT_S)), within_s=within_s)
        return self.wait(run, within_s=within_s, waited_s=time.monotonic() - started)

    def run(self, run_id: str) -> Run:
        """One run, with its result once it is done."""
        return _run(self._connection.send("GET", path_of("runs", run_id)))

    def cancel(self, run_id: str) -> Run:
        """Cancel a run for good; once it is done or failed, that is refused (409)."""
        return _run(self._connection.send("POST", path_of("runs", run_id, "cancel")))

    def runs(self, only: RunChoice = ANY_RUN, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """Runs, newest first, without their results."""
        return self._connection.page("/v1/runs", **only.query(), limit=limit, cursor=cursor)

    def working(self, run_id: str, rank: int = 1) -> dict[str, Any]:
        """How each number of a ranked option was found."""
        return self._connection.document("GET", path_of("runs", run_id, "options", str(rank), "working"))

    def workloads(
        self, only: WorkloadChoice = LISTED_WORKLOADS, *, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """Workloads, newest first; archived ones where they are asked for."""
        return self._connection.page("/v1/workloads", **only.query(), limit=limit, cursor=cursor)

    def workload(self, workload_id: str) -> dict[str, Any]:
        """One workload, with every default spelled out."""
        return self._connection.document("GET", path_of("workloads", workload_id))

    def versions(self, workload_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """What a workload asked before, newest first."""
        return self._connection.page(path_of("workloads", workload_id, "versions"), limit=limit, cursor=cursor)

    def archive(self, workload_id: str) -> dict[str, Any]:
        """Archive a workload, and how it is afterwards; refused (412) when somebody changes it at the same moment."""
        path = path_of("workloads", workload_id)
        self._connection.send("DELETE", path, headers={"If-Match": self._connection.tag(path)})
        return self.workload(workload_id)

    def audit_events(
        self, only: EventChoice = ANY_EVENT, *, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """Who changed what, newest first; for administrators."""
        return self._connection.page("/v1/audit-events", **only.query(), limit=limit, cursor=cursor)

    def estimate(self, request: Body) -> dict[str, Any]:
        """What a workload, without demand or target, does on fixed hardware."""
        return self._connection.post("/v1/estimates", request)

    def diff(self, run_id: str, other_id: str) -> dict[str, Any]:
        """What changed between the results of two runs, and why."""
        return self._connection.document("GET", path_of("runs", run_id, "diff", other_id))

    def catalog(self, kind: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """The records of one kind of the catalog: gpus, servers, networks, storage, racks, models, applications."""
        return self._connection.page(path_of("catalog", kind), limit=limit, cursor=cursor)

    def catalog_record(self, kind: str, record_id: str) -> dict[str, Any]:
        """One record of the catalog, with its facts and their sources."""
        return self._connection.document("GET", path_of("catalog", kind, record_id))

    def accuracy(self, *, limit: int | None = None, cursor: str | None = None, **only: str | None) -> Page:
        """Published points, predicted beside measured; `only`: kind, model, gpu, precision, source, split, metric."""
        return self._connection.page("/v1/accuracy", **only, limit=limit, cursor=cursor)

    def accuracy_summary(self, *, by: str | None = None, **only: str | None) -> dict[str, Any]:
        """Errors of the points that are left, by kind, metric and `by`: names with commas between."""
        params = {name: value for name, value in {**only, "by": by}.items() if value is not None}
        return self._connection.document("GET", "/v1/accuracy/summary", params=params)


def _prefer(wait_s: int) -> dict[str, str]:
    return {"Prefer": f"wait={wait_s}"} if wait_s > 0 else {}


def _run(answer: httpx.Response) -> Run:
    return run_of(document_of(answer), retry_after_s=retry_after_s(answer.headers.get("Retry-After")))
