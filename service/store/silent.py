"""A database that says nothing: whoever asks it gives up, for its own time limits end nothing while it does not run.

A server that has stopped, or a network that swallows what is sent, takes a statement and never answers. PostgreSQL
limits its statements itself; what is here lies above that limit, so it ends only what the server will not end.
"""

import time
from typing import TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Dialect, Engine, event

RV = TypeVar("RV")

_LOOKS_EVERY_S = 0.1


class SilentDatabaseError(psycopg.OperationalError):
    """Nothing came back in time, and nobody knows what became of what was asked; the connection is closed."""


def give_up_after(engine: Engine, seconds: float) -> None:
    """No connection of the engine waits for longer than this for any one answer."""

    class Impatient(psycopg.Connection[psycopg.rows.TupleRow]):
        """Waits for so long, and is closed then: what it would hear next belongs to the question before."""

        def wait(self, gen: PQGen[RV], interval: float = _LOOKS_EVERY_S, timeout: float | None = None) -> RV:
            """As every connection waits, with an end."""
            if timeout is not None:
                return super().wait(gen, interval, timeout)
            since_s = time.monotonic()
            try:
                return super().wait(gen, interval, seconds)
            except psycopg.OperationalError as error:
                if time.monotonic() - since_s < seconds:
                    raise
                self.pgconn.finish()
                raise SilentDatabaseError(f"the database said nothing for {seconds:g} s") from error

    def connect(_dialect: Dialect, _record: object, arguments: tuple[object, ...], named: dict[str, object]) -> object:
        return Impatient.connect(*arguments, **named)  # type: ignore[arg-type]  # as the dialect gives them

    event.listen(engine, "do_connect", connect)
