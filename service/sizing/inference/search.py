"""size_inference: every server and legal layout that serves the demand within the SLO, ranked."""

from dataclasses import dataclass, replace

import numpy as np

from service.errors import FieldError, InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.fleet import Fleet, Group, margins_of, plan_fleet
from service.sizing.inference.formats import Formats, choose_formats, has_format
from service.sizing.inference.layout import legal_layouts
from service.sizing.inference.load import model_load
from service.sizing.inference.memory import inference_memory, sequence_bytes
from service.sizing.inference.option import Picked, Scene, inference_options, operating_values
from service.sizing.inference.predict import PointValues
from service.sizing.inference.sensitivity import inference_sensitivity
from service.sizing.inference.traffic import (
    FleetDemand,
    fleet_demand,
    growth_factor,
    held_tokens,
    longest_tokens,
    slo_seconds,
    traffic_of,
)
from service.sizing.rank import (
    Verdict,
    admissible,
    first_per_server,
    order,
    pareto_front,
    rejections,
    shortfall,
)
from service.sizing.result import Assumed, Limit, Rejection, SizingResult
from service.sizing.site import fleet_power_w, fleet_weight, site_verdict
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray, table_of
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Availability, Constraints, InferenceWorkload, Question, Serving

_MOST_OPTIONS = 24

_RELAXATIONS = {
    Limit.MEMORY: "{server} would need {required} and {best} are usable: choose a narrower weight or KV precision, "
    "a shorter context or a smaller model",
    Limit.TTFT: "with slo.ttft_ms of {best} or more {server} would do; shorter prompts or a lower "
    "min_confidence_fraction lower that figure",
    Limit.TPOT: "with slo.tpot_ms of {best} or more {server} would do; a lower min_confidence_fraction lowers "
    "that figure",
    Limit.FLEET: "the demand takes {required}, a sizing goes up to {best}: lower the demand or split it",
    Limit.FACILITY_POWER: "with constraints.max_facility_kw of {required} {server} would do",
    Limit.RACKS: "with constraints.max_racks of {required} {server} would do",
    Limit.BUDGET: "with constraints.max_budget_usd of {required} {server} would do",
    Limit.RACK_POWER: "with constraints.max_rack_kw of {required} {server} could be considered",
    Limit.PRECISION: "ask for a precision that the allowed GPUs have, or for auto",
    Limit.COOLING: "allow the other cooling",
    Limit.NOT_ALLOWED: "allow more servers or GPUs",
}
_MORE_GPUS_HELP = frozenset({Limit.FLEET})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Pool:
    """All candidates of all groups, one after another; `group` and `local` lead back to a group's own row.

    `speed` is what the Pareto front trades against cost and power: tokens/s of one user when there is an SLO, else of
    the fleet.
    """

    group: IntArray
    local: IntArray
    server: IntArray
    servers: IntArray
    speed: FloatArray
    verdict: Verdict


def size_inference(
    question: Question,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture,
    calibration: Calibration,
    weight: FloatArray,
    weight_limit: float | None = None,
) -> SizingResult:
    """Ranked options, rejections and, when nothing fits, the nearest miss.

    Raises InvalidRequestError for a context that the model does not have.
    """
    workload, constraints = _inference(question)
    _check_context(workload, architecture)
    table = table_of(hardware)
    rows, refused = admissible(table, constraints)
    formats, unformatted = _formats(workload, architecture, table, rows)
    demand = fleet_demand(workload, calibration)
    groups = _groups(workload, architecture, table, formats, calibration)

    def plan(group: Group, using: Calibration) -> Fleet:
        return _plan(group, workload, demand=demand, table=table, calibration=using, constraints=constraints)

    fleets = [plan(g, calibration) for g in groups]
    pool = _pool(groups, fleets, workload)
    verdict = site_verdict(
        pool.verdict,
        server=pool.server,
        servers=pool.servers,
        table=table,
        preset=hardware.facility,
        constraints=constraints,
        weight=weight,
        weight_limit=weight_limit,
    )
    scene = Scene(
        workload=workload,
        demand=demand,
        hardware=hardware,
        table=table,
        calibration=calibration,
        constraints=constraints,
    )
    chosen = _pick(replace(pool, verdict=verdict), table, weight, by_output=demand.gpus is not None)
    candidates = [
        Picked(group=groups[pool.group[i]], fleet=fleets[pool.group[i]], row=int(pool.local[i]), servers=int(n))
        for i, n in zip(chosen.rows, pool.servers[chosen.rows], strict=True)
    ]
    values = operating_values(candidates, scene)
    kept, front = _front(chosen, candidates, values, workload)
    options = inference_options([candidates[i] for i in kept], [values[i] for i in kept], scene)
    rejected = (*refused, *unformatted, *rejections(verdict, server=pool.server, table=table))
    return SizingResult(
        kind="inference",
        feasible=bool(options),
        options=options,
        pareto=tuple(rank + 1 for rank, on_front in enumerate(front) if on_front),
        rejected=rejected,
        shortfall=None if options else shortfall(rejected, _RELAXATIONS, more_gpus_help=_MORE_GPUS_HELP),
        sensitivity=(
            inference_sensitivity(
                candidates[0].group,
                candidates[0].row,
                plan=lambda g, c: _plan(
                    g, workload, demand=demand, table=table, calibration=c, constraints=constraints
                ),
                table=table,
                calibration=calibration,
                held_tokens=held_tokens(workload),
            )
            if options
            else ()
        ),
        assumed=_assumed(workload, calibration, groups),
        candidates=int(pool.server.size),
        engine_version=ENGINE_VERSION,
    )


