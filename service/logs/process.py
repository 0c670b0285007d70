"""A process of the product owns its logs: whatever anybody in it writes becomes lines of one form on standard error."""

import logging
import sys
import threading
from io import TextIOBase
from types import TracebackType
from typing import Any

import structlog

from service.logs.configure import LineHandler, configure_logging
from service.logs.line import to_descriptor, without_secrets

log = structlog.get_logger(__name__)

# They repeat every attempt, or tell what our own events tell with more ids; their warnings and errors are enough.
_CHATTY = (
    *(
        "alembic",
        "amqp",
        "celery.app.trace",
        "celery.apps.worker",
        "celery.redirected",
        "celery.worker.strategy",
        "kombu",
    ),
    *("urllib3", "opentelemetry"),
)
_POOL = "multiprocessing"
_BRING_THEIR_OWN = ("_granian", "granian.access")


def own_logs(level: str, *, role: str) -> None:
    """To be called once at the start of a process, and again when its level is known."""
    configure_logging(level, role=role, sink=to_descriptor)
    root = logging.getLogger()
    root.handlers = [LineHandler(role=role, sink=to_descriptor)]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Of Celery's process pool; it cuts its logger off from the root when it first needs it.
    pool = logging.getLogger(_POOL)
    pool.handlers, pool.propagate = root.handlers, False
    pool.setLevel(max(logging.WARNING, root.level))
    for name in _BRING_THEIR_OWN:
        logging.getLogger(name).handlers = []
        logging.getLogger(name).propagate = True
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable
    sys.stdout = sys.stderr = Printed()


def server_handler() -> logging.Handler:
    """For the web server's own configuration: its first process runs none of our code."""
    return LineHandler(role="web", sink=to_descriptor)


class Printed(TextIOBase):
    """Standard output and error of a process that has nobody to talk to: what is printed becomes an event per line."""

    encoding = "utf-8"

    def __init__(self) -> None:
        super().__init__()
        self._begun = ""

    def write(self, text: str) -> int:
        """Take the text; whole lines are logged, the beginning of one is kept."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            if line.strip():
                log.warning("printed", text=without_secrets(line.rstrip()))
        return len(text)

    def writable(self) -> bool:
        """It takes text."""
        return True

    def fileno(self) -> int:
        """Where children would write."""
        return sys.__stderr__.fileno() if sys.__stderr__ else 2


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, KeyboardInterrupt):
        log.critical("uncaught_error", error=kind.__name__, exc_info=(kind, error, trace))


def _uncaught_in_thread(arguments: Any) -> None:
    _uncaught(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)


def _unraisable(arguments: Any) -> None:
    log.error(
        "unraisable_error",
        error=arguments.exc_type.__name__,
        exc_info=(arguments.exc_type, arguments.exc_value, arguments.exc_traceback),
    )
