"""Quick logs: the same lines by a short way, for the few events that many requests a second tell of.

Whatever is out of the ordinary, a long text or one that is not ASCII for example, goes through structlog as ever.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime

import orjson
import structlog
from structlog.types import EventDict

from service.logs.fields import ALLOWED, LONGEST_TEXT
from service.logs.line import LONGEST_LINE_BYTES, Sink

Plain = str | int | float | bool | None


class _Clock:
    """Writes the time as structlog does; within a second only what follows the point is written anew."""

    def __init__(self) -> None:
        self._begun = 0, ""

    def __call__(self) -> str:
        second, rest_ns = divmod(time.time_ns(), 1_000_000_000)
        begun = self._begun
        if begun[0] != second:
            begun = self._begun = second, f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"
        return f"{begun[1]}.{rest_ns // 1000:06d}Z"


class _Process:
    """Knows its number without asking the operating system for every line."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        os.register_at_fork(after_in_child=self._look)

    def _look(self) -> None:
        self.pid = os.getpid()


_AS_THEY_ARE = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
_now = _Clock()
_process = _Process()
_Write = Callable[[str, str, EventDict], bool]
_ways: list[_Write] = []
_sinks: list[Sink] = []
_gathered: ContextVar[list[bytes] | None] = ContextVar("gathered", default=None)


def go_quickly(level: int, *, role: str, sink: Sink) -> None:
    """From now on quick lines go to this sink, in the form that structlog was given with it."""

    def write(name: str, event: str, fields: EventDict) -> bool:
        """False where the line is not an ordinary one, and nothing is written."""
        if level > logging.INFO:
            return True
        if not fields.keys() <= ALLOWED:
            return False
        text = orjson.dumps(fields, option=_AS_THEY_ARE)
        # Where all of it is short, each part is. Terminals obey DEL; brackets may be an object's.
        if len(text) > LONGEST_TEXT or not text.isascii() or b"\x7f" in text or b"[" in text or b"{" in text[1:]:
            return False
        head = (
            f'{{"timestamp":"{_now()}","level":"info","event":"{event}","logger":"{name}",'
            f'"process":"{role}","pid":{_process.pid},'
        )
        line = head.encode() + text[1:]
        if (gathered := _gathered.get()) is None:
            sink(line)
        else:
            gathered.append(line)
        return True

    _ways[:] = [write]
    _sinks[:] = [sink]


@contextmanager
def written_together() -> Iterator[None]:
    """The quick lines of this thread are written at the end, a few of them in one piece."""
    lines: list[bytes] = []
    token = _gathered.set(lines)
    try:
        yield
    finally:
        _gathered.reset(token)
        for piece in _pieces(lines):
            _sinks[0](piece)


def _pieces(lines: Sequence[bytes]) -> Iterator[bytes]:
    """As long as a pipe takes in one piece, so that lines of several processes never mix."""
    piece: list[bytes] = []
    length = 0
    for line in lines:
        if piece and length + len(line) >= LONGEST_LINE_BYTES:
            yield b"\n".join(piece)
            piece, length = [], 0
        piece.append(line)
        length += len(line) + 1
    if piece:
        yield b"\n".join(piece)


class QuickLog:
    """A logger of events of the level INFO that have fields, each of them plain: mypy sees to that."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def info(self, event: str, **fields: Plain) -> None:
        """Write one line; ids that were bound to the context come along."""
        try:
            # Whoever writes lines together does so for others, and is bound to nobody.
            told: EventDict = fields
            if _gathered.get() is None:
                told = structlog.contextvars.merge_contextvars(None, "info", told)
            if _ways and _ways[0](self._name, event, told):
                return
        except TypeError:
            # Half a surrogate pair, a number of more than 64 bits: orjson has none.
            pass
        structlog.get_logger(self._name).info(event, **fields)
