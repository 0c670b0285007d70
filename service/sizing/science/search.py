"""size_science: every server and instance size that does the work in time, ranked."""

import math
from dataclasses import replace

import numpy as np

from service.errors import InvalidRequestError, PlannerError
from service.sizing.admission import admissible
from service.sizing.joint import Sizing, side_by_side
from service.sizing.rank import (
    first_per_server,
    order,
    pareto_front,
    refuse,
    rejections,
    shortfall,
)
from service.sizing.result import Limit, Rejection, Sensitivity, SizingResult
from service.sizing.science.application import Application
from service.sizing.science.candidates import UTILISATION, Candidates, Scene, candidates_of
from service.sizing.science.describe import assumed, describe, rests_on
from service.sizing.science.host import usable_gpus
from service.sizing.science.job import Job
from service.sizing.science.option import Chosen, science_option
from service.sizing.science.performance import (
    job_rates,
)
from service.sizing.science.refusals import explained, hints_of
from service.sizing.science.trained import trained_fleets
from service.sizing.science.workload import ScienceWorkload
from service.sizing.site import beside_weight_of, fleet_power_w, fleet_weight, site_verdict
from service.sizing.table import FloatArray, IntArray, table_of
from service.sizing.terms import Terms
from service.sizing.units import KW
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Question, budget_usd


def size_science(question: Question, application: Application, *, terms: Terms) -> SizingResult:
    """As `sizing_of_science`, of one question alone."""
    (found,) = side_by_side([sizing_of_science(question, application, terms=terms)])
    if isinstance(found, PlannerError):
        raise found
    return found


def sizing_of_science(question: Question, application: Application, *, terms: Terms) -> Sizing[SizingResult]:
    """Ranked options, rejections and, when nothing fits, the nearest miss.

    Where a server without GPUs has no weight, what takes such servers keeps no budget, and is ranked as if each weighed
    what the least server with GPUs does, which is more than it can.
    """
    workload, constraints = question.workload, question.constraints
    hardware, calibration, best_only = terms.hardware, terms.calibration, terms.best_only
    if not isinstance(workload, ScienceWorkload):
        raise TypeError("size_science sizes scientific workloads")
    job = describe(workload, application, calibration)
    if job.demand_day is None:
        raise InvalidRequestError(f"{job.demand_field} says how much is asked; a sizing needs it")
    table = table_of(hardware)
    admitted, refused = admissible(table, constraints)
    scene = _scene(job, admitted, question=question, terms=terms)
    found = _limited((yield from candidates_of(scene, admitted)), scene, question=question, terms=terms)
    picked, front = _pick(found, scene, terms.weight, terms.beside_weight)
    options = tuple(
        science_option(
            rank,
            Chosen(scene=scene, found=found, row=int(row)),
            workload=workload,
            hardware=hardware,
            constraints=constraints,
            explained=not best_only,
        )
        for rank, row in enumerate(picked[:1] if best_only else picked, 1)
    )
    rejected: tuple[Rejection, ...] = ()
    if not (best_only and options):
        rejected = (*refused, *explained(rejections(found.verdict, server=found.rows.server, table=table), job, table))
    sensitive = (yield from _sensitivity(scene, found, int(picked[0]))) if options and not best_only else ()
    return SizingResult(
        kind="science",
        feasible=bool(options),
        options=options,
        pareto=tuple(rank for rank, on_front in enumerate(front, 1) if on_front),
        rejected=rejected,
        shortfall=None if options else shortfall(rejected, hints_of(job)),
        sensitivity=sensitive,
        assumed=assumed(job, calibration),
        candidates=int(found.rows.server.size),
        engine_version=ENGINE_VERSION,
    )


def _scene(job: Job, admitted: IntArray, *, question: Question, terms: Terms) -> Scene:
    """What is searched, and by which rates; a training with the fleets that its own engine finds worth having."""
    table, calibration = table_of(terms.hardware), terms.calibration
    return Scene(
        job=job,
        table=table,
        rates=job_rates(job, table, hardware=terms.hardware, calibration=calibration),
        usable=usable_gpus(table, job.application.host),
        calibration=calibration,
        confidence=question.constraints.min_confidence_fraction,
        cpu_servers=terms.hardware.cpu_servers,
        trained=None
        if job.training is None
        else trained_fleets(job.training, admitted, table=table, calibration=calibration),
    )


