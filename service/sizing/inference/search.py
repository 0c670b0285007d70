"""The search of inference: every server and legal layout that serves the demand within the SLO, ranked."""

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.asks import FleetAsk
from service.sizing.inference.assumed import inference_assumed
from service.sizing.inference.choice import Contest, contest_of
from service.sizing.inference.context import check_context
from service.sizing.inference.fleet import Fleet, Group, needs_fabric, stands_for
from service.sizing.inference.formats import Formats
from service.sizing.inference.groups import candidate_groups, servers_by_formats
from service.sizing.inference.option import Picked, Scene, inference_options, operating_values
from service.sizing.inference.predict import PointValues
from service.sizing.inference.sensitivity import inference_sensitivity
from service.sizing.inference.software import software_of
from service.sizing.inference.traffic import fleet_demand, longest_tokens, slo_seconds, traffic_of
from service.sizing.joint import Sizing
from service.sizing.networks import network_plan
from service.sizing.precision import Precision
from service.sizing.rank import (
    Verdict,
    admissible,
    first_per_server,
    lowest,
    order,
    pareto_front,
    rejections,
    shortfall,
)
from service.sizing.result import Limit, Rejection, Sensitivity, Shortfall, SizingOption, SizingResult
from service.sizing.site import fleet_power_w, fleet_racks, fleet_weight, site_verdict
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray, table_of
from service.sizing.units import KW
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Availability, InferenceWorkload, Question

_MOST_OPTIONS = 24
_Kind = TypeVar("_Kind", np.int64, np.float64, np.bool_)

_HINTS = {
    Limit.MEMORY: "{server} would need {required} and {best} are usable: choose a narrower weight or KV precision, "
    "a shorter context or a smaller model",
    Limit.TTFT: "shorter prompts or a lower min_confidence_fraction lower that figure",
    Limit.TPOT: "a lower min_confidence_fraction lowers that figure",
    Limit.FLEET: "the demand takes {required}, a sizing goes up to {best}: lower the demand or split it",
    Limit.PRECISION: "ask for a precision that the allowed GPUs have, or for auto",
    Limit.NOT_ALLOWED: "allow more servers or GPUs",
}

