"""The Celery app that a worker starts, and the Runtime that each of its processes builds for itself."""

from config.starting import started  # isort: split

import functools
import os
import sys
import threading
import warnings
from contextlib import suppress
from typing import Any, NoReturn

import structlog
from celery.exceptions import SecurityWarning
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    task_received,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutting_down,
)

from config.environment import SettingsError, settings_from_environment
from service.errors import PlannerError
from service.logs.process import own_logs
from service.metrics import shared_metrics
from service.planning.heartbeat import DELIVERER, WORKER, beat_in_background
from service.queue import CeleryQueue, QueueName, make_celery
from service.runtime import Facts, Runtime, build_runtime, load_facts
from service.settings import Settings
from service.tracing import make_tracing
from workers.inherited import let_go_of_sockets
from workers.program import Program
from workers.watchdog import Watchdog, waiting

# Only ids in JSON come in, so the warning about unpickling as root does not apply.
warnings.filterwarnings("ignore", category=SecurityWarning)

log = structlog.get_logger(__name__)

_PARENT = os.getpid()
_beating: list[threading.Event] = []
# Steps of niceness: of a processor that both want, whoever answers gets nine parts of ten.
_SIZING_YIELDS = 10
# A process that sends deliveries has many threads, and one Runtime.
_building = threading.Lock()


def _refuse_to_start(reason: str) -> NoReturn:
    """Nothing of Celery runs yet, or it would go on after every error but an exit."""
    own_logs("INFO", role=WORKER)
    log.critical("cannot_start", reason=reason)
    sys.exit(1)


@functools.cache
def settings() -> Settings:
    """What the environment states; the process ends where it states something wrong."""
    try:
        return settings_from_environment()
    except SettingsError as error:
        _refuse_to_start(str(error))


@functools.cache
def facts() -> Facts:
    """Catalog and prices: read once by the parent, shared with every process it forks."""
    return load_facts(settings(), stored_predictions=False)


@functools.cache
def watchdog() -> Watchdog:
    """Of the parent, which is the one that takes messages."""
    queue = CeleryQueue(settings())
    listened = tuple(name for name in QueueName if name.value in app.amqp.queues.consume_from)
    return Watchdog(waiting=lambda: waiting(queue, listened), deaf_after_s=settings().worker_deaf_after_s)


@functools.cache
def _runtime(_process_id: int) -> Runtime:
    tracing = make_tracing(settings(), role=WORKER)
    return build_runtime(settings(), facts=facts(), metrics=shared_metrics(settings().metrics_dir), tracing=tracing)


def runtime() -> Runtime:
    """The Runtime of this process; a forked child never uses its parent's connections."""
    with _building:
        return _runtime(os.getpid())


app = make_celery(settings())
app.Worker = app.subclass_with_self(Program)
app.conf.imports = ("workers.sizing", "workers.documents", "workers.upkeep", "workers.webhooks")
app.conf.worker_consumer = "workers.consumer:ReconnectingConsumer"


def _on_setup_logging(**_: Any) -> None:
    own_logs(settings().log_level, role=WORKER)


def _on_worker_init(**_: Any) -> None:
    """Without facts a worker would drop what it is given."""
    try:
        facts()
    except PlannerError as error:
        _refuse_to_start(error.message)
    # Before a process is forked, which then shares what nobody looks through.
    started()


def _on_process_init(**_: Any) -> None:
    if os.getpid() != _PARENT:
        let_go_of_sockets()
    # Answers wait for milliseconds, sizings for a second or more.
    os.nice(_SIZING_YIELDS)
    if hasattr(os, "SCHED_BATCH"):
        # Nor does it interrupt anybody when its turn comes.
        with suppress(OSError):
            # Some sandboxes have no such thing.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    _beating[:] = [beat_in_background(runtime(), role=WORKER)]


def _on_process_end(**_: Any) -> None:
    runtime().tracing.stop()


def _on_ready(sender: Any, **_: Any) -> None:
    log.info("worker_ready", concurrency=sender.pool.limit)
    if not sender.pool.uses_semaphore:
        # Threads of this process do the work: no process is forked that would say that it lives.
        _beating[:] = [beat_in_background(runtime(), role=DELIVERER)]
    watchdog().start()


def _on_message(**_: Any) -> None:
    watchdog().heard()


def _on_shutting_down(how: str, **_: Any) -> None:
    log.info("worker_stopping", how=how.lower())
    watchdog().stopped.set()


def _on_task_start(task_id: str, task: Any, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task_id=task_id, task=task.name)


def _on_task_end(**_: Any) -> None:
    structlog.contextvars.clear_contextvars()


setup_logging.connect(_on_setup_logging, weak=False)
worker_init.connect(_on_worker_init, weak=False)
worker_process_init.connect(_on_process_init, weak=False)
worker_process_shutdown.connect(_on_process_end, weak=False)
worker_ready.connect(_on_ready, weak=False)
task_received.connect(_on_message, weak=False)
worker_shutting_down.connect(_on_shutting_down, weak=False)
task_prerun.connect(_on_task_start, weak=False)
task_postrun.connect(_on_task_end, weak=False)
