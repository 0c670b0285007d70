"""Tasks that size."""

from service.planning.execute import execute
from service.queue import TaskName
from workers.app import app, runtime


@app.task(name=TaskName.SIZE_WORKLOAD.value)  # type: ignore[untyped-decorator]  # Celery publishes no types
def size_workload(run_id: str) -> None:
    """Size one run."""
    execute(runtime(), run_id)