# What a caller who asked for a format could ask for instead when memory is short.
_NARROWER: dict[Precision, tuple[Precision, ...]] = {
    Precision.BF16: (Precision.FP8, Precision.FP4),
    Precision.FP16: (Precision.FP8, Precision.FP4),
    Precision.FP4: (),
    Precision.INT4: (),
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pool:
    """All candidates of all servers, one after another; `group` and `local` lead back to a group's own row.

    `speed` is what the Pareto front trades against cost and power: tokens/s of one user, or requests/s of the fleet
    where that is what the question leaves open, `sure_speed` the same at the asked confidence; `output` is what the
    fleet carries at most.
    """

    group: IntArray
    local: IntArray
    server: IntArray
    servers: IntArray
    speed: FloatArray
    sure_speed: FloatArray
    output: FloatArray
    east_west: BoolArray
    verdict: Verdict


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """What one search gave: options with their front, rejections, and the formats that were searched."""

    options: tuple[SizingOption, ...]
    pareto: tuple[int, ...]
    rejected: tuple[Rejection, ...]
    formats: tuple[Formats, ...]
    candidates: int
    first: Picked | None


def sizing_of_inference(
    question: Question,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture,
    calibration: Calibration,
    weight: FloatArray,
    weight_limit: float | None = None,
    best_only: bool = False,
) -> Sizing[SizingResult]:
    """Ranked options, rejections and, when nothing fits, the nearest miss.

    Raises InvalidRequestError for a context that the model does not have.
    """
    workload = question.workload
    if not isinstance(workload, InferenceWorkload):
        raise TypeError("sizing_of_inference sizes inference workloads")
    check_context(workload, architecture)
    search = _Search(
        scene=Scene(
            demand=fleet_demand(workload, calibration),
            hardware=hardware,
            table=table_of(hardware),
            calibration=calibration,
            constraints=question.constraints,
            workload=workload,
        ),
        architecture=architecture,
        weight=weight,
        weight_limit=weight_limit,
        best_only=best_only,
    )
    found = yield from search.run()
    nearest = None if found.options else (yield from _shortfall(search, found))
    sensitivity = yield from search.sensitivity(found)
    return SizingResult(
        kind="inference",
        feasible=bool(found.options),
        options=found.options,
        pareto=found.pareto,
        rejected=found.rejected,
        shortfall=nearest,
        sensitivity=sensitivity,
        assumed=inference_assumed(workload, calibration, found.formats),
        candidates=found.candidates,
        engine_version=ENGINE_VERSION,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Search:
    """One search over the catalog: the scene, the model, and what options are ranked by."""

    scene: Scene
    architecture: ModelArchitecture
    weight: FloatArray
    weight_limit: float | None
    best_only: bool = False

    def run(self) -> Sizing[_Found]:
        """Every candidate planned, limited by the site, ranked, and the best of each server operated."""
        scene, table = self.scene, self.scene.table
        rows, refused = admissible(table, scene.constraints)
        software = software_of(scene.workload.engine, None, scene.calibration)
        formats, unformatted = servers_by_formats(scene.workload, self.architecture, table, rows, software=software)
        groups = candidate_groups(
            scene.workload, self.architecture, table, formats, software=software, calibration=scene.calibration
        )
        fleets: list[Fleet] = yield [self.ask(group) for group in groups]
        pool = self._limited(_pool(groups, fleets, scene.workload, table))
        contest, offered = self._contest(groups, pool)
        chosen = _pick(pool, scene, self.weight, offered=offered, by_output=contest.by_output, cheapest=self.best_only)
        candidates = [
            Picked(
                group=groups[pool.group[i]],
                fleet=fleets[pool.group[i]],
                row=int(pool.local[i]),
                server=int(pool.server[i]),
                servers=int(pool.servers[i]),
            )
            for i in chosen.rows.tolist()
        ]
        values = yield from operating_values(candidates, scene)
        kept, front = _ranked(chosen, _operated_speed(candidates, values, scene.workload))
        told = kept[:1] if self.best_only else kept
        return _Found(
            options=inference_options(
                [candidates[i] for i in told],
                [values[i] for i in told],
                scene,
                contest=contest,
            ),
            pareto=tuple(rank for rank, on_front in enumerate(front, 1) if on_front),
            rejected=()
            if self.best_only and told.size
            else (*refused, *unformatted, *rejections(pool.verdict, server=pool.server, table=table)),
            formats=_answered(groups, [candidates[i] for i in kept]),
            candidates=int(pool.server.size),
            first=candidates[kept[0]] if candidates else None,
        )

    def _contest(self, groups: list[Group], pool: _Pool) -> tuple[Contest, IntArray]:
        """What formats and modes take, and the feasible candidates that their server is offered with."""
        scene, by_output = self.scene, self.scene.demand.gpus is not None
        feasible = np.flatnonzero(pool.verdict.feasible)
        group, server = pool.group[feasible], pool.server[feasible]
        cost = pool.servers[feasible] / (pool.output[feasible] if by_output else 1.0)
        contest = contest_of(
            groups, group=group, server=server, cost=cost, servers=len(scene.table.servers), by_output=by_output
        )
        if not feasible.size:
            return contest, feasible
        stands = contest.stands(
            groups,
            group=group,
            server=server,
            cost=cost,
            speed=pool.sure_speed[feasible],
            margin=scene.calibration.assumption("inference.wider_precision_cost_fraction"),
        )
        return contest, feasible[stands]

    def ask(self, group: Group) -> FleetAsk:
        """The fleets of one group's candidates."""
        scene, workload = self.scene, self.scene.workload
        return FleetAsk(
            bench=group.bench,
            rows=group.fits,
            memory=group.memory.take(group.fits),
            chunk_tokens=group.bench.chunk_tokens,
            tpot_sigma_fraction=group.bench.tpot_sigma_fraction,
            traffic=traffic_of(workload),
            unit=scene.demand.unit,
            wanted=np.full(group.fits.size, scene.demand.wanted),
            slo_s=slo_seconds(workload.slo),
            longest_tokens=longest_tokens(workload),
            confidence_fraction=scene.constraints.min_confidence_fraction,
            table=scene.table,
            calibration=scene.calibration,
        )

    def sensitivity(self, found: _Found) -> Sizing[tuple[Sensitivity, ...]]:
        """How the recommended option moves with the engine's assumptions."""
        first = found.first
        if first is None or self.best_only:
            return ()
        return (
            yield from inference_sensitivity(
                self.ask(first.group), first.layout, calibration=self.scene.calibration, workload=self.scene.workload
            )
        )

    def narrower(self, weight: Precision) -> "_Search":
        """The same search with narrower weights and an FP8 cache."""
        workload = replace(self.scene.workload, weight_precision=weight, kv_precision=Precision.FP8)
        return replace(self, scene=replace(self.scene, workload=workload))

    def _limited(self, pool: _Pool) -> _Pool:
        scene = self.scene
        verdict = site_verdict(
            pool.verdict,
            server=pool.server,
            servers=pool.servers,
            east_west=pool.east_west,
            table=scene.table,
            hardware=scene.hardware,
            constraints=scene.constraints,
            weight=self.weight,
            weight_limit=self.weight_limit,
        )
        return replace(pool, verdict=verdict)


def _shortfall(search: _Search, found: _Found) -> Sizing[Shortfall | None]:
    """The nearest miss; when memory is what misses, narrower weights are tried and named if they do."""
    missed = shortfall(found.rejected, _HINTS)
    if missed is None or missed.limit is not Limit.MEMORY:
        return missed
    for weight in _NARROWER.get(search.scene.workload.weight_precision, (Precision.FP4,)):
        tried = yield from search.narrower(weight).run()
        if tried.options:
            way_out = f"with weight_precision {weight} and kv_precision fp8 {tried.options[0].server} would do"
            return replace(missed, relaxation=way_out)
    return missed


def _pool(groups: list[Group], fleets: list[Fleet], workload: InferenceWorkload, table: HardwareTable) -> _Pool:
    parts = [_part(place, group, fleets[place], workload, table) for place, group in enumerate(groups)]
    parts += [_misfits(place, group, table) for place, group in enumerate(groups)]
    return _joined(parts)


def _part(place: int, group: Group, fleet: Fleet, workload: InferenceWorkload, table: HardwareTable) -> _Pool:
    """The planned candidates of one group on every server that they stand for."""
    spare = 1 if workload.availability is Availability.N_PLUS_1 else 0
    local, server = stands_for(group.layouts.server, group.servers, table)
    output = fleet.predicted * fleet.instances
    speed, sure = fleet.tokens_s_user, 1.0 / fleet.margins.tpot
    if _by_fleet(workload):
        speed, sure = fleet.requests_s, fleet.margins.rate
    return _Pool(
        group=np.full(local.size, place),
        local=local,
        server=server,
        servers=fleet.servers[local] + spare,
        speed=speed[local],
        sure_speed=(speed * sure)[local],
        output=output[local],
        east_west=needs_fabric(group, table)[local],
        verdict=fleet.verdict.take(local),
    )


def _misfits(place: int, group: Group, table: HardwareTable) -> _Pool:
    """Those that were refused before they were planned."""
    local, server = stands_for(group.misfit.server, group.servers, table)
    nothing = np.zeros(local.size)
    return _Pool(
        group=np.full(local.size, place),
        local=local,
        server=server,
        servers=np.ones(local.size, dtype=np.int64),
        speed=nothing,
        sure_speed=nothing,
        output=nothing,
        east_west=np.zeros(local.size, dtype=np.bool_),
        verdict=group.misfit.verdict.take(local),
    )


def _joined(parts: list[_Pool]) -> _Pool:
    """All of them; of no parts a pool without candidates."""
    verdicts = [part.verdict for part in parts]
    return _Pool(
        group=_all([part.group for part in parts], np.int64),
        local=_all([part.local for part in parts], np.int64),
        server=_all([part.server for part in parts], np.int64),
        servers=_all([part.servers for part in parts], np.int64),
        speed=_all([part.speed for part in parts], np.float64),
        sure_speed=_all([part.sure_speed for part in parts], np.float64),
        output=_all([part.output for part in parts], np.float64),
        east_west=_all([part.east_west for part in parts], np.bool_),
        verdict=Verdict(
            stage=_all([v.stage for v in verdicts], np.int64),
            required=_all([v.required for v in verdicts], np.float64),
            available=_all([v.available for v in verdicts], np.float64),
        ),
    )


def _all(columns: list[NDArray[_Kind]], kind: type[_Kind]) -> NDArray[_Kind]:
    return np.concatenate(columns) if columns else np.zeros(0, dtype=kind)


def _by_fleet(workload: InferenceWorkload) -> bool:
    """Whether speed is what the fleet carries: not where a user's speed is bounded, nor where the rate is given."""
    return workload.slo is None and (
        workload.demand.concurrency is not None or workload.demand.saturate_gpus is not None
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Chosen:
    """Rows of the pool that may become options: weight and power, per unit of output where that is ranked by."""

    rows: IntArray
    server: IntArray
    servers: IntArray
    place: IntArray
    racks: FloatArray
    cost: FloatArray
    power: FloatArray


def _answered(groups: list[Group], options: list[Picked]) -> tuple[Formats, ...]:
    """The formats of the options, widest first; without options those that were tried."""
    found = {one.group.formats for one in options} or {group.formats for group in groups}
    return tuple(dict.fromkeys(group.formats for group in groups if group.formats in found))


def _pick(
    pool: _Pool, scene: Scene, weight: FloatArray, *, offered: IntArray, by_output: bool, cheapest: bool
) -> _Chosen:
    """Of each server its best and its fastest candidate of those `offered`.

    `by_output` ranks by weight and power per unit of output: a given number of GPUs differs in what it does. With
    `cheapest` only those of the lowest weight are left, one of which ranks first.
    """
    table = scene.table
    server, servers, speed = pool.server[offered], pool.servers[offered], pool.speed[offered]
    output = pool.output[offered] if by_output else np.ones_like(speed)
    cost = fleet_weight(weight, server, servers) / output
    power = fleet_power_w(table, server, servers) / output
    place, crosses = table.place[server], pool.east_west[offered]
    # Of one server the fleets that cost the same have as many servers: first those without a fabric, which draws power;
    # a single server has none.
    fleet = 2 * servers + (crosses & (servers > 1))
    best = first_per_server(order(place=place, cost_weight=cost, power_w=power, servers=fleet, speed=speed), server)
    fastest = first_per_server(np.lexsort((servers, place, -speed)), server)
    both = np.unique(np.concatenate([best, fastest]))
    if cheapest:
        both = both[lowest(cost[both])]
    switches = [
        _switches_w(scene, i, j) if across else 0.0
        for i, j, across in zip(server[both].tolist(), servers[both].tolist(), crosses[both].tolist(), strict=True)
    ]
    return _Chosen(
        rows=offered[both],
        server=server[both],
        servers=servers[both],
        place=place[both],
        racks=fleet_racks(
            table, scene.hardware.facility, scene.constraints, server=server[both], servers=servers[both]
        ),
        cost=cost[both],
        power=power[both] + np.array(switches) / output[both],
    )


def _switches_w(scene: Scene, server: int, servers: int) -> float:
    """Power [W] of the fabric of so many servers; zero where it is unknown, as the option then shows none."""
    plan = network_plan(scene.table.servers[server], servers, scene.hardware.switches)
    return (plan.switch_power_kw or 0.0) * KW


def _ranked(chosen: _Chosen, speed: FloatArray) -> tuple[IntArray, list[bool]]:
    """Places of the chosen that become options, best first, and which of those are on the front.

    Kept are the best of each server and what the front adds, judged at the load that they will carry.
    """
    ranked = order(
        place=chosen.place,
        cost_weight=chosen.cost,
        power_w=chosen.power,
        servers=chosen.servers,
        speed=speed,
        racks=chosen.racks,
    )
    front = pareto_front(cost_weight=chosen.cost, speed=speed, power_w=chosen.power)
    best = np.zeros(ranked.size, dtype=np.bool_)
    best[first_per_server(ranked, chosen.server)] = True
    kept = ranked[(best | front)[ranked]][:_MOST_OPTIONS]
    return kept, front[kept].tolist()


def _operated_speed(candidates: list[Picked], values: list[PointValues], workload: InferenceWorkload) -> FloatArray:
    """Speed as the pool has it, at the load that each candidate will carry."""
    if not _by_fleet(workload):
        return np.array([1.0 / value.tpot_s for value in values])
    each = zip(candidates, values, strict=True)
    return np.array([value.requests_s * float(one.fleet.instances[one.row]) for one, value in each])
