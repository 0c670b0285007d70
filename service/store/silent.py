"""A database that says nothing: whoever asks it gives up, for its own time limits end nothing while it does not run.

A server that has stopped, or a network that swallows what is sent, takes a statement and never answers. PostgreSQL
limits its statements itself; what is here lies above that limit, so it ends only what the server will not end. It is
no limit on an answer as a whole: many statements at once, or many rows, take as long as something comes.
"""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

import psycopg
from psycopg.abc import Params, PQGen, Query
from psycopg.rows import TupleRow
from sqlalchemy import Dialect, Engine, event

RV = TypeVar("RV")

_LOOKS_EVERY_S = 0.1


class SilentDatabaseError(psycopg.OperationalError):
    """Nothing came back in time, and nobody knows what became of what was asked; the connection is closed."""


class _Telling(psycopg.Cursor[TupleRow]):
    """Has the database tell of each of many statements when it is done: it would tell of all of them at the end."""

    def executemany(self, query: Query, params_seq: Iterable[Params], *, returning: bool = False) -> None:
        """As every cursor does."""
        super().executemany(query, self._each_told(params_seq), returning=returning)

    def _each_told(self, params_seq: Iterable[Params]) -> Iterator[Params]:
        connection = self.connection.pgconn
        for params in params_seq:
            yield params
            # The statement with these has been sent by now.
            if connection.pipeline_status:
                connection.send_flush_request()


def give_up_after(engine: Engine, seconds: float) -> None:
    """No connection of the engine waits for longer than this for the database to say or to take anything."""

    class Impatient(psycopg.Connection[TupleRow]):
        """Waits for so long, and is closed then: what it would hear next belongs to the question before."""

        def wait(self, gen: PQGen[RV], interval: float = _LOOKS_EVERY_S, timeout: float | None = None) -> RV:
            """As every connection waits, with an end."""
            if timeout is not None:
                return super().wait(gen, interval, timeout)
            try:
                return super().wait(_unless_silent(gen, seconds), interval)
            except SilentDatabaseError:
                self.pgconn.finish()
                raise

    def connect(_dialect: Dialect, _record: object, arguments: tuple[object, ...], named: dict[str, object]) -> object:
        return Impatient.connect(*arguments, cursor_factory=_Telling, **named)  # type: ignore[arg-type]  # as the dialect gives them

    event.listen(engine, "do_connect", connect)


def _unless_silent(gen: PQGen[RV], seconds: float) -> PQGen[RV]:
    """What `gen` waits for, for as long as the connection is ready for something at least every so many seconds."""
    try:
        wanted = next(gen)
        since_s = time.monotonic()
        while True:
            ready = yield wanted
            if ready:
                since_s = time.monotonic()
            elif time.monotonic() - since_s >= seconds:
                raise SilentDatabaseError(f"the database said nothing for {seconds:g} s")
            wanted = gen.send(ready)
    except StopIteration as done:
        outcome: RV = done.value
        return outcome
