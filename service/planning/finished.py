"""A run that is done, with all that is kept of it: the question as it was asked and the answer as it was found."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import ConflictError, NotFoundError
from service.planning.transact import read
from service.planning.view import RunView, run_view
from service.runtime import Runtime
from service.store import results, runs
from service.store.tables.runs import OPEN, RunRow, RunStatus

_RETRY_AFTER_S = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedRun:
    """A done run; `question` and `answer` are the canonical JSON that is kept, read."""

    run: RunView
    question: Mapping[str, Any]
    answer: Mapping[str, Any]


def finished_run(runtime: Runtime, caller: Caller, run_id: str) -> FinishedRun:
    """The run of the caller's tenant; NotFoundError when there is none, ConflictError while it is not done."""

    def query(session: Session) -> tuple[RunRow | None, bytes | None]:
        row = runs.get(session, caller.tenant_id, run_id)
        if row is None or row.status != RunStatus.DONE:
            return row, None
        return row, results.body(session, caller.tenant_id, row.digest)

    row, body = read(runtime, query)
    if row is None:
        raise NotFoundError(f"There is no run {run_id[:64]!r}.")
    if body is None:
        raise _without_answer(row)
    return FinishedRun(run=run_view(row), question=orjson.loads(row.question), answer=orjson.loads(body))


def _without_answer(row: RunRow) -> ConflictError:
    if row.status in OPEN:
        return ConflictError(f"Run {row.id} is {row.status}; ask again once it is done.", retry_after_s=_RETRY_AFTER_S)
    return ConflictError(f"Run {row.id} is {row.status} and has no answer; post its workload again.")
