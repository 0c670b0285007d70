"""Tasks that size."""

from service.planning.batch.chunk import size_chunk as size_items
from service.planning.schedule.resize import resize
from service.planning.turn import execute_next
from service.queue import TaskName
from workers.app import app, runtime


@app.task(name=TaskName.SIZE_WORKLOAD.value)  # type: ignore[untyped-decorator]  # Celery publishes no types
def size_workload(run_id: str) -> None:
    """Size one run: the one that is next, whichever it was rung for."""
    execute_next(runtime(), run_id)


@app.task(name=TaskName.SIZE_CHUNK.value)  # type: ignore[untyped-decorator]  # Celery publishes no types
def size_chunk(batch_id: str, number: str) -> None:
    """Size the items of one chunk of a batch."""
    size_items(runtime(), batch_id, int(number))


@app.task(name=TaskName.RESIZE_STALE.value)  # type: ignore[untyped-decorator]  # Celery publishes no types
def resize_stale(occurrence_id: str) -> None:
    """Take an occurrence of a schedule further: select its workloads, or compare their answers."""
    resize(runtime(), occurrence_id)
