"""The working of a ranked option as it was stored: how each of its numbers was found."""

from dataclasses import dataclass

import orjson

from service.access import Caller
from service.errors import NotFoundError
from service.planning.finished import finished_run
from service.planning.transact import read
from service.runtime import Runtime
from service.schemas.result import WorkingStepSchema
from service.sizing.result import WorkingStep
from service.store import results
from service.store.runs import Versions

_STEPS = WorkingStepSchema(many=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionWorking:
    """The steps of one option in the order in which they were taken, and the versions that they rest on."""

    run_id: str
    rank: int
    server: str
    digest: str
    versions: Versions
    steps: tuple[WorkingStep, ...]


def option_working(runtime: Runtime, caller: Caller, run_id: str, *, rank: str) -> OptionWorking:
    """The working of an option of a done run; NotFoundError when the caller has no such run or it no such option."""
    finished = finished_run(runtime, caller, run_id)
    options = finished.answer["options"]
    for option in options:
        if str(option["rank"]) == rank:
            return OptionWorking(
                run_id=finished.run.id,
                rank=option["rank"],
                server=option["server"],
                digest=finished.run.digest,
                versions=finished.run.versions,
                steps=_steps(runtime, caller, finished.run.digest, rank=rank),
            )
    ranked = f"its options are ranked 1 to {len(options)}" if options else "nothing fits, so it has none"
    raise NotFoundError(f"Run {finished.run.id} has no option {rank[:16]!r}: {ranked}.")


def _steps(runtime: Runtime, caller: Caller, digest: str, *, rank: str) -> tuple[WorkingStep, ...]:
    kept = read(runtime, lambda session: results.working(session, caller.tenant_id, digest))
    return tuple(_STEPS.load(orjson.loads(kept or b"{}")[rank]))
