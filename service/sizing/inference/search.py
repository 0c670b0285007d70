"""The search of inference: every server and legal layout that serves the demand within the SLO, ranked."""

from dataclasses import dataclass, replace

import numpy as np

from service.sizing.admission import admissible
from service.sizing.architecture import ModelArchitecture
from service.sizing.inference.asks import FleetAsk
from service.sizing.inference.assumed import inference_assumed
from service.sizing.inference.candidates import Candidates, candidates_of
from service.sizing.inference.choice import Contest, contest_of
from service.sizing.inference.context import check_context
from service.sizing.inference.fleet import Fleet
from service.sizing.inference.formats import Formats
from service.sizing.inference.groups import Group, candidate_groups, servers_by_formats
from service.sizing.inference.option import Picked, Scene, inference_options, operating_values
from service.sizing.inference.pick import operated_speed, pick, ranked
from service.sizing.inference.sensitivity import inference_sensitivity
from service.sizing.inference.software import software_of
from service.sizing.inference.traffic import fleet_demand, longest_tokens, slo_seconds, traffic_of
from service.sizing.joint import Sizing
from service.sizing.precision import Precision
from service.sizing.rank import rejections, shortfall
from service.sizing.result import Limit, Rejection, Sensitivity, Shortfall, SizingOption, SizingResult
from service.sizing.site import site_verdict
from service.sizing.table import IntArray, table_of
from service.sizing.terms import Terms
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import InferenceWorkload, Question, budget_usd

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
class _Found:
    """What one search gave: options with their front, rejections, and the formats that were searched."""

    options: tuple[SizingOption, ...]
    pareto: tuple[int, ...]
    rejected: tuple[Rejection, ...]
    formats: tuple[Formats, ...]
    candidates: int
    first: Picked | None


def sizing_of_inference(question: Question, architecture: ModelArchitecture, *, terms: Terms) -> Sizing[SizingResult]:
    """Ranked options, rejections and, when nothing fits, the nearest miss.

    Raises InvalidRequestError for a context that the model does not have.
    """
    workload = question.workload
    if not isinstance(workload, InferenceWorkload):
        raise TypeError("sizing_of_inference sizes inference workloads")
    check_context(workload, architecture)
    search = _Search(
        scene=Scene(
            traffic=traffic_of(workload),
            demand=fleet_demand(workload, terms.calibration),
            hardware=terms.hardware,
            table=table_of(terms.hardware),
            calibration=terms.calibration,
            constraints=question.constraints,
            workload=workload,
            explained=not terms.best_only,
        ),
        architecture=architecture,
        terms=terms,
        weight_limit=budget_usd(question),
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
        assumed=inference_assumed(workload, terms.calibration, found.formats),
        candidates=found.candidates,
        engine_version=ENGINE_VERSION,
    )


def _picked(rows: IntArray, pool: Candidates, groups: list[Group], fleets: list[Fleet]) -> list[Picked]:
    """Rows of the pool, each with the group and the fleet that it comes from."""
    return [
        Picked(
            group=groups[pool.group[i]],
            fleet=fleets[pool.group[i]],
            row=int(pool.local[i]),
            server=int(pool.server[i]),
            servers=int(pool.servers[i]),
        )
        for i in rows.tolist()
    ]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Search:
    """One search over the catalog: the scene, the model, and what options are ranked by."""

    scene: Scene
    architecture: ModelArchitecture
    terms: Terms
    weight_limit: float | None

    def run(self) -> Sizing[_Found]:
        """Every candidate planned, limited by the site, ranked, and the best of each server operated."""
        scene, table = self.scene, self.scene.table
        rows, refused = admissible(table, scene.constraints)
        software = software_of(scene.workload.engine, None, scene.calibration)
        formats, unformatted = servers_by_formats(
            scene.workload, self.architecture, table, rows, software=software, margin=self._margin
        )
        groups = candidate_groups(
            scene.workload, self.architecture, table, formats, software=software, calibration=scene.calibration
        )
        fleets: list[Fleet] = yield [self.ask(group) for group in groups]
        pool = self._limited(candidates_of(groups, fleets, scene.workload, table))
        contest, offered = self._contest(groups, pool)
        chosen = pick(
            pool, scene, self.terms.weight, offered=offered, by_output=contest.by_output, cheapest=self.terms.best_only
        )
        candidates = _picked(chosen.rows, pool, groups, fleets)
        values = yield from operating_values(candidates, scene)
        kept, front = ranked(chosen, operated_speed(candidates, values, scene.workload))
        told = kept[:1] if self.terms.best_only else kept
        return _Found(
            options=inference_options([candidates[i] for i in told], [values[i] for i in told], scene, contest=contest),
            pareto=tuple(rank for rank, on_front in enumerate(front, 1) if on_front),
            rejected=()
            if self.terms.best_only and told.size
            else (*refused, *unformatted, *rejections(pool.verdict, server=pool.server, table=table)),
            formats=_answered(groups, [candidates[i] for i in kept]),
            candidates=int(pool.server.size),
            first=candidates[kept[0]] if candidates else None,
        )

    def _contest(self, groups: list[Group], pool: Candidates) -> tuple[Contest, IntArray]:
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
            margin=self._margin,
        )
        return contest, feasible[stands]

    @property
    def _margin(self) -> float:
        """What a wider number format may cost more, as a fraction."""
        return self.scene.calibration.assumption("inference.wider_precision_cost_fraction")

    def ask(self, group: Group) -> FleetAsk:
        """The fleets of one group's candidates."""
        scene, workload = self.scene, self.scene.workload
        return FleetAsk(
            bench=group.bench,
            rows=group.fits,
            memory=group.memory.take(group.fits),
            chunk_tokens=group.bench.chunk_tokens,
            tpot_sigma_fraction=group.bench.tpot_sigma_fraction,
            traffic=scene.traffic,
            unit=scene.demand.unit,
            wanted=np.full(group.fits.size, scene.demand.wanted),
            slo_s=slo_seconds(workload),
            longest_tokens=longest_tokens(workload),
            confidence_fraction=scene.constraints.min_confidence_fraction,
            table=scene.table,
            calibration=scene.calibration,
        )

    def sensitivity(self, found: _Found) -> Sizing[tuple[Sensitivity, ...]]:
        """How the recommended option moves with the engine's assumptions."""
        first = found.first
        if first is None or self.terms.best_only:
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

    def _limited(self, pool: Candidates) -> Candidates:
        scene = self.scene
        verdict = site_verdict(
            pool.verdict,
            server=pool.server,
            servers=pool.servers,
            east_west=pool.east_west,
            table=scene.table,
            hardware=scene.hardware,
            constraints=scene.constraints,
            weight=self.terms.weight,
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


def _answered(groups: list[Group], options: list[Picked]) -> tuple[Formats, ...]:
    """The formats of the options, widest first; without options those that were tried."""
    found = {one.group.formats for one in options} or {group.formats for group in groups}
    return tuple(dict.fromkeys(group.formats for group in groups if group.formats in found))
