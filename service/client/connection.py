"""The connection to a server: every call is tried again where that may help, and fails in sentences where not."""

import json
import math
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from service.client.address import checked_key, checked_url, on_this_machine
from service.client.patience import LEAST_PAUSE_S, Patience, pauses_s, retry_after_s
from service.client.problem import HeadroomError, NotUnderstoodError, ProblemError, UnreachableError
from service.client.run import Page, page_of

Body = Mapping[str, Any] | bytes
"""A request: a mapping, or the bytes of a JSON text, which are sent as they are for the server to judge."""

CONNECT_WITHIN_S = 5.0
# Nobody was there to take the request: nothing came of it.
_NEVER_SENT = (httpx.ConnectTimeout, httpx.ConnectError)


class Connection:
    """Answers, documents, changes under a tag, pages and streams."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        patience: Patience | None,
        answer_within_s: float,
        on_pause: Callable[[HeadroomError, float], None] | None,
    ) -> None:
        address = checked_url(url)
        self.url = str(address)
        self.patience = patience or Patience()
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

    def close(self) -> None:
        """Close it."""
        self._http.close()

    def send(
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
        patience = (patience or self.patience).within(within_s)
        started = time.monotonic()
        may_be_done = False
        for pause_s in pauses_s():
            left_s = max(within_s - (time.monotonic() - started), LEAST_PAUSE_S)
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

    def document(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON of the answer."""
        return document_of(self.send(method, path, **request))

    def posted(
        self,
        path: str,
        body: Body | None,
        *,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        **how: Any,
    ) -> httpx.Response:
        """The answer to a POST, under one idempotency key for all tries: the server makes one thing of them."""
        sent = {**_typed(body), "Idempotency-Key": idempotency_key or uuid.uuid4().hex, **(headers or {})}
        return self.send("POST", path, headers=sent, **_content(body), **how)

    def post(self, path: str, body: Body | None, **how: Any) -> dict[str, Any]:
        """The JSON of the answer to a POST."""
        return document_of(self.posted(path, body, **how))

    def change(self, method: str, path: str, body: Body | None, *, tag: str) -> dict[str, Any]:
        """A change of the version that has this tag."""
        return self.document(method, path, headers={"If-Match": tag, **_typed(body)}, **_content(body))

    def page(self, path: str, **query: str | int | list[str] | None) -> Page:
        """A page of a list; what is None is not asked."""
        params = {name: value for name, value in query.items() if value is not None}
        return page_of(self.document("GET", path, params=params))

    def tag(self, path: str) -> str:
        """The ETag of what is there now."""
        return tag_of(self.send("GET", path))

    @contextmanager
    def streamed(self, path: str, **request: Any) -> Iterator[httpx.Response]:
        """An answer that is read as it comes; one that breaks off is UnreachableError, and asked for again by hand."""
        try:
            with self._http.stream("GET", path, timeout=_timeout(self._answer_within_s), **request) as answer:
                if not answer.is_success:
                    answer.read()
                    raise _problem(answer)
                yield answer
        except httpx.RequestError as error:
            raise UnreachableError(self._why(error)) from error

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


def path_of(*names: str) -> str:
    """The path of a resource: its kind, its id, and what lies under it."""
    # A shell may pass bytes that are no text.
    return "/v1/" + "/".join(quote(name, safe="", errors="replace") for name in names)


def document_of(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of an answer."""
    try:
        document = answer.json()
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NotUnderstoodError(f"{answer.url.host} answered with something that is not JSON: is that a Headroom?")
    return document


def tag_of(answer: httpx.Response) -> str:
    """The ETag of what an answer shows."""
    return str(answer.headers.get("ETag", "*"))


def _typed(body: Body | None) -> dict[str, str]:
    return {} if body is None else {"Content-Type": "application/json"}


def _content(body: Body | None) -> dict[str, Any]:
    if body is None:
        return {}
    return {"content": body if isinstance(body, bytes) else json.dumps(body).encode()}


def _timeout(answer_s: float) -> httpx.Timeout:
    return httpx.Timeout(answer_s, connect=min(CONNECT_WITHIN_S, answer_s))


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
