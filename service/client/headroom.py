"""The API for Python programs: `with Headroom(url, key) as headroom: run = headroom.size(workload)`."""

import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from service.client.address import checked_key, checked_url, on_this_machine
from service.client.batch_calls import BatchCalls
from service.client.calls import Body
from service.client.choice import ANY_EVENT, ANY_RUN, LISTED_WORKLOADS, EventChoice, RunChoice, WorkloadChoice
from service.client.patience import Patience, pauses_s, retry_after_s
from service.client.price_book_calls import PriceBookCalls
from service.client.problem import HeadroomError, NotUnderstoodError, ProblemError, UnfinishedError, UnreachableError
from service.client.quote_calls import QuoteCalls
from service.client.run import Page, Run, page_of, run_of
from service.client.schedule_calls import ScheduleCalls
from service.client.webhook_calls import WebhookCalls

ANSWER_WITHIN_S = 30.0
CONNECT_WITHIN_S = 5.0
RUN_WITHIN_S = 600.0
# The server restarts now and then; a wait that outlasts that is not lost.
_UNREACHABLE_WHILE_WAITING_S = 30.0
_POLL_S = 1.0
_LEAST_POLL_S = 0.1
# So long a request waits at the server for the end of a run: most end sooner, and of the others it tells how far.
_SERVER_WAIT_S = 2
# So much of the time that is left is for the last look.
_LAST_LOOK_S = 0.2
# Nobody was there to take the request: nothing came of it.
_NEVER_SENT = (httpx.ConnectTimeout, httpx.ConnectError)


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
        address = checked_url(url)
        self.url = str(address)
        self._patience = patience or Patience()
        self._answer_within_s = answer_within_s
        self._on_pause = on_pause
        self._http = httpx.Client(
            base_url=address,
            headers={
                "Authorization": f"Bearer {checked_key(key)}",
                "Accept": "application/json, application/problem+json",
            },
            trust_env=not on_this_machine(address),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def batches(self) -> BatchCalls:
        """The calls of batches: many workloads at once."""
        return BatchCalls(_Calls(self), path_of=_path)

    @property
    def webhooks(self) -> WebhookCalls:
        """The calls of webhooks: where the tenant hears of what happens; for administrators."""
        return WebhookCalls(_Calls(self), path_of=_path)

    @property
    def price_books(self) -> PriceBookCalls:
        """The calls of price books."""
        return PriceBookCalls(_Calls(self), path_of=_path)

    @property
    def quotes(self) -> QuoteCalls:
        """The calls of quotes."""
        return QuoteCalls(_Calls(self), path_of=_path)

    @property
    def schedules(self) -> ScheduleCalls:
        """The calls of schedules: workloads are sized again and again."""
        return ScheduleCalls(_Calls(self), path_of=_path)

    def submit(
        self, request: Body, *, wait_s: int = 0, idempotency_key: str | None = None, within_s: float = math.inf
    ) -> Run:
        """Post a workload; its run, which has ended when the answer was known or came within `wait_s` seconds.

        The same request under the same `idempotency_key` is the same run for a day: its first answer comes again.
        After `within_s` seconds it is not tried again; a try is never cut short, or nobody would know its run.
        """
        answer = self._post(
            "/v1/workloads",
            request,
            headers=_prefer(wait_s),
            idempotency_key=idempotency_key,
            patience=self._patience.within(within_s),
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
            time.sleep(min(pause_s, left_s, max(left_s - _LAST_LOOK_S, _LEAST_POLL_S)))
            run, pause_s = self._look(run, deadline - time.monotonic())
        return run

    def _look(self, run: Run, left_s: float) -> tuple[Run, float]:
        """The run once it has ended, or as it is a moment later; and how long to pause before the next look."""
        wait_s = int(min(left_s - _LAST_LOOK_S, _SERVER_WAIT_S))
        answer = self._send(
            "GET",
            _path("runs", run.id),
            patience=replace(self._patience, unreachable_s=_UNREACHABLE_WHILE_WAITING_S),
            within_s=left_s,
            headers=_prefer(wait_s),
        )
        later = _run(answer)
        # A server where too many wait already answers at once, and says when to come again.
        waited = "Preference-Applied" in answer.headers
        return later, 0.0 if waited else max(later.retry_after_s or _POLL_S, _LEAST_POLL_S)

    def size(self, request: Body, *, within_s: float = RUN_WITHIN_S) -> Run:
        """Post a workload and follow its run to the end."""
        started = time.monotonic()
        run = self.submit(request, wait_s=int(min(within_s, _SERVER_WAIT_S)), within_s=within_s)
        return self.wait(run, within_s=within_s, waited_s=time.monotonic() - started)

    def run(self, run_id: str) -> Run:
        """One run, with its result once it is done."""
        return _run(self._send("GET", _path("runs", run_id)))

    def cancel(self, run_id: str) -> Run:
        """Cancel a run for good; once it is done or failed, that is refused (409)."""
        return _run(self._send("POST", f"{_path('runs', run_id)}/cancel"))

    def runs(self, only: RunChoice = ANY_RUN, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """Runs, newest first, without their results."""
        return self._page("/v1/runs", **only.query(), limit=limit, cursor=cursor)

    def working(self, run_id: str, rank: int = 1) -> dict[str, Any]:
        """How each number of a ranked option was found."""
        return _document(self._send("GET", f"{_path('runs', run_id)}/options/{rank}/working"))

    def workloads(
        self, only: WorkloadChoice = LISTED_WORKLOADS, *, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """Workloads, newest first; archived ones where they are asked for."""
        return self._page("/v1/workloads", **only.query(), limit=limit, cursor=cursor)

    def workload(self, workload_id: str) -> dict[str, Any]:
        """One workload, with every default spelled out."""
        return _document(self._send("GET", _path("workloads", workload_id)))

    def versions(self, workload_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """What a workload asked before, newest first."""
        return self._page(f"{_path('workloads', workload_id)}/versions", limit=limit, cursor=cursor)

    def archive(self, workload_id: str) -> dict[str, Any]:
        """Archive a workload, and how it is afterwards; refused (412) when somebody changes it at the same moment."""
        path = _path("workloads", workload_id)
        tag = self._send("GET", path).headers.get("ETag", "*")
        self._send("DELETE", path, headers={"If-Match": tag})
        return self.workload(workload_id)

    def audit_events(
        self, only: EventChoice = ANY_EVENT, *, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """Who changed what, newest first; for administrators."""
        return self._page("/v1/audit-events", **only.query(), limit=limit, cursor=cursor)

    def estimate(self, request: Body) -> dict[str, Any]:
        """What a workload, without demand or target, does on fixed hardware."""
        return _document(self._post("/v1/estimates", request))

    def diff(self, run_id: str, other_id: str) -> dict[str, Any]:
        """What changed between the results of two runs, and why."""
        return _document(self._send("GET", f"{_path('runs', run_id)}/diff/{_quoted(other_id)}"))

    def catalog(self, kind: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """The records of one kind of the catalog: gpus, servers, networks, storage, racks, models, applications."""
        return self._page(_path("catalog", kind), limit=limit, cursor=cursor)

    def catalog_record(self, kind: str, record_id: str) -> dict[str, Any]:
        """One record of the catalog, with its facts and their sources."""
        return _document(self._send("GET", f"{_path('catalog', kind)}/{_quoted(record_id)}"))

    def accuracy(self, *, limit: int | None = None, cursor: str | None = None, **only: str | None) -> Page:
        """Published points, predicted beside measured; `only`: kind, model, gpu, precision, source, split, metric."""
        return self._page("/v1/accuracy", **only, limit=limit, cursor=cursor)

    def accuracy_summary(self, *, by: str | None = None, **only: str | None) -> dict[str, Any]:
        """Errors of the points that are left, by kind, metric and `by`: names with commas between."""
        params = {name: value for name, value in {**only, "by": by}.items() if value is not None}
        return _document(self._send("GET", "/v1/accuracy/summary", params=params))

    def _page(self, path: str, **query: str | int | list[str] | None) -> Page:
        params = {name: value for name, value in query.items() if value is not None}
        return page_of(_document(self._send("GET", path, params=params)))

    def _post(
        self,
        path: str,
        request: Body,
        *,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        patience: Patience | None = None,
        extra_s: float = 0,
        params: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        # One key for all tries: the server makes one workload of them.
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": idempotency_key or uuid.uuid4().hex,
            **(headers or {}),
        }
        return self._send(
            "POST",
            path,
            patience=patience,
            extra_s=extra_s,
            content=_content(request),
            headers=headers,
            params=params,
        )

    def _send(
        self,
        method: str,
        path: str,
        *,
        patience: Patience | None = None,
        extra_s: float = 0,
        within_s: float = math.inf,
        **request: Any,
    ) -> httpx.Response:
        """The answer; a try may take `extra_s` longer than others, and all of them together `within_s` at most."""
        patience = (patience or self._patience).within(within_s)
        started = time.monotonic()
        may_be_done = False
        for pause_s in pauses_s():
            left_s = max(within_s - (time.monotonic() - started), _LEAST_POLL_S)
            timeout = _timeout(min(self._answer_within_s + extra_s, left_s))
            failure: UnreachableError | ProblemError
            try:
                answer = self._http.request(method, path, timeout=timeout, **request)
            except httpx.RequestError as error:
                failure, most_s = self._unreachable(error), patience.unreachable_s
            else:
                if answer.is_success:
                    return answer
                failure, most_s = _problem(answer), patience.busy_s
                if not failure.passing:
                    raise failure
                # A server that says 0 is not asked without a pause.
                pause_s = max(pause_s, failure.retry_after_s or 0.0)  # noqa: PLW2901
            may_be_done |= failure.may_be_done
            if time.monotonic() - started + pause_s > most_s:
                failure.may_be_done = may_be_done
                raise failure
            if self._on_pause is not None:
                self._on_pause(failure, pause_s)
            time.sleep(pause_s)
        raise AssertionError  # pauses never end

    def _unreachable(self, error: httpx.RequestError) -> UnreachableError:
        failure = UnreachableError(self._why(error))
        failure.may_be_done = not isinstance(error, _NEVER_SENT)
        return failure

    def _why(self, error: httpx.RequestError) -> str:
        if isinstance(error, _NEVER_SENT):
            return f"Nobody answers at {self.url} ({error}): is Headroom running there?"
        if isinstance(error, httpx.TimeoutException):
            return f"{self.url} took the request and did not answer in time."
        return f"The connection to {self.url} broke ({str(error) or type(error).__name__})."


class _Calls:
    """The connection, as other calls use it."""

    def __init__(self, headroom: Headroom) -> None:
        self._headroom = headroom

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, after tries again where that may help."""
        return self._headroom._send(method, path, **request)  # noqa: SLF001 - one class in two files

    def document(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON of it."""
        return _document(self.send(method, path, **request))

    def post(self, path: str, request: Body, **how: Any) -> dict[str, Any]:
        """The answer to a POST, under one idempotency key for all tries."""
        return _document(self._headroom._post(path, request, **how))  # noqa: SLF001

    def change(self, method: str, path: str, body: Body | None, *, tag: str) -> dict[str, Any]:
        """A change of the version that has this tag."""
        sent: dict[str, Any] = {} if body is None else {"content": _content(body)}
        headers = {"If-Match": tag, **({} if body is None else {"Content-Type": "application/json"})}
        return self.document(method, path, headers=headers, **sent)

    def page(self, path: str, **query: str | int | list[str] | None) -> Page:
        """A page of a list."""
        return self._headroom._page(path, **query)  # noqa: SLF001

    def tag(self, path: str) -> str:
        """The ETag of what is there now."""
        return str(self.send("GET", path).headers.get("ETag", "*"))

    @contextmanager
    def streamed(self, path: str, **request: Any) -> Iterator[httpx.Response]:
        """An answer that is read as it comes; one that breaks off is UnreachableError, and asked for again by hand."""
        headroom = self._headroom
        timeout = _timeout(headroom._answer_within_s)  # noqa: SLF001
        try:
            with headroom._http.stream("GET", path, timeout=timeout, **request) as answer:  # noqa: SLF001
                if not answer.is_success:
                    answer.read()
                    raise _problem(answer)
                yield answer
        except httpx.RequestError as error:
            raise UnreachableError(headroom._why(error)) from error  # noqa: SLF001


def _content(body: Body) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def _timeout(answer_s: float) -> httpx.Timeout:
    return httpx.Timeout(answer_s, connect=min(CONNECT_WITHIN_S, answer_s))


def _prefer(wait_s: int) -> dict[str, str]:
    return {"Prefer": f"wait={wait_s}"} if wait_s > 0 else {}


def _path(resource: str, name: str) -> str:
    return f"/v1/{resource}/{_quoted(name)}"


def _quoted(name: str) -> str:
    # A shell may pass bytes that are no text.
    return quote(name, safe="", errors="replace")


def _problem(answer: httpx.Response) -> ProblemError:
    status = answer.status_code
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        document = {"detail": f"{answer.url.host} answered without a problem document: is that a Headroom?"}
        if answer.is_redirect:
            document["detail"] = f"The address has moved to {answer.headers.get('Location')}; use that as the URL."
    return ProblemError(document, status=status, retry_after_s=retry_after_s(answer.headers.get("Retry-After")))


def _document(answer: httpx.Response) -> dict[str, Any]:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotUnderstoodError(f"{answer.url.host} answered with something that is not JSON: is that a Headroom?")
    return document


def _run(answer: httpx.Response) -> Run:
    return run_of(_document(answer), retry_after_s=retry_after_s(answer.headers.get("Retry-After")))
