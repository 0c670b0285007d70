"""Logs of the background processes: Celery's and our own, one JSON object per line on standard error."""

import logging
import sys

import structlog

from service.edge.logs import configure_logging

# Kombu and Celery repeat every connection attempt; their warnings and errors are enough.
_CHATTY = ("kombu", "celery.redirected", "amqp")


def configure_logs(level: str) -> None:
    """Ours through structlog; everybody else's through the same form."""
    configure_logging(level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_log_level,
                structlog.stdlib.add_logger_name,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
