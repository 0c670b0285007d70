"""The gate: only so many requests are worked on at once, and one whose body is on its way is not worked on.

The server lets a thread wait for a body for as long as its sender likes: it has no time limit for bodies (its issue
728), and a thread that reads cannot be interrupted. So it has many more threads than there are places where requests
are worked on: whoever reads for a while gives its place away. Only some of the threads may read at once, and a quarter
of those for one tenant; and after a while another thread answers 408. Whoever sends slowly holds up nobody else, but a
sender that does not hang up after its 408 keeps its thread: four tenants that all do that can keep others from writing.

Nor does a thread wait for a place: a request for which there is none leaves its thread, or else whoever sends many at
once would have all threads wait, and the others would not even come to where the places are given in turns.
"""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any, cast

import structlog
from flask import Flask

from service.edge.answering import LEFT, Answering, Environ, Wsgi, answer_with, answering_of
from service.edge.arriving import AlreadyAnsweredError, Bodies, is_upload
from service.edge.authentication import likely_tenant
from service.edge.context import runtime_of
from service.edge.door import TURNED_AWAY, Door
from service.edge.express import with_express_lane
from service.edge.limits import network_of
from service.edge.places import Place, Places, has_place, worked_for
from service.edge.requests import FAILED_BEFORE, PROBES
from service.edge.sessions import tenant_signed_in
from service.errors import PlannerError, RateLimitedError
from service.settings import THREADS_PER_PLACE

log = structlog.get_logger(__name__)

# The part of the server's threads that may read bodies.
_READERS = 0.75
# So many requests of one tenant may wait for a place in a process; the next ones are refused.
MOST_WAITING = 256
# By then a part of them has been answered.
_RETRY_AFTER_S = 5
# To size takes a worker at least so long, on the same processors perhaps.
_LEFT_S = 0.02
_WITHOUT_BODY = frozenset({"GET", "HEAD"})
# Whoever asks how the service is waits behind others who ask that, and behind nobody else.
_PROBED_AT_ONCE = 2


class Gate:
    """The outermost WSGI application."""

    def __init__(self, app: Flask, long_way: Wsgi) -> None:
        threads = self._threads = runtime_of(app).settings.web_threads
        self._app = app
        self._door = Door(app)
        self._long_way = long_way
        self._places = Places(threads)
        self._probing = Places(_PROBED_AT_ONCE)
        self._bodies = Bodies(app, long_way, readers=int(threads * THREADS_PER_PLACE * _READERS))
        # The short way needs no place: all that it writes goes through one connection.
        self._inner = with_express_lane(app, self._in_a_place)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Let the request in, unless it is turned away at the door."""
        turned_away = self._door.turned_away(environ)
        if turned_away is not None:
            start_response(TURNED_AWAY, turned_away.headers)
            return [turned_away.body]
        body = environ["wsgi.input"] = self._bodies.on_its_way(environ)
        try:
            try:
                return self._inner(environ, start_response)
            finally:
                # Whoever refused an upload half way has left it open.
                body.close()
        except AlreadyAnsweredError:
            start_response("408 REQUEST TIMEOUT", [])
            return []

    def _in_a_place(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if FAILED_BEFORE in environ:
            # What is left is to tell it.
            return self._long_way(environ, start_response)
        places = self._probing if environ["PATH_INFO"] in PROBES else self._places
        line = self._line_of(environ)
        if not places.take_at_once(line):
            answering = answering_of(environ)
            if places.waiting(line) >= MOST_WAITING:
                return self._refused(environ, start_response, MOST_WAITING)
            if answering is not None and self._may_leave(environ):
                places.line_up(line, partial(self._begin_late, environ, answering, Place(places, line)))
                answering.leave()
                return LEFT
            if answering is not None and places.waiting(line) >= self._threads:
                # It would wait in a thread of the server, of which there are few.
                return self._refused(environ, start_response, self._threads)
            places.take(line)
        return self._worked_on(Place(places, line), environ, start_response)

    def _refused(self, environ: Environ, start_response: Callable[..., Any], most: int) -> Iterable[bytes]:
        environ[FAILED_BEFORE] = RateLimitedError(
            f"{most} calls of yours wait for their turn; send fewer at once.", retry_after_s=_RETRY_AFTER_S
        )
        if environ["REQUEST_METHOD"] in _WITHOUT_BODY:
            return self._long_way(environ, start_response)

        def last(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            return start_response(status, [*headers, ("Connection", "close")], *rest)

        # Nobody reads its body, so the server ends the connection: else a client might take it for its next call.
        return self._long_way(environ, last)

    def _line_of(self, environ: Environ) -> str:
        """Who takes turns with others: a tenant whose key or session is known here, else all from one network."""
        tenant_id = likely_tenant(self._app, environ) or tenant_signed_in(self._app, environ)
        return tenant_id or network_of(environ.get("REMOTE_ADDR", ""))

    def _worked_on(self, place: Place, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        has_place(environ, place)
        try:
            return self._long_way(environ, start_response)
        finally:
            place.give()

    def _may_leave(self, environ: Environ) -> bool:
        """Whether the body is there, or is now: whoever has left its thread reads no more from the server."""
        if environ["REQUEST_METHOD"] in _WITHOUT_BODY:
            return True
        if is_upload(environ):
            return False
        try:
            # That keeps all of it.
            environ["wsgi.input"].read(0)
        except PlannerError as error:
            environ[FAILED_BEFORE] = error
        return True

    @cached_property
    def _others(self) -> ThreadPoolExecutor:
        """Threads for those who have left theirs; as many more may have given their places away while they wait."""
        return ThreadPoolExecutor(2 * self._threads, thread_name_prefix="turn")

    def _begin_late(self, environ: Environ, answering: Answering, place: Place) -> None:
        try:
            self._others.submit(self._late, environ, answering, place)
        except RuntimeError as error:
            # No thread more is to be had at the moment; it was handed to those that there are.
            log.warning("no_thread_to_be_had", error=type(error).__name__)

    def _late(self, environ: Environ, answering: Answering, place: Place) -> None:
        began_s, status = time.thread_time(), None
        has_place(environ, place)
        try:
            status = answer_with(self._long_way, environ, answering)
        except Exception as error:
            log.exception("answer_not_given", error=type(error).__name__)
            answering.answer(HTTPStatus.INTERNAL_SERVER_ERROR, [], b"")
        finally:
            left = worked_for(environ) or status == HTTPStatus.ACCEPTED
            time.sleep(place.rest_s(work_s(computed_s=time.thread_time() - began_s, left=left)))
            place.give()


def work_s(*, computed_s: float, left: bool) -> float:
    """How much work a call made, of which it did so much itself; `left` is whether a worker has or had the rest.

    202 tells that; where the caller waited, the wait does.
    """
    return computed_s + (_LEFT_S if left else 0.0)


def let_in_through_gate(app: Flask) -> None:
    """Put the gate in front of everything."""
    app.wsgi_app = Gate(app, cast("Wsgi", app.wsgi_app))  # type: ignore[method-assign]
