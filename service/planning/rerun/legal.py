"""A published run that the engine would not take as it stands is predicted in the nearest form that it takes."""

from dataclasses import replace
from typing import Any

from service.catalog.catalog import Catalog
from service.errors import FieldError, InvalidRequestError, PlannerError, UnsupportedWorkloadError
from service.planning.rerun.run import Evaluated, Rerun
from service.sizing.estimate import estimate
from service.sizing.precision import Precision
from service.sizing.result import Estimate
from service.sizing.training.layouts import divisors
from service.sizing.workload import PrecisionRecipe, TrainingWorkload

# Each change settles one field; a deployment has no more degrees than this.
_MOST_CHANGES = 12
# Where the degrees do not make the GPUs, in this order: copies are what people leave out of a table first.
_LOOSE = ("dp", "cp", "ep", "pp", "tp")


def evaluate(catalog: Catalog, rerun: Rerun) -> Evaluated:
    """The engine's answer, after as many nearest legal changes as it asks for; each stands in the defaults.

    Somebody really ran it, so what the engine refuses is the engine's own simplification and no reason to say nothing.
    Raises PlannerError where no change helps: for a GPU of which too little is known, say.
    """
    for _ in range(_MOST_CHANGES):
        try:
            return Evaluated(rerun=rerun, estimate=_estimated(catalog, rerun))
        except (InvalidRequestError, UnsupportedWorkloadError) as error:
            changed = _nearest(rerun, error)
            if changed is None:
                raise
            rerun = changed
    return Evaluated(rerun=rerun, estimate=_estimated(catalog, rerun))


def _estimated(catalog: Catalog, rerun: Rerun) -> Estimate:
    return estimate(
        rerun.workload,
        rerun.deployment,
        hardware=catalog.hardware,
        architecture=rerun.architecture,
        application=rerun.application,
        calibration=catalog.calibration,
    )


def _nearest(rerun: Rerun, error: PlannerError) -> Rerun | None:
    """The rerun with the first refused field changed that can be; None where none can."""
    for wrong in error.detail.errors:
        changed = _changed(rerun, wrong)
        if changed is not None:
            return changed
    return None


def _changed(rerun: Rerun, wrong: FieldError) -> Rerun | None:
    part, *path = wrong.field.split(".")
    if part == "workload":
        return _with_workload(rerun, path, wrong)
    if part != "deployment" or not path or path == ["gpu"]:
        return None
    if path == ["gpus"] and wrong.limit is None:
        return _loosened(rerun)
    owner: Any = rerun.deployment
    for name in path[:-1]:
        owner = getattr(owner, name, None)
    value = getattr(owner, path[-1], None)
    if not isinstance(value, int):
        return None
    taken = _toward(value, wrong.limit, upward=path == ["gpus"])
    return _with(rerun, path, taken, was=value)


def _with_workload(rerun: Rerun, path: list[str], wrong: FieldError) -> Rerun | None:
    """A batch that divides, a number format that the GPU has."""
    name = path[0] if path else ""
    was = getattr(rerun.workload, name, None)
    if name == "global_batch_sequences" and (limit := _whole(wrong.limit)) not in {None, was}:
        value: Any = limit
    elif name == "precision":
        # GPUs of before 2020 multiply in FP16 alone.
        value = Precision.FP16 if was is Precision.BF16 else Precision.BF16
    else:
        return None
    changes: dict[str, Any] = {name: value}
    if name == "precision" and isinstance(rerun.workload, TrainingWorkload):
        # No number of 16 bit is scaled.
        changes["precision_recipe"] = PrecisionRecipe.AUTO
    workload: Any = rerun.workload
    changed = replace(rerun, workload=replace(workload, **changes))
    return changed.with_default(f"workload.{name}", f"{value} instead of {was}")


def _toward(value: int, limit: str | None, *, upward: bool) -> int | None:
    """The nearest smaller divisor of the limit, or the limit itself where more is needed; None leaves it open."""
    bound = _whole(limit)
    if bound is None or bound < 1:
        return None
    if upward:
        return bound
    below = [divisor for divisor in divisors(bound) if divisor < value]
    return below[-1] if below else None


def _with(rerun: Rerun, path: list[str], value: int | None, *, was: int) -> Rerun:
    # Their fields are named by what the engine complained about.
    deployment: Any = rerun.deployment
    changed: Any = value
    for depth in reversed(range(len(path))):
        owner = deployment
        for name in path[:depth]:
            owner = getattr(owner, name)
        changed = replace(owner, **{path[depth]: changed})
    taken = "open" if value is None else value
    return replace(rerun, deployment=changed).with_default(".".join(("deployment", *path)), f"{taken} instead of {was}")


def _loosened(rerun: Rerun) -> Rerun | None:
    for name in _LOOSE:
        was = getattr(rerun.deployment, name)
        if was is not None:
            return _with(rerun, [name], None, was=was)
    return None


def _whole(limit: str | None) -> int | None:
    return int(limit) if limit is not None and limit.isdigit() else None