def _inference(question: Question) -> tuple[InferenceWorkload, Constraints]:
    if not isinstance(question.workload, InferenceWorkload):
        raise TypeError("size_inference sizes inference workloads")
    return question.workload, question.constraints


def _check_context(workload: InferenceWorkload, architecture: ModelArchitecture) -> None:
    longest, most = longest_tokens(workload), architecture.max_context_tokens
    if most is not None and longest > most:
        raise InvalidRequestError(
            f"isl_tokens + osl_tokens reach {longest:g}, {architecture.id} has a context of {most}",
            errors=(
                FieldError(
                    field="workload.isl_tokens",
                    message="with osl_tokens is longer than the model's context; shorten it or choose another model",
                    value=f"{longest:g}",
                    limit=str(most),
                ),
            ),
        )


def _formats(
    workload: InferenceWorkload, architecture: ModelArchitecture, table: HardwareTable, rows: IntArray
) -> tuple[dict[Formats, list[int]], tuple[Rejection, ...]]:
    """Servers by the formats they serve in; a GPU that lacks an asked format is rejected, never given another."""
    found: dict[Formats, list[int]] = {}
    rejected: list[Rejection] = []
    for row in rows.tolist():
        gpu, server = table.gpus[row], table.servers[row]
        chosen = choose_formats(workload, architecture, gpu)
        if not has_format(gpu, chosen.weight):
            rejected.append(
                Rejection(
                    server=server.id,
                    limit=Limit.PRECISION,
                    candidates=1,
                    detail=f"{gpu.id} does not multiply {chosen.weight}",
                )
            )
        else:
            found.setdefault(chosen, []).append(row)
    return found, tuple(rejected)


def _groups(
    workload: InferenceWorkload,
    architecture: ModelArchitecture,
    table: HardwareTable,
    formats: dict[Formats, list[int]],
    calibration: Calibration,
) -> list[Group]:
    modes = {
        Serving.AGGREGATED: (False,),
        Serving.DISAGGREGATED: (True,),
        Serving.AUTO: (False,),
    }[workload.serving]
    found: list[Group] = []
    for chosen, rows in formats.items():
        load = model_load(architecture, weight=chosen.weight, kv=chosen.kv)
        layouts = legal_layouts(load, table, np.array(rows, dtype=np.int64))
        memory = inference_memory(
            load, layouts, table=table, context_tokens=held_tokens(workload), calibration=calibration
        )
        found.extend(
            Group(load=load, layouts=layouts, memory=memory, disaggregated=mode, why=chosen.why) for mode in modes
        )
    return found


def _plan(
    group: Group,
    workload: InferenceWorkload,
    *,
    demand: FleetDemand,
    table: HardwareTable,
    calibration: Calibration,
    constraints: Constraints,
) -> Fleet:
    return plan_fleet(
        group,
        traffic=traffic_of(workload),
        demand=demand,
        slo_s=slo_seconds(workload.slo),
        longest_bytes=sequence_bytes(group.load, group.layouts, context_tokens=longest_tokens(workload)),
        margins=margins_of(group, table=table, calibration=calibration, confidence=constraints.min_confidence_fraction),
        table=table,
        calibration=calibration,
    )


