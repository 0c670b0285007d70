"""What an answer says of evidence that it leaves: sizes that nobody timed, small jobs on many GPUs, and its bound."""

import math

from service.sizing.result import Assumed
from service.sizing.science.application import Template
from service.sizing.science.job import Job
from service.sizing.science.performance import Performance
from service.sizing.science.rates import FAR
from service.sizing.spoken import spoken

# Sizes that differ by less than a quarter are the measured ones.
_SAME_SIZE = 1.25
_SIZES: dict[Template, tuple[str, str]] = {
    Template.FOLDING: ("workload.tokens", "tokens"),
    Template.MD: ("workload.atoms", "atoms"),
}


def outside_evidence(job: Job, physics: Performance, row: int, *, gpus: float) -> tuple[Assumed, ...]:
    """Each with what was asked and how far evidence reaches; `gpus` are those of one job."""
    return (*_size(job), *_together(job, gpus), *_cut(physics, row))


def far_from_scaling(job: Job) -> bool:
    """Whether the system is of another size, ten times or more, than those that were measured on several GPUs."""
    reference = job.application.scaling_size_atoms
    return reference is not None and abs(math.log(job.size.typical / reference)) > FAR


def _size(job: Job) -> tuple[Assumed, ...]:
    curves = [one for one in job.application.curves if one.variant == job.curve_variant]
    if job.template not in _SIZES or not curves:
        return ()
    field, unit = _SIZES[job.template]
    low, high = min(one.size_low for one in curves), max(one.size_high for one in curves)
    size = job.size.largest
    if low / _SAME_SIZE <= size <= high * _SAME_SIZE:
        return ()
    why = f"outside what was measured, {spoken(low)} to {spoken(high)} {unit}: the curve goes on, the interval widens"
    return (Assumed(field=field, value=f"{spoken(size)} {unit}", why=why),)


def _together(job: Job, gpus: float) -> tuple[Assumed, ...]:
    reference = job.application.scaling_size_atoms
    if gpus <= 1.0 or reference is None or job.size.typical * _SAME_SIZE >= reference:
        return ()
    why = (
        f"systems of about {spoken(reference)} atoms were measured on several GPUs, not one of "
        f"{spoken(job.size.typical)}: it may gain nothing from them, which the interval holds"
    )
    return (Assumed(field="gpus_instance", value=f"{gpus:.0f} GPUs a system", why=why),)


def _cut(physics: Performance, row: int) -> tuple[Assumed, ...]:
    if not physics.cut[row]:
        return ()
    why = "the fast end of the interval stops there: nothing is faster than the data sheet or its best products"
    return (Assumed(field="interval", value=f"{spoken(float(physics.least_s[row]))} s at least", why=why),)
