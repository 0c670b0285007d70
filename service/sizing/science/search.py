"""size_science: every server and instance size that does the work in time, ranked."""

import math
from dataclasses import dataclass, replace

import numpy as np

from service.errors import InvalidRequestError
from service.sizing.calibration import Calibration
from service.sizing.hardware import CpuServerSpec, Hardware
from service.sizing.precision import Precision
from service.sizing.rank import (
    Verdict,
    admissible,
    first_per_server,
    open_verdict,
    order,
    pareto_front,
    refuse,
    rejections,
    shortfall,
)
from service.sizing.result import Limit, Rejection, Sensitivity, SizingResult
from service.sizing.science.alignments import cpu_servers_beside, search_gpus, spare_cores
from service.sizing.science.application import Application
from service.sizing.science.describe import assumed, describe, rests_on
from service.sizing.science.host import longest_that_fits, usable_gpus
from service.sizing.science.job import Job
from service.sizing.science.option import Chosen, science_option
from service.sizing.science.performance import (
    Performance,
    Rows,
    items_day,
    job_rates,
    lacks_fp64,
    performance,
    trained_performance,
)
from service.sizing.science.rate import RateTable
from service.sizing.science.trained import Trained, trained_fleets
from service.sizing.science.workload import ScienceWorkload
from service.sizing.site import fleet_power_w, fleet_weight, site_verdict
from service.sizing.spoken import spoken
from service.sizing.table import FloatArray, HardwareTable, IntArray, table_of
from service.sizing.units import DAY_S, GB, KW, TFLOP_S
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Constraints, Question

