"""The product's own application, whose process dies when it rings, where a file says so: committed, not answered.

The tests start it with `granian --factory tests.e2e.dying_app:create_app`. Everything but the queue is the product's.
"""

import os
import signal
from pathlib import Path

from flask import Flask

from config.environment import settings_from_environment
from service import app
from service.queue import CeleryQueue, QueueName, TaskName
from service.runtime import build_runtime

FATAL = Path(os.environ["HEADROOM_TEST_GATE"]) / "fatal"


class FatalQueue(CeleryQueue):
    """Rings, or dies."""

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        if FATAL.exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().enqueue(task, *ids, queue=queue)


def create_app() -> Flask:
    """The application."""
    settings = settings_from_environment()
    return app.create_app(build_runtime(settings, queue=FatalQueue(settings)))
