"""One event, one line: JSON that no value can break, written at once so that lines of several processes never mix."""

import json
import os
import re
import sys
from collections.abc import Callable

import orjson
from structlog.types import EventDict, WrappedLogger

from service.logs.fields import cut

# POSIX writes up to this many bytes into a pipe in one piece; container runtimes read standard error from a pipe.
LONGEST_LINE_BYTES = 4096
_STANDARD_ERROR = 2
_FEW_FRAMES = 4
_FEW_ERRORS = 2
_SHORT_TEXT = 60
# An address with a user and a password, and the keys that this service gives out.
_SECRETS = re.compile(r"(?<=://)[^\s/@]*(?=@)|\bBearer\s+\S+|\bhr_[A-Za-z0-9]+_[\w-]+", re.IGNORECASE)

Sink = Callable[[bytes], None]


def render(_logger: WrappedLogger, _method: str, line: EventDict) -> bytes:
    """The line in bytes, without its newline: never longer than a pipe takes in one piece."""
    text = _json(line)
    if len(text) < LONGEST_LINE_BYTES:
        return text
    if "exception" in line:
        line["exception"] = [
            {**error, "frames": error["frames"][-_FEW_FRAMES:]} for error in line["exception"][:_FEW_ERRORS]
        ]
        text = _json(line)
    if len(text) < LONGEST_LINE_BYTES:
        return text
    return _json({name: _shorter(value) for name, value in line.items() if name != "exception"})


def render_text(logger: WrappedLogger, method: str, line: EventDict) -> str:
    """The same as text, for the standard library."""
    return render(logger, method, line).decode("ascii", "backslashreplace")


def _shorter(value: object) -> object:
    return cut(value, _SHORT_TEXT) if isinstance(value, str) else value


def _json(line: EventDict) -> bytes:
    try:
        text = orjson.dumps(line)
    except TypeError:
        # Half a surrogate pair, or a number of more than 64 bits.
        return _ascii(line)
    # Some readers end lines at other characters than LF, and terminals obey those between 0x7f and 0x9f.
    return text if text.isascii() and b"\x7f" not in text else _ascii(line)


def _ascii(line: EventDict) -> bytes:
    return (
        json.dumps(line, separators=(",", ":"), default=lambda value: type(value).__name__)
        .replace("\x7f", "\\u007f")
        .encode()
    )


def without_secrets(text: str) -> str:
    """A text of somebody else's with the passwords of addresses and the keys of callers left out."""
    return _SECRETS.sub("***", text)


def to_standard_error(line: bytes) -> None:
    """Write to whatever standard error is at this moment: tests and scripts redirect it."""
    sys.stderr.write(line.decode() + "\n")


def to_descriptor(line: bytes) -> None:
    """Write straight to the descriptor in one call. A full disk or a closed pipe loses the line, never the request."""
    try:
        os.write(_STANDARD_ERROR, line + b"\n")
    except OSError:
        return


class LineLogger:
    """What structlog hands rendered lines to."""

    __slots__ = ("_sink", "name")

    def __init__(self, name: str | None, sink: Sink) -> None:
        self.name = name
        self._sink = sink

    def msg(self, line: bytes) -> None:
        """Write a line."""
        self._sink(line)

    log = debug = info = warn = warning = error = critical = exception = fatal = msg
