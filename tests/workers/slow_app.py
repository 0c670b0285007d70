"""The product's own worker, whose engine waits while a gate file exists and dies where a poison file says so.

The tests start it with `celery --app tests.workers.slow_app worker`. Everything but the engine is the product's.
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

from service.errors import PlannerError
from service.planning.answer import Answer, answer
from service.planning.batch.asking import Asked
from service.planning.batch.brief import Brief, sized
from service.planning.batch.chunk import size_chunk as size_items
from service.planning.execute import execute
from service.planning.schedule.pages import Pages
from service.planning.schedule.resize import resize
from service.queue import TaskName
from service.runtime import Runtime
from service.sizing.table import FloatArray
from service.store.runs import Versions
from workers.app import app, runtime

FOLDER = Path(os.environ["HEADROOM_TEST_GATE"])
app.conf.imports = ()


def gated(held: Runtime, question: str) -> Answer:
    """Says that it started, waits at the gate, answers."""
    (FOLDER / "started").write_text(str(os.getpid()))
    if (FOLDER / "poison").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    while (FOLDER / "gate").exists():
        time.sleep(0.02)
    return answer(held, question)


@app.task(name=TaskName.SIZE_WORKLOAD.value)
def size_workload(run_id: str) -> None:
    """Size one run, slowly."""
    execute(runtime(), run_id, solve=gated)


def gated_items(
    held: Runtime, asked: Sequence[Asked], versions: Versions, weight: FloatArray
) -> list[Brief | PlannerError | None]:
    """The same for items of a batch; the one named so always kills its worker."""
    (FOLDER / "started").write_text(str(os.getpid()))
    if "poison" in {one.name for one in asked}:
        os.kill(os.getpid(), signal.SIGKILL)
    while (FOLDER / "gate").exists():
        time.sleep(0.02)
    if (FOLDER / "pause").exists():
        time.sleep(float((FOLDER / "pause").read_text()))
    return sized(held, asked, versions, weight)


@app.task(name=TaskName.SIZE_CHUNK.value)
def size_chunk(batch_id: str, number: str) -> None:
    """Size a chunk of a batch, slowly; die once between storing and acknowledging, where somebody wants that."""
    size_items(runtime(), batch_id, int(number), solve=gated_items)
    if (FOLDER / "die stored").exists():
        (FOLDER / "die stored").unlink()
        os.kill(os.getpid(), signal.SIGKILL)


@app.task(name=TaskName.RESIZE_STALE.value)
def resize_stale(occurrence_id: str) -> None:
    """Take an occurrence further, a workload at a time; die once in the middle, where somebody wants that."""
    pages = Pages(selected=1, compared=1)
    if (FOLDER / "die resizing").exists():
        (FOLDER / "die resizing").unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    resize(runtime(), occurrence_id, pages=pages)


@app.task(name=TaskName.PRUNE.value)
def prune() -> None:
    """Nothing is old here."""
