"""The product's own web application, whose process dies around the doorbell where a failpoint says so."""

from flask import Flask

from config.environment import settings_from_environment
from scripts.faulting.failpoints import Failpoint, failpoints
from scripts.faulting.names import resolve_as_told
from service import app
from service.metrics import shared_metrics
from service.queue import CeleryQueue, QueueName, TaskName
from service.runtime import Runtime, build_runtime, load_facts

_POINTS = failpoints()
resolve_as_told()


class FailingQueue(CeleryQueue):
    """Rings, or dies just before or just after."""

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        """As the product's own."""
        _POINTS.passed(Failpoint.COMMITTED)
        rung = super().enqueue(task, *ids, queue=queue)
        if rung:
            _POINTS.passed(Failpoint.PUBLISHED)
        return rung


def create_app() -> Flask:
    """The application, with everything but the queue as it is."""
    return app.serve(_runtime)


def _runtime() -> Runtime:
    settings = settings_from_environment()
    metrics = shared_metrics(settings.metrics_dir)
    return build_runtime(settings, facts=load_facts(settings), queue=FailingQueue(settings), metrics=metrics)
