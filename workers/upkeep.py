"""Tasks that keep house."""

from service.planning.retention import remove_old
from service.queue import TaskName
from workers.app import app, runtime


@app.task(name=TaskName.PRUNE.value)  # type: ignore[untyped-decorator]  # Celery publishes no types
def prune() -> None:
    """Remove what is over and was kept for long enough, some of it."""
    remove_old(runtime())
