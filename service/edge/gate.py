"""The gate: only so many requests are worked on at once, and one whose body is on its way is not worked on.

The server lets a thread wait for a body for as long as its sender likes: it has no time limit for bodies (its issue
728), and a thread that reads cannot be interrupted. So it has many more threads than there are places where requests
are worked on: whoever reads for a while gives its place away. Only some of the threads may read at once, and a quarter
of those for one tenant; and after a while another thread answers 408. Whoever sends slowly holds up nobody else, but a
sender that does not hang up after its 408 keeps its thread: four tenants that all do that can keep others from writing.
"""

from collections.abc import Callable, Iterable
from typing import Any, cast

from flask import Flask

from service.edge.answering import Environ, Wsgi
from service.edge.arriving import AlreadyAnsweredError, Bodies
from service.edge.context import runtime_of
from service.edge.door import TURNED_AWAY, Door
from service.edge.express import with_express_lane
from service.edge.places import HAS_PLACE, Places

# So many threads of the server for each place where a request is worked on, and the part of them that may read bodies.
THREADS_PER_PLACE = 8
_READERS = 0.75


class Gate:
    """The outermost WSGI application."""

    def __init__(self, app: Flask, long_way: Wsgi) -> None:
        threads = runtime_of(app).settings.web_threads
        self._door = Door(app)
        self._long_way = long_way
        self._places = Places(threads)
        self._bodies = Bodies(app, long_way, self._places, readers=int(threads * THREADS_PER_PLACE * _READERS))
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
        self._places.take()
        environ[HAS_PLACE] = True
        try:
            return self._long_way(environ, start_response)
        finally:
            self._places.give()


def let_in_through_gate(app: Flask) -> None:
    """Put the gate in front of everything."""
    app.wsgi_app = Gate(app, cast("Wsgi", app.wsgi_app))  # type: ignore[method-assign]
