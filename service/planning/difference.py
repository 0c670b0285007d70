"""What changed between two done runs of a tenant, and why."""

from dataclasses import dataclass

from service.access import Caller
from service.planning.finished import FinishedRun, finished_run
from service.quoting.difference import Answered, CauseKind, Difference, difference
from service.runtime import Runtime
from service.schemas.result import ResultSchema

_RESULT = ResultSchema()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDifference:
    """Two runs, by id and the identity of their questions, and what changed from the old one to the new one."""

    old_run_id: str
    new_run_id: str
    old_digest: str
    new_digest: str
    difference: Difference


def run_difference(runtime: Runtime, caller: Caller, run_id: str, *, other_id: str) -> RunDifference:
    """From run to other run; NotFoundError when the caller lacks one of them, ConflictError unless both are done."""
    old, new = finished_run(runtime, caller, run_id), finished_run(runtime, caller, other_id)
    return RunDifference(
        old_run_id=old.run.id,
        new_run_id=new.run.id,
        old_digest=old.run.digest,
        new_digest=new.run.digest,
        difference=difference(_answered(old), _answered(new)),
    )


def _answered(finished: FinishedRun) -> Answered:
    versions = finished.run.versions
    return Answered(
        question=finished.question,
        versions={
            CauseKind.CATALOG: versions.catalog,
            CauseKind.CALIBRATION: versions.calibration,
            CauseKind.ENGINE: versions.engine,
            CauseKind.PRICE_BOOK: versions.price_book_digest,
        },
        priced=_RESULT.load(finished.answer),
    )
