"""The short way of a workload whose question was answered before: many are written together, and answered from there.

Where the server lets it, the request leaves its thread as soon as it is understood, and whoever has committed it
answers: threads that wait to be woken for that would take the interpreter from each other at every step.
"""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from http import HTTPStatus
from queue import SimpleQueue

import structlog
from flask import Flask

from service.access import Permission
from service.edge.answering import LEFT, Answering, Environ, Wsgi, answer_with, answering_of
from service.edge.answers import MEDIA_TYPE
from service.edge.context import runtime_of
from service.edge.encoding import VARY
from service.edge.limits import SPENT, spend_write
from service.edge.requests import FAILED_BEFORE
from service.edge.run_content import content, is_sent_by_gzip
from service.edge.short_answer import NOT_KEPT, Asked, ShortAnswer, caller_with, tell
from service.errors import PlannerError
from service.gathering import Rest
from service.planning.answered import Told
from service.planning.reading import RunAnswer
from service.planning.submit import submit_known
from service.schemas.json_text import parse_json
from service.schemas.workload import SizingRequest, request_in_known_words

log = structlog.get_logger(__name__)

POST_ROUTE = "/v1/workloads"
# What changes the meaning of a POST is for Flask.
_UNUSUAL = frozenset({"HTTP_IDEMPOTENCY_KEY", "HTTP_PREFER", "HTTP_CONTENT_ENCODING", "HTTP_TRANSFER_ENCODING"})
# So many requests may have left their threads; those that come then wait in theirs, which the server has few of.
_MOST_LEFT = 1000


class ExpressPost:
    """POST /v1/workloads without Flask."""

    def __init__(self, app: Flask, long_way: Wsgi) -> None:
        self._app = app
        self._long_way = long_way
        self._body_limit = int(app.config["MAX_CONTENT_LENGTH"])

    def posted(self, environ: Environ, started: float, request_id: str) -> ShortAnswer | list[bytes] | None:
        """The answer; LEFT where another thread gives it; None where Flask is to give it."""
        caller = caller_with(self._app, environ, Permission.WORKLOADS)
        if caller is None or not environ.keys().isdisjoint(_UNUSUAL):
            return None
        request = self._known_request(environ)
        standing = None if request is None else spend_write(self._app, caller)
        if request is None or standing is None or not standing.allowed:
            return None
        environ[SPENT] = standing
        asked = Asked(since_s=started, request_id=request_id, caller=caller, standing=standing)
        answering = answering_of(environ)
        if answering is None or runtime_of(self._app).gathering.waiting() > _MOST_LEFT:
            return self._waited_for(environ, asked, request)
        if not self._submitted(environ, asked, request, lambda told: self._given(environ, asked, told, answering)):
            return None
        answering.leave()
        return LEFT

    def _waited_for(self, environ: Environ, asked: Asked, request: SizingRequest) -> ShortAnswer | None:
        told: SimpleQueue[Told] = SimpleQueue()
        if not self._submitted(environ, asked, request, told.put):
            return None
        return self._answer(environ, asked, told.get())

    def _submitted(self, environ: Environ, asked: Asked, request: SizingRequest, told: Callable[[Told], Rest]) -> bool:
        try:
            return submit_known(runtime_of(self._app), asked.caller, request, request_id=asked.request_id, tell=told)
        except PlannerError as error:
            environ[FAILED_BEFORE] = error
            return False

    def _given(self, environ: Environ, asked: Asked, told: Told, answering: Answering) -> Rest:
        """What gives the answer. Called by the thread that writes, which nothing may stop."""
        try:
            answer = self._answer(environ, asked, told)
            if answer is None:
                # Not here: the long way may have something written itself.
                self._others.submit(self._take_the_long_way, environ, answering)
                return None
            headers, body = answer.headers(), b"".join(answer.chunks)
        except Exception as error:
            log.exception("answer_not_given", error=type(error).__name__)
            return None
        return lambda: _give(answering, answer.status, headers, body)

    def _answer(self, environ: Environ, asked: Asked, told: Told) -> ShortAnswer | None:
        """None where the long way is to answer, for what went wrong too: it may have been written, so it is not tried
        again, and Flask says what happened.
        """
        if isinstance(told, RunAnswer):
            try:
                return self._posted(environ, asked, told)
            except Exception as error:  # noqa: BLE001 - Flask logs it and answers 500
                told = error
        if told is not None:
            environ[FAILED_BEFORE] = told
        return None

    def _posted(self, environ: Environ, asked: Asked, run: RunAnswer) -> ShortAnswer:
        chunks, own_headers = content(runtime_of(self._app), run, by_gzip=is_sent_by_gzip(run, environ))
        short = ShortAnswer(
            asked=asked,
            route=POST_ROUTE,
            method="POST",
            path=POST_ROUTE,
            run_id=run.id,
            status=HTTPStatus.OK,
            own_headers=(("Location", f"/v1/runs/{run.id}"), *own_headers, VARY, *NOT_KEPT),
            chunks=chunks,
        )
        tell(self._app, short)
        return short

    @cached_property
    def _others(self) -> ThreadPoolExecutor:
        """Threads that take the long way for those who have left theirs; hardly ever needed."""
        return ThreadPoolExecutor(runtime_of(self._app).settings.web_threads, thread_name_prefix="late")

    def _take_the_long_way(self, environ: Environ, answering: Answering) -> None:
        try:
            answer_with(self._long_way, environ, answering)
        except Exception as error:
            log.exception("answer_not_given", error=type(error).__name__)

    def _known_request(self, environ: Environ) -> SizingRequest | None:
        """The request in the body, where its question was valid in these words before; the body can be read again."""
        length = environ.get("CONTENT_LENGTH", "")
        if environ.get("CONTENT_TYPE") != MEDIA_TYPE or not length.isdigit() or not 0 < int(length) < self._body_limit:
            return None
        try:
            body = environ["wsgi.input"].read(int(length))
        except PlannerError as error:
            environ[FAILED_BEFORE] = error
            return None
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            return request_in_known_words(parse_json(body))
        except PlannerError:
            return None


def _give(answering: Answering, status: HTTPStatus, headers: list[tuple[str, str]], body: bytes) -> None:
    try:
        answering.answer(status, headers, body)
    except Exception as error:
        log.exception("answer_not_given", error=type(error).__name__)
