"""A run that is done: the question as it was asked and the answer as it was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from service.access import Caller
from service.errors import ConflictError
from service.planning.reading import get_run
from service.planning.view import RunView
from service.runtime import Runtime
from service.store.tables.runs import OPEN

_RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A done run; `question` and `answer` are the canonical JSON that is kept, read."""

    run: RunView
    question: Mapping[str, Any]
    answer: Mapping[str, Any]


def finished_run(runtime: Runtime, caller: Caller, run_id: str) -> FinishedRun:
    """The run of the caller's tenant; NotFoundError when there is none, ConflictError while it is not done."""
    run = get_run(runtime, caller, run_id)
    if run.result is None:
        raise without_answer(run)
    return FinishedRun(run=run, question=orjson.loads(run.question), answer=orjson.loads(run.result))


def without_answer(run: RunView) -> ConflictError:
    """Why there is nothing to be had from a run that is not done."""
    if run.status in OPEN:
        return ConflictError(f"Run {run.id} is {run.status}; ask again once it is done.", retry_after_s=_RETRY_AFTER_S)
    return ConflictError(f"Run {run.id} is {run.status} and has no answer; post its workload again.")
