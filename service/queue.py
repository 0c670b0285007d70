"""The doorbell: Celery's settings, task names, routes, and a way to ring that never hangs and never raises."""

from enum import StrEnum
from typing import Any, Protocol

import structlog
from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from kombu.utils.scheduling import round_robin_cycle

from service.breaker import Breaker
from service.settings import Settings

log = structlog.get_logger(__name__)

# Only this module knows Celery: planning catches the soft time limit under this name.
TimeLimitReached = SoftTimeLimitExceeded

KEY_PREFIX = "headroom:"
# Celery would retry a connection in steps of seconds; whoever publishes has the sweeper behind it instead.
_NO_RETRY = {"max_retries": 0, "interval_start": 0.0, "interval_step": 0.0, "interval_max": 0.0}


class TaskName(StrEnum):
    """Every task that a worker registers; `workers/` must register exactly these."""

    SIZE_WORKLOAD = "size_workload"
    RENDER_QUOTE = "render_quote"
    SIZE_CHUNK = "size_chunk"
    DELIVER_WEBHOOK = "deliver_webhook"
    RESIZE_STALE = "resize_stale"
    PRUNE = "prune"


class QueueName(StrEnum):
    """Queues are separate so that a batch never makes a person wait, nor a slow receiver of webhooks anybody."""

    INTERACTIVE = "interactive"
    BATCH = "batch"
    WEBHOOKS = "webhooks"


# Who sizes listens to these; deliveries have workers of their own.
SIZING_QUEUES = (QueueName.INTERACTIVE, QueueName.BATCH)


ROUTES: dict[TaskName, QueueName] = {
    TaskName.SIZE_WORKLOAD: QueueName.INTERACTIVE,
    TaskName.RENDER_QUOTE: QueueName.INTERACTIVE,
    TaskName.SIZE_CHUNK: QueueName.BATCH,
    TaskName.DELIVER_WEBHOOK: QueueName.WEBHOOKS,
    TaskName.RESIZE_STALE: QueueName.BATCH,
    TaskName.PRUNE: QueueName.BATCH,
}


class InteractiveFirst(round_robin_cycle):
    """In which order a worker looks into its queues: always into that of people first."""

    def rotate(self, last_used: Any) -> Any:
        """The order stays."""
        return last_used

    def consume(self, n: int) -> list[str]:
        """So many queues, in the order of QueueName, however the keys of the broker spell their names."""
        order = {name.value: place for place, name in enumerate(QueueName)}
        return sorted(self.items, key=lambda name: order.get(name, len(order)))[:n]


class Queue(Protocol):
    """What planning needs of a doorbell."""

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        """Ring for `task` with these ids; False when it could not be rung."""
        ...

    def depth(self, queue: QueueName) -> int | None:
        """Messages that wait in `queue`; None when the broker does not answer."""
        ...

    def ping(self) -> str | None:
        """None when the broker answers, else the reason."""
        ...


def make_celery(settings: Settings, *, socket_timeout_s: float | None = None) -> Celery:
    """The Celery app of publishers and workers. No result backend, no ETA, ids in JSON only."""
    app = Celery("headroom", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        result_backend=None,
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_track_started=False,
        task_publish_retry=False,
        task_soft_time_limit=settings.task_soft_limit_s,
        task_time_limit=settings.task_hard_limit_s,
        task_default_queue=QueueName.INTERACTIVE.value,
        task_queues={name.value: {} for name in QueueName},
        task_create_missing_queues=False,
        task_routes={task.value: {"queue": queue.value} for task, queue in ROUTES.items()},
        worker_prefetch_multiplier=1,
        worker_max_tasks_per_child=1000,
        worker_max_memory_per_child=1_000_000,  # kB: a child that grew beyond 1 GB is replaced after its task
        worker_soft_shutdown_timeout=float(settings.task_soft_limit_s),
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_proc_alive_timeout=60.0,
        worker_send_task_events=False,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_timeout=settings.broker_connect_timeout_s,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=_transport_options(settings, socket_timeout_s),
        enable_utc=True,
        timezone="UTC",
    )
    return app


def _transport_options(settings: Settings, socket_timeout_s: float | None) -> dict[str, Any]:
    """Kombu looks for abandoned messages every 100 s unless told otherwise; ours every 5 s."""
    options: dict[str, Any] = {
        "visibility_timeout": settings.visibility_timeout_s,
        "unacked_restore_interval": min(5, max(1, settings.visibility_timeout_s // 2)),
        "unacked_restore_throttle": 1,
        "queue_order_strategy": f"{__name__}:{InteractiveFirst.__name__}",
        "global_keyprefix": KEY_PREFIX,
        "socket_connect_timeout": settings.broker_connect_timeout_s,
        "socket_keepalive": True,
    }
    if socket_timeout_s is not None:
        options |= {"socket_timeout": socket_timeout_s, "retry_on_timeout": False, **_NO_RETRY}
    return options


class CeleryQueue:
    """Rings through Celery. After a failure it refuses for `breaker_open_s`; the relay rings what was refused."""

    def __init__(self, settings: Settings) -> None:
        self._app = make_celery(settings, socket_timeout_s=settings.broker_connect_timeout_s)
        self._breaker = Breaker(settings.breaker_open_s)

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        """Publish once, within the connect and socket timeouts; False when it did not work or was not tried."""
        if not self._breaker.allows():
            return False
        try:
            self._app.send_task(
                task.value, args=list(ids), queue=(queue or ROUTES[task]).value, retry=False, ignore_result=True
            )
        except Exception as error:  # noqa: BLE001 - whatever the broker does, a request must not fail with it
            self._breaker.failed()
            log.warning("broker_unreachable", task=task.value, error=type(error).__name__, reason=str(error)[:200])
            return False
        self._breaker.succeeded()
        return True

    def depth(self, queue: QueueName) -> int | None:
        """Messages that wait in `queue`; None when the broker does not answer."""
        try:
            with self._app.connection_for_write() as connection:
                return int(connection.default_channel.client.llen(queue.value))
        except Exception as error:  # noqa: BLE001 - an unreachable broker is an answer here
            log.warning("broker_unreachable", error=type(error).__name__)
            return None

    def ping(self) -> str | None:
        """None when the broker answers and takes writes, else the reason."""
        try:
            with self._app.connection_for_write() as connection:
                connection.default_channel.client.set("ping", "1", ex=60)
        except Exception as error:  # noqa: BLE001 - the reason is what was asked for
            return f"broker does not take messages ({type(error).__name__})"
        return None
