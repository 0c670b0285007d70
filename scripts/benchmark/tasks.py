"""Round trip of a sizing through HTTP, database, broker and worker, beside a no-op task on the same broker."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx
import orjson
from celery import Celery
from celery.exceptions import TimeoutError as TooLongError

from scripts.benchmark.figures import Spread, median_ratio, spread_ms
from scripts.benchmark.installation import Installation
from scripts.benchmark.noop import QUEUE, TASK, noop_app
from scripts.benchmark.questions import DENSE
from scripts.processes import worker
from scripts.trouble import Trouble

_BLOCK = 5
_WORKER_UP_WITHIN_S = 60.0
_NOOP_WITHIN_S = 10.0
# Each question is a new one: nothing is known about it yet.
_FIRST_USERS = 5_001


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskFigures:
    """Round trips of one run, one caller at a time [ms]. `waited`, `sized`: what the run says about itself."""

    sizing: Spread
    waited: Spread
    sized: Spread
    noop: Spread
    times_the_noop: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trip:
    """One sizing [s]: all of it; until a worker began; until the answer was in the database."""

    total_s: float
    waited_s: float
    sized_s: float


def measure(installation: Installation, *, rounds: int, say: Callable[[str], None]) -> TaskFigures:
    """Rounds of a few sizings and as many no-ops, one after another."""
    settings = installation.plan.settings
    app = noop_app(settings)
    process = worker(settings, name="noop-worker", app="scripts.benchmark.noop_worker", queues=(QUEUE,))
    say("tasks: starting the worker of the no-op task")
    installation.beside(process)
    _first_noop(app, installation)
    sizings: list[_Trip] = []
    noops: list[float] = []
    with installation.client() as client:
        _sizing(client, 0)
        for number in range(rounds):
            say(f"tasks: round {number + 1} of {rounds}")
            sizings += [_sizing(client, 1 + number * _BLOCK + place) for place in range(_BLOCK)]
            noops += [_noop(app, within_s=_NOOP_WITHIN_S) for _ in range(_BLOCK)]
            installation.check_alive()
    app.close()
    return TaskFigures(
        sizing=spread_ms([trip.total_s for trip in sizings]),
        waited=spread_ms([trip.waited_s for trip in sizings]),
        sized=spread_ms([trip.sized_s for trip in sizings]),
        noop=spread_ms(noops),
        times_the_noop=median_ratio([trip.total_s for trip in sizings], noops),
    )


def _sizing(client: httpx.Client, number: int) -> _Trip:
    started = time.perf_counter()
    answer = client.post(
        "/v1/workloads", content=_question(number), headers={"Content-Type": "application/json", "Prefer": "wait=30"}
    )
    total_s = time.perf_counter() - started
    run: dict[str, Any] = answer.json()
    if answer.status_code != httpx.codes.OK or run["status"] != "done" or run["cached"] or not run["result"]:
        raise Trouble(f"A sizing was not answered by a worker: HTTP {answer.status_code} {answer.text[:300]}")
    created, began, ended = (datetime.fromisoformat(run[f"{what}_at"]) for what in ("created", "started", "finished"))
    return _Trip(
        total_s=total_s,
        waited_s=(began - created).total_seconds(),
        sized_s=(ended - began).total_seconds(),
    )


def _question(number: int) -> bytes:
    document = DENSE.document()
    document["workload"]["demand"]["users"] = _FIRST_USERS + number
    return orjson.dumps(document)


def _noop(app: Celery, *, within_s: float) -> float:
    started = time.perf_counter()
    result = app.send_task(TASK, queue=QUEUE, retry=False)
    result.get(timeout=within_s)
    spent_s = time.perf_counter() - started
    result.forget()
    return spent_s


def _first_noop(app: Celery, installation: Installation) -> None:
    """Return once the worker answers; its start is not timed."""
    try:
        _noop(app, within_s=_WORKER_UP_WITHIN_S)
    except TooLongError:
        installation.check_alive()
        raise Trouble(f"The worker of the no-op task did not answer within {_WORKER_UP_WITHIN_S:g} s.") from None
