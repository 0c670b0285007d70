"""The limit of tasks: a Celery app with the product's settings whose one task does nothing."""

from celery import Celery

from service.queue import make_celery
from service.settings import Settings

QUEUE = "noop"
TASK = "noop"


def noop_app(settings: Settings) -> Celery:
    """The product's Celery, on a queue of its own; results come back through the cache's server."""
    app = make_celery(settings)
    app.conf.update(
        task_queues={QUEUE: {}},
        task_default_queue=QUEUE,
        task_routes={},
        task_ignore_result=False,
        result_backend=settings.cache_url,
        result_expires=60,
        worker_consumer="workers.consumer:ReconnectingConsumer",
    )
    return app
