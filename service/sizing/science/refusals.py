"""Why servers do not appear among the options of a scientific job, in words, and what would help."""

import math
from dataclasses import replace

from service.sizing.result import Limit, Rejection
from service.sizing.science.job import Job
from service.sizing.spoken import spoken
from service.sizing.table import HardwareTable

_HINTS = {
    Limit.CONTEXT: "shorten the longest target to what fits, or shard it over several GPUs where the application can",
    Limit.MEMORY: "split the problem, or allow servers with more GPU memory",
    Limit.THROUGHPUT: "use more replicas, or ask for fewer ns_day in each",
    Limit.DEADLINE: "a lower min_confidence_fraction lowers that figure",
    Limit.PRECISION: "allow servers with B200 or GB200, or a precision that the allowed GPUs have",
    Limit.HOST: "allow servers with more cores or memory",
    Limit.FLEET: "lower the demand, or split it over several sizings",
    Limit.FACILITY_POWER: "a lower demand takes less",
    Limit.RACKS: "a lower demand takes fewer",
    Limit.BUDGET: "a lower demand takes less",
}


def explained(rejected: tuple[Rejection, ...], job: Job, table: HardwareTable) -> tuple[Rejection, ...]:
    """Rejections whose reason needs more words than two numbers."""
    return tuple(_explain(r, job, table) for r in rejected)


def _explain(rejection: Rejection, job: Job, table: HardwareTable) -> Rejection:
    row = next(place for place, server in enumerate(table.servers) if server.id == rejection.server)
    gpu, desktop = table.gpus[row], bool(table.desktop[row])
    if rejection.limit is Limit.PRECISION:
        have = gpu.fp64_tensor_dense_tflops or gpu.fp64_dense_tflops
        known = f"{spoken(have)} TFLOPS of FP64" if have is not None else "no published FP64 rate"
        detail = f"{gpu.name} has {known}: no place for FP64 work; B200 (37 TFLOPS) and GB200 (40 TFLOPS) have it"
        return replace(rejection, detail=detail, unit="TFLOPS")
    if rejection.limit is Limit.UNKNOWN_FACT:
        detail = f"no rate of {job.application.name} on {gpu.name} is known, and its data sheet does not give one"
        return replace(rejection, detail=detail)
    if rejection.limit is Limit.CONTEXT and rejection.available is not None:
        detail = (
            f"the longest target has {spoken(rejection.required or math.nan)} tokens, "
            f"{gpu.name} holds {spoken(rejection.available)}; "
            f"{_sharded(job)}"
        )
        return replace(rejection, detail=detail)
    if rejection.limit is Limit.MEMORY and job.msa is not None and rejection.required is not None:
        detail = (
            f"searches of alignments on GPUs need {spoken(rejection.required)} GB of GPU memory; {gpu.name} has less"
        )
        return replace(rejection, detail=detail, unit="GB")
    if rejection.limit is Limit.THROUGHPUT and rejection.available is not None:
        detail = (
            f"each replica must make {spoken(rejection.required or math.nan)} {job.metric}, "
            f"{spoken(rejection.available)} at most"
        )
        return replace(rejection, detail=detail, unit=job.metric)
    if rejection.limit is Limit.FLEET and desktop and rejection.required is not None:
        systems = f"{spoken(rejection.required)} desktops are asked for"
        detail = (
            f"{systems}: they are linked by cable, {spoken(rejection.available or math.nan)} at most, not by a fabric"
        )
        return replace(rejection, detail=detail)
    if rejection.limit is Limit.HOST:
        detail = "cores or RAM of the server do not feed the GPUs of one instance; put this stage on CPU-only servers"
        return replace(rejection, detail=detail, unit="GPUs")
    return rejection


def _sharded(job: Job) -> str:
    """What was published of computing one item on several GPUs."""
    routes = job.application.sharded
    if not routes:
        return f"no way to shard one target of {job.application.name} was published with its size"
    told = (f"{r.method} reached {spoken(r.tokens)} tokens on {r.gpus} {r.gpu} ({r.note or r.source})" for r in routes)
    short = job.longest is not None and all(route.tokens < job.longest for route in routes)
    warned = ": none of them as long as this one, so no way to compute it was published" if short else ""
    return f"published of several GPUs: {'; '.join(told)}{warned}"


def hints_of(job: Job) -> dict[Limit, str]:
    """Of a target that no GPU holds the advice says what was published."""
    if job.longest is None:
        return _HINTS
    return {**_HINTS, Limit.CONTEXT: f"shorten the longest target to {{best}}; {_sharded(job)}"}