def _limited(found: Candidates, scene: Scene, *, question: Question, terms: Terms) -> Candidates:
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
            hardware=terms.hardware,
            constraints=question.constraints,
            weight=terms.weight,
            weight_limit=budget_usd(question),
            beside=found.beside,
            beside_weight=terms.beside_weight,
        ),
    )


def _pick(found: Candidates, scene: Scene, weight: FloatArray, beside_weight: float) -> tuple[IntArray, list[bool]]:
    """Of each server its best feasible candidate, best first, and which of them nobody dominates."""
    feasible = np.flatnonzero(found.verdict.feasible)
    server, servers = found.rows.server[feasible], found.servers[feasible]
    # Nobody knows what they weigh: at most what the least server with GPUs does, so that none is taken for nothing.
    each = _most_weight(scene, weight) if np.isnan(beside_weight) else beside_weight
    cost = fleet_weight(weight, server, servers) + beside_weight_of(found.beside[feasible], each)
    power = fleet_power_w(scene.table, server, servers) + _beside_power_w(scene, found.beside[feasible])
    speed = 1.0 / found.physics.item_s[feasible]
    best = first_per_server(
        order(place=scene.table.place[server], cost_weight=cost, power_w=power, servers=servers, speed=speed), server
    )
    front = pareto_front(cost_weight=cost[best], speed=speed[best], power_w=power[best])
    return feasible[best], front.tolist()


def _most_weight(scene: Scene, weight: FloatArray) -> float:
    """The least weight of a server with GPUs that stands in a rack; NaN where none has a weight."""
    known = weight[~scene.table.desktop & ~np.isnan(weight)]
    return float(known.min()) if known.size else math.nan


def _beside_power_w(scene: Scene, servers: IntArray) -> FloatArray:
    """Planned power [W] of servers without GPUs; of an unknown figure nothing is added, alike for all."""
    each_kw = next((spec.plan_power_kw for spec in scene.cpu_servers), None)
    return np.asarray(servers * (each_kw or 0.0) * KW, dtype=np.float64)


def _sensitivity(scene: Scene, found: Candidates, row: int) -> Sizing[tuple[Sensitivity, ...]]:
    """Servers of the best option when each judgement it rests on goes from its lower to its upper bound."""
    watched = []
    for name in _watched(scene.job):
        moved = yield from _servers_at_bounds(scene, found, row, name)
        watched.append(moved)
    return tuple(sorted((s for s in watched if s), key=lambda s: (-abs(s.at_high - s.at_low), s.assumption)))


def _watched(job: Job) -> tuple[str, ...]:
    """Judgements that the physics reads: the share of diffusion is already in the job."""
    return (UTILISATION, *(rests_on(job.template) if job.coupled else ()))


def _servers_at_bounds(scene: Scene, found: Candidates, row: int, name: str) -> Sizing[Sensitivity | None]:
    entry = scene.calibration.assumptions[name]
    server = found.rows.server[row : row + 1]

    def servers(value: float) -> Sizing[float]:
        changed = {**scene.calibration.assumptions, name: replace(entry, value=value)}
        moved = replace(scene, calibration=replace(scene.calibration, assumptions=changed))
        again = yield from candidates_of(moved, server)
        same = again.verdict.feasible
        if not scene.job.coupled:
            same = same & (again.rows.gpus_instance == found.rows.gpus_instance[row])
        counts = again.servers[same]
        return float(counts.min()) if counts.size else float("nan")

    at_low, at_high = (yield from servers(entry.low)), (yield from servers(entry.high))
    if np.isnan(at_low) or np.isnan(at_high):
        return None
    return Sensitivity(
        assumption=name, low=entry.low, high=entry.high, metric="servers", at_low=at_low, at_high=at_high
    )
