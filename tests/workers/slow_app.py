"""The product's own worker, whose engine waits while a gate file exists and dies where a poison file says so.

The tests start it with `celery --app tests.workers.slow_app worker`. Everything but the engine is the product's.
"""

import os
import signal
import time
from pathlib import Path

from service.planning.answer import Answer, answer
from service.planning.execute import execute
from service.queue import TaskName
from service.runtime import Runtime
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
