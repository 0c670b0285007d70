"""The Celery app that a worker starts, and the Runtime that each of its processes builds for itself."""

import functools
import os
import sys
import threading
import warnings
from typing import Any

import structlog
from celery.exceptions import SecurityWarning
from celery.signals import setup_logging, task_postrun, task_prerun, worker_init, worker_process_init

from config.environment import settings_from_environment
from service.errors import PlannerError
from service.planning.heartbeat import WORKER, beat_in_background
from service.queue import make_celery
from service.runtime import Facts, Runtime, build_runtime, load_facts
from service.settings import Settings
from workers.logs import configure_logs

# Only ids in JSON come in, so the warning about unpickling as root does not apply.
warnings.filterwarnings("ignore", category=SecurityWarning)

_beating: list[threading.Event] = []


@functools.cache
def settings() -> Settings:
    """What the environment states."""
    return settings_from_environment()


@functools.cache
def facts() -> Facts:
    """Catalog and prices: read once by the parent, shared with every process it forks."""
    return load_facts(settings())


@functools.cache
def _runtime(_process_id: int) -> Runtime:
    return build_runtime(settings(), facts=facts())


def runtime() -> Runtime:
    """The Runtime of this process; a forked child never uses its parent's connections."""
    return _runtime(os.getpid())


app = make_celery(settings())
app.conf.imports = ("workers.sizing",)


def _on_setup_logging(**_: Any) -> None:
    configure_logs(settings().log_level)


def _on_worker_init(**_: Any) -> None:
    """Without facts a worker would drop what it is given; Celery goes on after every error but an exit."""
    try:
        facts()
    except PlannerError as error:
        sys.exit(f"headroom: the worker cannot start: {error.message}")


def _on_process_init(**_: Any) -> None:
    _beating[:] = [beat_in_background(runtime(), role=WORKER)]


def _on_task_start(task_id: str, task: Any, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)


def _on_task_end(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()


setup_logging.connect(_on_setup_logging, weak=False)
worker_init.connect(_on_worker_init, weak=False)
worker_process_init.connect(_on_process_init, weak=False)
task_prerun.connect(_on_task_start, weak=False)
task_postrun.connect(_on_task_end, weak=False)
