"""How logs are made: structlog for our own events, the same form for the records of the standard library."""

import logging
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from service.logs.exceptions import RENDERER
from service.logs.fields import OnlyAllowed
from service.logs.line import LineLogger, Sink, render, render_text, to_standard_error, without_secrets
from service.logs.quick import go_quickly

# Their words are about servers and processes. Of every other library only the form of a message is told, without what
# was put into it: celery.app.trace would put in an error's words, sqlalchemy a statement's parameters.
_SPEAK_FREELY = (
    "_granian",
    "alembic",
    "amqp",
    "billiard",
    "celery",
    "granian",
    "kombu",
    "multiprocessing",
    "py.warnings",
)
_QUOTE_OTHERS = ("celery.app.trace",)

_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)


def configure_logging(level: str, *, role: str, sink: Sink = to_standard_error) -> None:
    """Send our events through JSON lines; ids that were bound to the context come along."""
    least = logging.getLevelNamesMapping()[level]
    go_quickly(least, role=role, sink=sink)
    structlog.configure(
        processors=[*_known(), RENDERER, OnlyAllowed(role), render],
        wrapper_class=structlog.make_filtering_bound_logger(least),
        logger_factory=lambda name=None, *_: LineLogger(name, sink),
        cache_logger_on_first_use=False,
    )


def _known() -> tuple[Processor, ...]:
    return (
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _STAMP,
    )


class LineHandler(logging.Handler):
    """Records of the standard library as lines of the same form."""

    def __init__(self, *, role: str, sink: Sink) -> None:
        super().__init__()
        self._sink = sink
        self._only = OnlyAllowed(role)
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=_known(),
                processors=[
                    _careful,
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    RENDERER,
                    self._only,
                    render_text,
                ],
                use_get_message=False,
                pass_foreign_args=True,
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; one that cannot be written is told in one line too."""
        try:
            self._sink(self.format(record).encode())
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a record, its writer must go on
            self._sink(self._of_bad(record, error))

    def _of_bad(self, record: logging.LogRecord, error: Exception) -> bytes:
        line = {"event": "bad_log_record", "level": "error", "logger": record.name, "error": type(error).__name__}
        return render(None, "error", self._only(None, "error", _STAMP(None, "error", line)))


def _careful(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    """The message as far as its logger may speak, on one line, without secrets."""
    arguments = fields.pop("positional_args", ())
    name = str(fields.get("logger"))
    # With an exception comes a message into which that exception is put.
    quotes = "exc_info" in fields or _starts(name, _QUOTE_OTHERS)
    if _starts(name, _SPEAK_FREELY) and not quotes:
        fields["event"] = _filled(fields["event"], arguments)
    fields["event"] = without_secrets(" ".join(fields["event"].split()))
    return fields


def _filled(form: str, arguments: tuple[Any, ...] | MutableMapping[str, Any]) -> str:
    return form % arguments if arguments else form


def _starts(name: str, families: tuple[str, ...]) -> bool:
    return any(name == family or name.startswith(f"{family}.") for family in families)
