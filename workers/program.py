"""The worker as a program, which says in log lines what Celery's prints for a person who watches a terminal."""

from typing import Any

import celery.apps.worker as celery_program
import structlog

log = structlog.get_logger(__name__)


class Program(celery_program.Worker):  # type: ignore[misc]  # Celery publishes no types
    """Celery's worker without its banner."""

    def emit_banner(self) -> None:
        """Nothing: `worker_ready` is logged once it is."""


def say(words: str, _file: Any = None) -> None:
    """What Celery writes past every logger while it stops: how it stops, and what another Ctrl-C would do."""
    log.info("worker_says", text=" ".join(words.split()))


# Called by its signal handlers under this name; there is no setting for it.
celery_program.safe_say = say
