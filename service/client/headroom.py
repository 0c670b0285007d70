"""The API for Python programs: `with Headroom(url, key) as headroom: run = headroom.size(workload)`."""

import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from service.client.address import checked_key, checked_url, on_this_machine
from service.client.batch_calls import BatchCalls
from service.client.choice import ANY_EVENT, ANY_RUN, LISTED_WORKLOADS, EventChoice, RunChoice, WorkloadChoice
from service.client.patience import Patience, pauses_s, retry_after_s
from service.client.problem import HeadroomError, NotUnderstoodError, ProblemError, UnfinishedError, UnreachableError
from service.client.run import Page, Run, page_of, run_of
from service.client.schedule_calls import ScheduleCalls
from service.client.webhook_calls import WebhookCalls

Body = Mapping[str, Any] | bytes
"""A request: a mapping, or the bytes of a JSON text, which are sent as they are for the server to judge."""

ANSWER_WITHIN_S = 30.0
CONNECT_WITHIN_S = 5.0
RUN_WITHIN_S = 600.0
# The server restarts now and then; a wait that outlasts that is not lost.
_UNREACHABLE_WHILE_WAITING_S = 30.0
# So long the server waits for a document that a worker is making.
_DOCUMENT_WAIT_S = 10
_POLL_S = 1.0
_LEAST_POLL_S = 0.1
# So long a request waits at the server for the end of a run: most end sooner, and of the others it tells how far.
_SERVER_WAIT_S = 2
# So much of the time that is left is for the last look.
_LAST_LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """What a table of prices has no place for; whether it is enough is the server's to say."""

    name: str | None = None
    currency: str | None = None
    date: str | None = None
    expires_on: str | None = None
    indicative: bool = False
    note: str | None = None

    def query(self) -> dict[str, str]:
        """The query beside the table; what is None is left out."""
        given = {name: getattr(self, name) for name in ("name", "currency", "date", "expires_on", "note")}
        flags = {"indicative": "true"} if self.indicative else {}
        return {name: value for name, value in given.items() if value is not None} | flags


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

    def price_books(
        self,
        *,
        name: str | None = None,
        currency: str | None = None,
        activated: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """The tenant's price books without their lines, newest first."""
        put_in_force = None if activated is None else str(activated).lower()
        return self._page(
            "/v1/price-books", name=name, currency=currency, activated=put_in_force, limit=limit, cursor=cursor
        )

    def price_book(self, book_id: str) -> dict[str, Any]:
        """One price book with its lines."""
        return _document(self._send("GET", _path("price-books", book_id)))

    def upload_price_book(
        self, content: Body, *, head: TableHead | None = None, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Store a price book; with a head the content is a table (CSV). For administrators."""
        if head is None:
            return _document(self._post("/v1/price-books", content, idempotency_key=idempotency_key))
        answer = self._post(
            "/v1/price-books",
            content,
            headers={"Content-Type": "text/csv"},
            idempotency_key=idempotency_key,
            params=head.query(),
        )
        return _document(answer)

    def activate_price_book(self, book_id: str, *, effective_from: str | None = None) -> dict[str, Any]:
        """Put a price book in force from a day on (today in UTC); refused (412) when somebody else does meanwhile."""
        path = _path("price-books", book_id)
        tag = self._send("GET", path).headers.get("ETag", "*")
        body = {"effective_from": effective_from or f"{datetime.now(UTC):%Y-%m-%d}"}
        return self._change("POST", f"{path}/activate", body, tag=tag)

    def quotes(
        self,
        *,
        at_risk: bool | None = None,
        within_days: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        **only: str | None,
    ) -> Page:
        """Revisions of quotes, newest first; `only`: state, number, run_id, customer, created_after, created_before."""
        risk = None if at_risk is None else str(at_risk).lower()
        return self._page("/v1/quotes", at_risk=risk, within_days=within_days, limit=limit, cursor=cursor, **only)

    def quote(self, quote_id: str) -> dict[str, Any]:
        """One revision of a quote: what was asked, what it says, and how it stands."""
        return _document(self._send("GET", _path("quotes", quote_id)))

    def quote_file(self, quote_id: str, form: str = "pdf", *, within_s: float = 60.0) -> bytes:
        """A revision as pdf, xlsx or csv, once a worker has made it; UnfinishedError when that takes too long."""
        started, path = time.monotonic(), f"{_path('quotes', quote_id)}.{form}"
        asked = {"Accept": "*/*", "Prefer": f"wait={_DOCUMENT_WAIT_S}"}
        while (
            answer := self._send("GET", path, headers=asked, extra_s=_DOCUMENT_WAIT_S)
        ).status_code == httpx.codes.ACCEPTED:
            if time.monotonic() - started > within_s:
                raise UnfinishedError(f"The {form} of {quote_id} is not made yet; ask again.")
            time.sleep(retry_after_s(answer.headers.get("Retry-After")) or 1.0)
        return answer.content

    def quote_revisions(self, quote_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """All revisions of the number of a quote, newest first."""
        return self._page(f"{_path('quotes', quote_id)}/revisions", limit=limit, cursor=cursor)

    def quote_diff(self, quote_id: str, other_id: str) -> dict[str, Any]:
        """What changed from one revision of a quote to another."""
        return _document(self._send("GET", f"{_path('quotes', quote_id)}/diff/{_quoted(other_id)}"))

    def create_quote(self, request: Body, *, idempotency_key: str | None = None) -> dict[str, Any]:
        """Write a quote from an option of a run: a draft."""
        return _document(self._post("/v1/quotes", request, idempotency_key=idempotency_key))

    def change_quote(self, quote_id: str, request: Body, *, tag: str | None = None) -> dict[str, Any]:
        """Write a draft anew over the version of this ETag, or of now; refused (412) when it was changed since."""
        return self._change("PUT", _path("quotes", quote_id), request, tag=tag or self._tag(quote_id))

    def quote_step(
        self, quote_id: str, step: str, body: Body | None = None, *, tag: str | None = None
    ) -> dict[str, Any]:
        """submit, approve, reject, issue, accept, decline or withdraw: over the version of this ETag, or of now."""
        return self._change(
            "POST", f"{_path('quotes', quote_id)}/{_quoted(step)}", body, tag=tag or self._tag(quote_id)
        )

    def revise_quote(
        self, quote_id: str, request: Body, *, tag: str | None = None, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Write the next revision of a quote: a draft at the prices of today."""
        headers = {"If-Match": tag or self._tag(quote_id)}
        path = f"{_path('quotes', quote_id)}/revise"
        return _document(self._post(path, request, headers=headers, idempotency_key=idempotency_key))

    def _tag(self, quote_id: str) -> str:
        return str(self._send("GET", _path("quotes", quote_id)).headers.get("ETag", "*"))

    def _change(self, method: str, path: str, body: Body | None, *, tag: str) -> dict[str, Any]:
        """A change of the version that has this tag."""
        sent: dict[str, Any] = {} if body is None else {"content": _content(body)}
        headers = {"If-Match": tag, **({} if body is None else {"Content-Type": "application/json"})}
        return _document(self._send(method, path, headers=headers, **sent))

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
        for pause_s in pauses_s():
            left_s = max(within_s - (time.monotonic() - started), _LEAST_POLL_S)
            timeout = _timeout(min(self._answer_within_s + extra_s, left_s))
            failure: UnreachableError | ProblemError
            try:
                answer = self._http.request(method, path, timeout=timeout, **request)
            except httpx.RequestError as error:
                failure, most_s = UnreachableError(self._why(error)), patience.unreachable_s
            else:
                if answer.is_success:
                    return answer
                failure, most_s = _problem(answer), patience.busy_s
                if not failure.passing:
                    raise failure
                # A server that says 0 is not asked without a pause.
                pause_s = max(pause_s, failure.retry_after_s or 0.0)  # noqa: PLW2901
            if time.monotonic() - started + pause_s > most_s:
                raise failure
            if self._on_pause is not None:
                self._on_pause(failure, pause_s)
            time.sleep(pause_s)
        raise AssertionError  # pauses never end

    def _why(self, error: httpx.RequestError) -> str:
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError):
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

    def document(self, method: str, path: str, **request: Any) -> Mapping[str, Any]:
        """The JSON of it."""
        return _document(self.send(method, path, **request))

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
