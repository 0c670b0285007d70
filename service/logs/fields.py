"""What a log line may hold: fields by name, values short and plain. What is not named here stays out of the logs."""

import os
from typing import Any

from structlog.types import EventDict, WrappedLogger

ALWAYS = ("timestamp", "level", "event", "logger", "process", "pid")
_IDS = {
    *(
        "attempt",
        "attempts",
        "batch_id",
        "chunk",
        "digest",
        "follows",
        "key_id",
        "kind",
        "occurrence_id",
        "price_book_id",
        "quote_id",
        "request_id",
        "resource_id",
        "run_id",
        "schedule_id",
        "task",
        "task_id",
    ),
    *("tenant_id", "token", "trace_id", "workload_id"),
}
_HTTP = {"bytes", "duration_ms", "method", "path", "route", "status"}
_FACTS = {
    *(
        "answered_from",
        "cached",
        "code",
        "computed_s",
        "concurrency",
        "count",
        "documents",
        "error",
        "feasible",
        "file",
        "folder",
        "how",
        "items",
        "line",
        "pause_s",
        "poisoned",
    ),
    *("promoted", "queue", "reason", "revision", "rung", "rung_by", "settled", "silent_s", "text"),
}
ALLOWED = frozenset(_IDS | _HTTP | _FACTS)
LONGEST_TEXT = 500
_LEFT_OUT = "left_out"
_PLAIN = frozenset({str, int, float, bool, type(None)})


class OnlyAllowed:
    """The processor that keeps the allow-list, so that no customer's text, price or secret slips in by accident."""

    def __init__(self, role: str) -> None:
        self._role = role

    def __call__(self, _logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
        """The fields that may stand in a line, in the order of the line; only the names of the others."""
        fields["process"] = self._role
        fields["pid"] = os.getpid()
        line: EventDict = {name: fields.pop(name, None) for name in ALWAYS}
        if line["event"].__class__ is not str or len(line["event"]) > LONGEST_TEXT:
            line["event"] = cut(str(line["event"]))
        exception = fields.pop("exception", None)
        left_out = []
        for name, value in fields.items():
            if name not in ALLOWED:
                left_out.append(name)
            elif value.__class__ in _PLAIN and (value.__class__ is not str or len(value) <= LONGEST_TEXT):
                line[name] = value
            else:
                line[name] = _plain(value)
        if left_out:
            line[_LEFT_OUT] = cut(" ".join(sorted(left_out)))
        if exception is not None:
            line["exception"] = exception
        return line


def cut(text: str, longest: int = LONGEST_TEXT) -> str:
    """The text, or its beginning where it is too long."""
    return text if len(text) <= longest else text[: longest - 3] + "..."


def _plain(value: Any) -> str:
    """An enumeration of texts is its text. Of other objects only the type is told: a repr may hold anything."""
    return cut(str(value)) if isinstance(value, str) else f"<{type(value).__name__}>"