# Servers that a coupled job is tried on: every small count, then steps of about an eighth.
_COUPLED_SERVERS = np.unique(
    np.round(np.concatenate([np.arange(1.0, 17.0), 16.0 * np.exp2(np.arange(1.0, 81.0) / 8.0)]))
).astype(np.int64)
_UTILISATION = "science.utilisation_fraction"
_FP64_LEAST = "science.fp64_over_fp32_least_fraction"

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Scene:
    """What one search is over; `usable` GPUs of a server can be fed by its host."""

    job: Job
    table: HardwareTable
    rates: RateTable
    usable: FloatArray
    calibration: Calibration
    confidence: float
    trained: Trained | None
    cpu_servers: tuple[CpuServerSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidates:
    """Candidates with their physics and verdict."""

    rows: Rows
    servers: IntArray
    physics: Performance
    verdict: Verdict
    # Servers without GPUs that alignments take beside each.
    beside: IntArray


def size_science(
    question: Question,
    *,
    hardware: Hardware,
    application: Application,
    calibration: Calibration,
    weight: FloatArray,
    weight_limit: float | None = None,
    best_only: bool = False,
) -> SizingResult:
    """Ranked options, rejections and, when nothing fits, the nearest miss."""
    workload, constraints = question.workload, question.constraints
    if not isinstance(workload, ScienceWorkload):
        raise TypeError("size_science sizes scientific workloads")
    job = describe(workload, application, calibration)
    if job.demand_day is None:
        raise InvalidRequestError(f"{job.demand_field} says how much is asked; a sizing needs it")
    table = table_of(hardware)
    rows, refused = admissible(table, constraints)
    scene = _Scene(
        job=job,
        table=table,
        rates=job_rates(job, table, hardware=hardware, calibration=calibration),
        usable=usable_gpus(table, job.application.host),
        calibration=calibration,
        confidence=constraints.min_confidence_fraction,
        cpu_servers=hardware.cpu_servers,
        trained=None
        if job.training is None
        else trained_fleets(job.training, rows, table=table, calibration=calibration),
    )
    found = _limited(
        _candidates(scene, rows),
        scene,
        hardware=hardware,
        constraints=constraints,
        weight=weight,
        weight_limit=weight_limit,
    )
    picked, front = _pick(found, scene, weight)
    options = tuple(
        science_option(
            rank,
            Chosen(
                job=job,
                rows=found.rows,
                physics=found.physics,
                row=int(row),
                servers=int(found.servers[row]),
                beside=int(found.beside[row]),
            ),
            workload=workload,
            hardware=hardware,
            table=table,
            rates=scene.rates,
            usable=scene.usable,
            calibration=calibration,
            constraints=constraints,
        )
        for rank, row in enumerate(picked[:1] if best_only else picked, 1)
    )
    rejected: tuple[Rejection, ...] = ()
    if not (best_only and options):
        rejected = (*refused, *_explained(rejections(found.verdict, server=found.rows.server, table=table), scene))
    return SizingResult(
        kind="science",
        feasible=bool(options),
        options=options,
        pareto=tuple(rank for rank, on_front in enumerate(front, 1) if on_front),
        rejected=rejected,
        shortfall=None if options else shortfall(rejected, _hints(job)),
        sensitivity=_sensitivity(scene, found, int(picked[0])) if options and not best_only else (),
        assumed=assumed(job, calibration),
        candidates=int(found.rows.server.size),
        engine_version=ENGINE_VERSION,
    )


def _candidates(scene: _Scene, admitted: IntArray) -> _Candidates:
    """Coupled jobs: server x number of servers. Streams: server x GPUs per instance, with the servers that it takes."""
    if scene.job.coupled:
        return _by_deadline(scene, *_coupled(scene, admitted))
    return _streams(scene, admitted)


def _coupled(scene: _Scene, admitted: IntArray) -> tuple[Rows, IntArray, Performance]:
    """Server x number of servers, or the fleets that the training engine finds worth having."""
    if scene.trained is not None:
        trained = scene.trained.on(admitted)
        rows = Rows(
            server=trained.server,
            gpus_instance=trained.gpus.astype(np.float64),
            instances=np.ones(trained.server.size),
        )
        physics = trained_performance(scene.job, trained, rates=scene.rates, calibration=scene.calibration)
        return rows, trained.servers, physics
    server = np.repeat(admitted, _COUPLED_SERVERS.size)
    servers = np.tile(_COUPLED_SERVERS, admitted.size)
    gpus = np.asarray(np.maximum(1.0, scene.usable[server]) * servers, dtype=np.float64)
    rows = Rows(server=server, gpus_instance=gpus, instances=np.ones(server.size))
    return rows, servers, _physics(scene, rows)


def _by_deadline(scene: _Scene, rows: Rows, servers: IntArray, physics: Performance) -> _Candidates:
    verdict = _physical_verdict(scene, rows, physics)
    utilisation = scene.calibration.assumption(_UTILISATION)
    days = physics.quantile_s(scene.confidence) / (DAY_S * utilisation)
    deadline = np.full(rows.server.size, 1.0 / (scene.job.demand_day or np.nan))
    with np.errstate(invalid="ignore"):
        late = days > deadline
    verdict = refuse(verdict, late, limit=Limit.DEADLINE, required=deadline, available=days)
    none = np.zeros(servers.size, dtype=np.int64)
    return _Candidates(rows=rows, servers=servers, physics=physics, verdict=verdict, beside=none)


def _streams(scene: _Scene, admitted: IntArray) -> _Candidates:
    sizes = np.array([p.gpus for p in scene.job.application.scaling] or [1], dtype=np.int64)
    server = np.repeat(admitted, sizes.size)
    gpus = np.tile(sizes, admitted.size).astype(np.float64)
    # One job stays inside a scale-up domain, and one GPU always is one.
    inside = (gpus <= scene.table.domain_gpus[server]) | (gpus == 1.0)
    server, gpus = server[inside], gpus[inside]
    once = Rows(server=server, gpus_instance=gpus, instances=np.ones(server.size))
    physics = _physics(scene, once)
    verdict = _physical_verdict(scene, once, physics)
    demand = scene.job.demand_day or np.nan
    utilisation = scene.calibration.assumption(_UTILISATION)
    searching = float(search_gpus(scene.job.msa, scene.calibration))
    each_day = items_day(physics.quantile_s(scene.confidence), instances=1.0, utilisation_fraction=utilisation)
    with np.errstate(invalid="ignore", divide="ignore"):
        needed = np.ceil(np.nan_to_num(demand / each_day, nan=np.inf) * (1.0 - 1e-12))
        too_slow = needed > scene.job.max_instances
        per_server = np.floor(scene.usable[server] / gpus)
        servers = np.ceil(needed / per_server)
        # Searches on GPUs take those that are left over, then servers of their own.
        left = np.maximum(0.0, servers * scene.usable[server] - needed * gpus)
        servers += np.ceil(np.maximum(0.0, searching - left) / scene.usable[server])
    verdict = _small_for_searches(verdict, scene, server)
    verdict = refuse(
        verdict,
        too_slow,
        limit=Limit.THROUGHPUT,
        required=np.full(server.size, demand / scene.job.max_instances),
        available=each_day,
    )
    counted = np.nan_to_num(servers, nan=1.0, posinf=1.0).astype(np.int64)
    room = np.floor((scene.usable[server] * counted - searching) / gpus)
    instances = np.minimum(np.minimum(per_server * counted, room), scene.job.max_instances)
    rows = Rows(server=server, gpus_instance=gpus, instances=np.maximum(instances, 1.0))
    spare = spare_cores(scene.table, server, servers=counted, host=scene.job.application.host, usable=scene.usable)
    beside = cpu_servers_beside(scene.job.msa, spare, scene.cpu_servers)
    return _Candidates(rows=rows, servers=counted, physics=physics, verdict=verdict, beside=beside)


def _small_for_searches(verdict: Verdict, scene: _Scene, server: IntArray) -> Verdict:
    """Searches on GPUs hold a database in the memory of one."""
    least_gb = None if scene.job.msa is None else scene.job.msa.route.gpu_memory_gb
    if least_gb is None:
        return verdict
    memory_gb = scene.table.memory_bytes[server] / GB
    required = np.full(server.size, least_gb)
    return refuse(verdict, memory_gb < least_gb, limit=Limit.MEMORY, required=required, available=memory_gb)


def _physics(scene: _Scene, rows: Rows) -> Performance:
    return performance(scene.job, rows, table=scene.table, rates=scene.rates, calibration=scene.calibration)


def _physical_verdict(scene: _Scene, rows: Rows, physics: Performance) -> Verdict:
    """Precision, unknown figures, host and memory."""
    server, size = rows.server, rows.server.size
    verdict = open_verdict(size)
    step = scene.job.arithmetic
    if step is not None and step.precision is Precision.FP64:
        weak, fp64, fp32 = lacks_fp64(scene.table, least_fraction=scene.calibration.assumption(_FP64_LEAST))
        verdict = refuse(
            verdict,
            weak[server],
            limit=Limit.PRECISION,
            required=scene.calibration.assumption(_FP64_LEAST) * fp32[server] / TFLOP_S,
            available=np.nan_to_num(fp64[server]) / TFLOP_S,
        )
    unknown = np.isnan(physics.item_s)
    nothing = np.full(size, np.nan)
    verdict = refuse(verdict, unknown, limit=Limit.UNKNOWN_FACT, required=nothing, available=nothing)
    starved = scene.usable[server] < np.minimum(rows.gpus_instance, scene.table.gpus_server[server])
    if not scene.job.coupled:
        verdict = refuse(
            verdict, starved, limit=Limit.HOST, required=rows.gpus_instance, available=scene.usable[server]
        )
    else:
        verdict = refuse(
            verdict, scene.usable[server] < 1.0, limit=Limit.HOST, required=np.ones(size), available=np.zeros(size)
        )
    if scene.job.longest is not None:
        fitting = np.array([longest_that_fits(scene.job, float(b)) or 0.0 for b in scene.table.memory_bytes])
        asked = np.full(size, scene.job.longest)
        return refuse(verdict, ~physics.fits, limit=Limit.CONTEXT, required=asked, available=fitting[server])
    return refuse(
        verdict,
        ~physics.fits,
        limit=Limit.MEMORY,
        required=physics.memory_bytes / GB,
        available=physics.usable_bytes / GB,
    )


def _limited(
    found: _Candidates,
    scene: _Scene,
    *,
    hardware: Hardware,
    constraints: Constraints,
    weight: FloatArray,
    weight_limit: float | None,
) -> _Candidates:
    server, servers = found.rows.server, found.servers
    gpus = (servers * scene.table.gpus_server[server]).astype(np.float64)
    most = scene.calibration.assumption("fleet.max_gpus")
    # Desktops are linked by cable and stand on desks: so many are a fleet, as for every other kind of work.
    desktops = scene.calibration.assumption("fleet.desktop_most_systems") * scene.table.gpus_server[server]
    here = np.where(scene.table.desktop[server], desktops, most)
    verdict = refuse(found.verdict, gpus > here, limit=Limit.FLEET, required=gpus, available=here)
    return replace(
        found,
        verdict=site_verdict(
            verdict,
            server=server,
            servers=servers,
            east_west=np.full(server.size, scene.job.coupled),
            table=scene.table,
            hardware=hardware,
            constraints=constraints,
            weight=weight,
            weight_limit=weight_limit,
            beside=found.beside,
        ),
    )


def _pick(found: _Candidates, scene: _Scene, weight: FloatArray) -> tuple[IntArray, list[bool]]:
    """Of each server its best feasible candidate, best first, and which of them nobody dominates."""
    feasible = np.flatnonzero(found.verdict.feasible)
    server, servers = found.rows.server[feasible], found.servers[feasible]
    cost = fleet_weight(weight, server, servers)
    power = fleet_power_w(scene.table, server, servers) + _beside_power_w(scene, found.beside[feasible])
    speed = 1.0 / found.physics.item_s[feasible]
    best = first_per_server(
        order(place=scene.table.place[server], cost_weight=cost, power_w=power, servers=servers, speed=speed), server
    )
    front = pareto_front(cost_weight=cost[best], speed=speed[best], power_w=power[best])
    return feasible[best], front.tolist()


def _beside_power_w(scene: _Scene, servers: IntArray) -> FloatArray:
    """Planned power [W] of servers without GPUs; of an unknown figure nothing is added, alike for all."""
    each_kw = next((spec.plan_power_kw for spec in scene.cpu_servers), None)
    return np.asarray(servers * (each_kw or 0.0) * KW, dtype=np.float64)


def _explained(rejected: tuple[Rejection, ...], scene: _Scene) -> tuple[Rejection, ...]:
    """Rejections whose reason needs more words than two numbers."""
    return tuple(_explain(r, scene) for r in rejected)


def _explain(rejection: Rejection, scene: _Scene) -> Rejection:
    gpu = next(g for s, g in zip(scene.table.servers, scene.table.gpus, strict=True) if s.id == rejection.server)
    if rejection.limit is Limit.PRECISION:
        have = gpu.fp64_tensor_dense_tflops or gpu.fp64_dense_tflops
        known = f"{spoken(have)} TFLOPS of FP64" if have is not None else "no published FP64 rate"
        detail = f"{gpu.name} has {known}: no place for FP64 work; B200 (37 TFLOPS) and GB200 (40 TFLOPS) have it"
        return replace(rejection, detail=detail, unit="TFLOPS")
    if rejection.limit is Limit.UNKNOWN_FACT:
        detail = f"no rate of {scene.job.application.name} on {gpu.name} is known, and its data sheet does not give one"
        return replace(rejection, detail=detail)
    if rejection.limit is Limit.CONTEXT and rejection.available is not None:
        detail = (
            f"the longest target has {spoken(rejection.required or math.nan)} tokens, "
            f"{gpu.name} holds {spoken(rejection.available)}; "
            f"{_sharded(scene.job)}"
        )
        return replace(rejection, detail=detail)
    if rejection.limit is Limit.MEMORY and scene.job.msa is not None and rejection.required is not None:
        detail = (
            f"searches of alignments on GPUs need {spoken(rejection.required)} GB of GPU memory; {gpu.name} has less"
        )
        return replace(rejection, detail=detail, unit="GB")
    if rejection.limit is Limit.THROUGHPUT and rejection.available is not None:
        detail = (
            f"each replica must make {spoken(rejection.required or math.nan)} {scene.job.metric}, "
            f"{spoken(rejection.available)} at most"
        )
        return replace(rejection, detail=detail, unit=scene.job.metric)
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


def _hints(job: Job) -> dict[Limit, str]:
    """Of a target that no GPU holds the advice says what was published."""
    if job.longest is None:
        return _HINTS
    return {**_HINTS, Limit.CONTEXT: f"shorten the longest target to {{best}}; {_sharded(job)}"}


def _sensitivity(scene: _Scene, found: _Candidates, row: int) -> tuple[Sensitivity, ...]:
    """Servers of the best option when each judgement it rests on goes from its lower to its upper bound."""
    watched = (_servers_at_bounds(scene, found, row, name) for name in _watched(scene.job))
    return tuple(sorted((s for s in watched if s), key=lambda s: (-abs(s.at_high - s.at_low), s.assumption)))


def _watched(job: Job) -> tuple[str, ...]:
    """Judgements that the physics reads: the share of diffusion is already in the job."""
    return (_UTILISATION, *(rests_on(job.template) if job.coupled else ()))


def _servers_at_bounds(scene: _Scene, found: _Candidates, row: int, name: str) -> Sensitivity | None:
    entry = scene.calibration.assumptions[name]
    server = found.rows.server[row : row + 1]

    def servers(value: float) -> float:
        changed = {**scene.calibration.assumptions, name: replace(entry, value=value)}
        moved = replace(scene, calibration=replace(scene.calibration, assumptions=changed))
        again = _candidates(moved, server)
        same = again.verdict.feasible
        if not scene.job.coupled:
            same = same & (again.rows.gpus_instance == found.rows.gpus_instance[row])
        counts = again.servers[same]
        return float(counts.min()) if counts.size else float("nan")

    at_low, at_high = servers(entry.low), servers(entry.high)
    if np.isnan(at_low) or np.isnan(at_high):
        return None
    return Sensitivity(
        assumption=name, low=entry.low, high=entry.high, metric="servers", at_low=at_low, at_high=at_high
    )
