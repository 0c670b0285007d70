"""Every candidate of a scientific job with its physics and verdict: fleets of a coupled one, instances of a stream."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import CpuServerSpec
from service.sizing.joint import Sizing
from service.sizing.precision import Precision
from service.sizing.rank import Verdict, open_verdict, refuse
from service.sizing.result import Limit
from service.sizing.science.alignments import cpu_servers_beside, search_gpus, spare_cores
from service.sizing.science.asks import PerformanceAsk
from service.sizing.science.host import longest_that_fits
from service.sizing.science.job import Job
from service.sizing.science.performance import (
    Performance,
    Rows,
    items_day,
    lacks_fp64,
    trained_performance,
)
from service.sizing.science.rate import RateTable
from service.sizing.science.trained import Trained
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import DAY_S, GB, TFLOP_S

# Servers that a coupled job is tried on: every small count, then steps of about an eighth.
_COUPLED_SERVERS = np.unique(
    np.round(np.concatenate([np.arange(1.0, 17.0), 16.0 * np.exp2(np.arange(1.0, 81.0) / 8.0)]))
).astype(np.int64)
UTILISATION = "science.utilisation_fraction"
_FP64_LEAST = "science.fp64_over_fp32_least_fraction"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
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
class Candidates:
    """Candidates with their physics and verdict."""

    rows: Rows
    servers: IntArray
    physics: Performance
    verdict: Verdict
    # Servers without GPUs that alignments take beside each.
    beside: IntArray


def candidates_of(scene: Scene, admitted: IntArray) -> Sizing[Candidates]:
    """Coupled jobs: server x number of servers. Streams: server x GPUs per instance, with the servers that it takes."""
    if scene.job.coupled:
        return _by_deadline(scene, *(yield from _coupled(scene, admitted)))
    return (yield from _streams(scene, admitted))


def _coupled(scene: Scene, admitted: IntArray) -> Sizing[tuple[Rows, IntArray, Performance]]:
    """Server x number of servers, or the fleets that the training engine finds worth having."""
    if scene.trained is not None:
        trained = scene.trained.on(admitted)
        rows = Rows(
            server=trained.server,
            gpus_instance=trained.gpus.astype(np.float64),
            instances=np.ones(trained.server.size),
        )
        physics = trained_performance(
            scene.job, trained, table=scene.table, rates=scene.rates, calibration=scene.calibration
        )
        return rows, trained.servers, physics
    server = np.repeat(admitted, _COUPLED_SERVERS.size)
    servers = np.tile(_COUPLED_SERVERS, admitted.size)
    gpus = np.asarray(np.maximum(1.0, scene.usable[server]) * servers, dtype=np.float64)
    rows = Rows(server=server, gpus_instance=gpus, instances=np.ones(server.size))
    return rows, servers, (yield from _physics(scene, rows))


def _by_deadline(scene: Scene, rows: Rows, servers: IntArray, physics: Performance) -> Candidates:
    verdict = _physical_verdict(scene, rows, physics)
    utilisation = scene.calibration.assumption(UTILISATION)
    days = physics.quantile_s(scene.confidence) / (DAY_S * utilisation)
    deadline = np.full(rows.server.size, 1.0 / (scene.job.demand_day or np.nan))
    with np.errstate(invalid="ignore"):
        late = days > deadline
    verdict = refuse(verdict, late, limit=Limit.DEADLINE, required=deadline, available=days)
    none = np.zeros(servers.size, dtype=np.int64)
    return Candidates(rows=rows, servers=servers, physics=physics, verdict=verdict, beside=none)


def _streams(scene: Scene, admitted: IntArray) -> Sizing[Candidates]:
    sizes = np.array([p.gpus for p in scene.job.application.scaling] or [1], dtype=np.int64)
    server = np.repeat(admitted, sizes.size)
    gpus = np.tile(sizes, admitted.size).astype(np.float64)
    # One job stays inside a scale-up domain, and one GPU always is one.
    inside = (gpus <= scene.table.domain_gpus[server]) | (gpus == 1.0)
    server, gpus = server[inside], gpus[inside]
    once = Rows(server=server, gpus_instance=gpus, instances=np.ones(server.size))
    physics = yield from _physics(scene, once)
    verdict = _physical_verdict(scene, once, physics)
    demand = scene.job.demand_day or np.nan
    utilisation = scene.calibration.assumption(UTILISATION)
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
    needs, host = scene.job.msa, scene.job.application.host
    spare = spare_cores(scene.table, server, servers=counted, host=host, usable=scene.usable, needs=needs)
    beside = cpu_servers_beside(needs, spare, scene.cpu_servers)
    return Candidates(rows=rows, servers=counted, physics=physics, verdict=verdict, beside=beside)


def _small_for_searches(verdict: Verdict, scene: Scene, server: IntArray) -> Verdict:
    """Searches on GPUs hold a database in the memory of one."""
    least_gb = None if scene.job.msa is None else scene.job.msa.route.gpu_memory_gb
    if least_gb is None:
        return verdict
    memory_gb = scene.table.memory_bytes[server] / GB
    required = np.full(server.size, least_gb)
    return refuse(verdict, memory_gb < least_gb, limit=Limit.MEMORY, required=required, available=memory_gb)


def _physics(scene: Scene, rows: Rows) -> Sizing[Performance]:
    ask = PerformanceAsk(job=scene.job, rows=rows, rates=scene.rates, table=scene.table, calibration=scene.calibration)
    (found,) = yield [ask]
    physics: Performance = found
    return physics


def _physical_verdict(scene: Scene, rows: Rows, physics: Performance) -> Verdict:
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
