"""An answer at once, inside the request, for somebody who is still changing the question: nothing is written.

A page that follows every keystroke would otherwise leave a workload and a run behind for each. What is worth keeping
is posted as a workload when its author says so; then it is sized, stored and listed like any other.
"""

from dataclasses import dataclass

import orjson

from service.access import Caller
from service.planning.answer import sized
from service.planning.drafting import drafted
from service.planning.finished import finished_run
from service.planning.view import RunView
from service.quoting.indicative import PricedResult
from service.runtime import Runtime
from service.schemas.result import ResultSchema
from service.schemas.workload import QUESTION, SizingRequest
from service.shelf import Shelf
from service.sizing.architecture import ModelArchitecture
from service.sizing.check import check
from service.sizing.workload import Question

_RESULT = ResultSchema()
# Of one answer with all its options, as measured, with room to spare.
_ANSWER_BYTES = 400_000
_MOST_BYTES = 24_000_000
_seen: Shelf[tuple[str, str], PricedResult] = Shelf(most_bytes=_MOST_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """The answer to a question as it stands, the question with every default filled in, and the model it is about."""

    digest: str
    question: Question
    architecture: ModelArchitecture | None
    priced: PricedResult


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweredRun:
    """A done run: the question as it was asked, and its answer."""

    run: RunView
    question: Question
    priced: PricedResult


def preview(runtime: Runtime, caller: Caller, request: SizingRequest, *, request_id: str) -> Preview:
    """Size the question now. Errors name the field of the request, as they do for one that is posted."""
    draft = drafted(runtime, caller, request, request_id=request_id)
    resolved = draft.resolved
    key = caller.tenant_id, draft.digest
    known = _seen.get(key)
    if known is None:
        check(
            resolved.question.workload,
            architecture=resolved.architecture,
            application=resolved.application,
            calibration=runtime.catalog.calibration,
        )
        known = sized(runtime, resolved)
        _seen.put(key, known, size_bytes=_ANSWER_BYTES)
    return Preview(digest=draft.digest, question=resolved.called, architecture=resolved.architecture, priced=known)


def answered_run(runtime: Runtime, caller: Caller, run_id: str) -> AnsweredRun:
    """A done run of the caller's tenant; NotFoundError, and ConflictError while it is not done."""
    finished = finished_run(runtime, caller, run_id)
    key = caller.tenant_id, finished.run.digest
    known = _seen.get(key)
    if known is None:
        known = _RESULT.load(orjson.loads(finished.run.result or b"{}"))
        _seen.put(key, known, size_bytes=_ANSWER_BYTES)
    question = QUESTION.load(orjson.loads(finished.run.question))
    return AnsweredRun(run=finished.run, question=question, priced=known)
