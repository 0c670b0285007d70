"""The product's own worker, whose engine dawdles, hangs or dies where a failpoint says so.

Registered at once, before the product's own tasks are imported, so that these are the ones under their names: where
tasks wait for the app to be complete, Celery takes them from a set, and which one comes first is chance.
"""

import os
from collections.abc import Iterator, Sequence

from scripts.faulting.failpoints import KOMBU_BY_ITSELF, KOMBU_VARIABLE, Failpoint, failpoints
from service.planning.answer import Answer, answer
from service.planning.batch.asking import Asked
from service.planning.batch.brief import Found, sized
from service.planning.batch.chunk import size_chunk as size_items
from service.planning.turn import execute_next
from service.queue import TaskName
from service.runtime import Runtime
from service.sizing.table import FloatArray
from service.store.runs import Versions
from workers.app import app, runtime

_POINTS = failpoints()
_AT_ONCE = {"lazy": False, "shared": False}
# What the product tells Kombu about messages that nobody acknowledged.
_ABANDONED = ("visibility_timeout", "unacked_restore_interval", "unacked_restore_throttle")

if clocks := os.environ.get(KOMBU_VARIABLE):
    told = {name: value for name, value in app.conf.broker_transport_options.items() if name not in _ABANDONED}
    own = {} if clocks == KOMBU_BY_ITSELF else dict.fromkeys(_ABANDONED, int(clocks))
    app.conf.broker_transport_options = told | own


def _solved(held: Runtime, question: str) -> Answer:
    _POINTS.asked(question)
    return answer(held, question)


def _solved_items(
    held: Runtime, asked: Sequence[Asked], versions: Versions, weight: FloatArray
) -> Iterator[Sequence[tuple[int, Found]]]:
    for ended in sized(held, asked, versions, weight):
        for place, _ in ended:
            _POINTS.asked(asked[place].name or "")
        yield ended


@app.task(name=TaskName.SIZE_WORKLOAD.value, **_AT_ONCE)  # type: ignore[untyped-decorator]  # Celery publishes no types
def size_workload(run_id: str) -> None:
    """Size one run; die once its result is stored, where somebody wants that."""
    if execute_next(runtime(), run_id, solve=_solved):
        _POINTS.passed(Failpoint.STORED)


@app.task(name=TaskName.SIZE_CHUNK.value, **_AT_ONCE)  # type: ignore[untyped-decorator]  # Celery publishes no types
def size_chunk(batch_id: str, number: str) -> None:
    """Size the items of one chunk of a batch."""
    size_items(runtime(), batch_id, int(number), solve=_solved_items)