def _pool(groups: list[Group], fleets: list[Fleet], workload: InferenceWorkload) -> _Pool:
    spare = 1 if workload.availability is Availability.N_PLUS_1 else 0
    sizes = [f.servers.size for f in fleets]

    def joined(parts: list[FloatArray] | list[IntArray]) -> FloatArray:
        return np.concatenate(parts).astype(np.float64) if parts else np.zeros(0)

    return _Pool(
        group=np.repeat(np.arange(len(groups)), sizes),
        local=np.concatenate([np.arange(n) for n in sizes]) if sizes else np.zeros(0, dtype=np.int64),
        server=joined([g.layouts.server for g in groups]).astype(np.int64),
        servers=joined([f.servers for f in fleets]).astype(np.int64) + spare,
        speed=joined([f.tokens_s_user if workload.slo else f.predicted * f.instances for f in fleets]),
        verdict=Verdict(
            stage=joined([f.verdict.stage for f in fleets]).astype(np.int64),
            required=joined([f.verdict.required for f in fleets]),
            available=joined([f.verdict.available for f in fleets]),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Chosen:
    """Rows of the pool that may become options, best first; `best` marks the best of each server."""

    rows: IntArray
    cost: FloatArray
    power: FloatArray
    best: BoolArray


def _pick(pool: _Pool, table: HardwareTable, weight: FloatArray, *, by_output: bool) -> _Chosen:
    """Of each server its best and its fastest feasible candidate, best first.

    `by_output` ranks by weight and power per unit of output: a given number of GPUs differs in what it does.
    """
    feasible = np.flatnonzero(pool.verdict.feasible)
    server, servers, speed = pool.server[feasible], pool.servers[feasible], pool.speed[feasible]
    output = speed if by_output else np.ones_like(speed)
    cost = fleet_weight(weight, server, servers) / output
    power = fleet_power_w(table, server, servers) / output
    best = first_per_server(order(server=server, cost_weight=cost, power_w=power, servers=servers), server)
    fastest = first_per_server(np.lexsort((servers, server, -speed)), server)
    both = np.unique(np.concatenate([best, fastest]))
    ranked = both[order(server=server[both], cost_weight=cost[both], power_w=power[both], servers=servers[both])]
    return _Chosen(rows=feasible[ranked], cost=cost[ranked], power=power[ranked], best=np.isin(ranked, best))


def _front(
    chosen: _Chosen, candidates: list[Picked], values: list[PointValues], workload: InferenceWorkload
) -> tuple[list[int], list[bool]]:
    """Places of the candidates that become options, and which of them are on the front: the best of each server, and what
    the front adds, judged at the load that they will carry.
    """
    if not candidates:
        return [], []
    instances = [float(c.fleet.instances[c.row]) for c in candidates]
    speed = np.array(
        [1.0 / v.tpot_s if workload.slo else v.requests_s * n for v, n in zip(values, instances, strict=True)]
    )
    front = pareto_front(cost_weight=chosen.cost, speed=speed, power_w=chosen.power)
    kept = np.flatnonzero(chosen.best | front)[:_MOST_OPTIONS].tolist()
    return kept, front[kept].tolist()


def _assumed(workload: InferenceWorkload, calibration: Calibration, groups: list[Group]) -> tuple[Assumed, ...]:
    found = [
        Assumed(field="workload.weight_precision", value=str(group.load.weight_precision), why=group.why)
        for group in groups
        if group.why and not group.disaggregated
    ]
    if workload.demand.users is not None:
        for name in ("requests_user_hour", "peak_factor"):
            if getattr(workload.demand, name) is None:
                entry = calibration.assumptions[f"inference.{name}"]
                found.append(
                    Assumed(
                        field=f"workload.demand.{name}", value=f"{entry.value:g}", why="not given", source=entry.source
                    )
                )
    if workload.growth_fraction_year > 0.0:
        found.append(
            Assumed(
                field="workload.demand",
                value=f"x {growth_factor(workload):.3g}",
                why="sized for the end of the horizon: (1 + growth_fraction_year) ^ years",
            )
        )
    if workload.serving is Serving.AUTO:
        found.append(
            Assumed(
                field="workload.serving",
                value=str(Serving.AGGREGATED),
                why="measured far more often; ask for disaggregated to size separate prefill",
            )
        )
    if workload.slo is None:
        found.append(Assumed(field="workload.slo", value="none", why="throughput only"))
    for name in (
        "inference.framework_reserve_gb",
        "inference.memory_usable_fraction",
        "inference.prefill_chunk_tokens",
    ):
        entry = calibration.assumptions[name]
        found.append(
            Assumed(field=name, value=f"{entry.value:g} {entry.unit}", why="engine assumption", source=entry.source)
        )
    return tuple(found)
