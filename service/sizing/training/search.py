"""size_training: every legal layout on every server; the fewest and cheapest GPUs, or the shortest time."""

from dataclasses import dataclass, replace

import numpy as np

from service.errors import InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware, ServerSpec
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
from service.sizing.result import Limit, Rejection, Sensitivity, Shortfall, SizingResult
from service.sizing.site import fleet_power_w, fleet_weight, site_verdict
from service.sizing.table import FloatArray, HardwareTable, IntArray, table_of
from service.sizing.training.choices import searched_layouts
from service.sizing.training.evaluate import recipe_assumptions
from service.sizing.training.explain import Certainty, bottleneck, certainty_of
from service.sizing.training.job import (
    Job,
    gpus_used_server,
    job_of,
    lightest_recompute,
    memory_by_recompute,
    run_rates,
    servers_needed,
    table_rates,
)
from service.sizing.training.layouts import Layouts
from service.sizing.training.options import OptionContext, training_option
from service.sizing.training.point import point_at
from service.sizing.training.rates import Rates
from service.sizing.units import GB
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Question, TrainingWorkload

_MORE_GPUS_HELP = frozenset({Limit.MEMORY, Limit.DEADLINE, Limit.CONFIDENCE})
_SENSITIVE = (
    "training.failure_interval_gpu_h",
    "training.restart_min",
    "training.checkpoint_stall_fraction",
    "training.evaluation_fraction",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """One row per server configuration and GPU count worth having: its fastest layout and the step it takes.

    A row with `gpus` 0 stands for a server on which nothing fits; `needed_bytes` is then the least that would.
    """

    layouts: Layouts
    server: IntArray
    servers: IntArray
    gpus: IntArray
    step_s: FloatArray
    days: FloatArray
    needed_bytes: FloatArray
    tried: int


def size_training(
    question: Question,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture,
    calibration: Calibration,
    weight: FloatArray,
    weight_limit: float | None = None,
) -> SizingResult:
    """Ranked options for a training workload; feasible=False with the distance when nothing meets the target.

    Raises InvalidRequestError when no layout divides the global batch, UnsupportedWorkloadError for a precision that
    cannot train.
    """
    workload = question.workload
    if not isinstance(workload, TrainingWorkload):
        raise InvalidRequestError("workload.kind must be 'training' here")
    table = table_of(hardware)
    job = job_of(workload, architecture, calibration)
    most = int(calibration.assumption("fleet.max_gpus"))
    layouts = searched_layouts(job, gpus=workload.target.gpus, most_gpus=most)
    rows, refused = admissible(table, question.constraints)
    fleet = search(job, layouts, rows=rows, table=table, calibration=calibration)
    certainties = {
        int(row): certainty_of(
            job, calibration, subject=architecture.id, gpu=table.gpus[row].id, gpus=_typical(fleet, int(row))
        )
        for row in rows
    }
    verdict = judge(
        question, job, fleet, hardware=hardware, table=table, certainties=certainties, weight=weight, limit=weight_limit
    )
    context = OptionContext(
        job=job, hardware=hardware, table=table, calibration=calibration, constraints=question.constraints
    )
    return _result(fleet, verdict, context=context, certainties=certainties, weight=weight, refused=refused)


def _typical(fleet: Fleet, row: int) -> int:
    """The middle GPU count of a server's rows, for finding evidence near it."""
    counts = fleet.gpus[fleet.server == row]
    return int(np.sort(counts)[counts.size // 2]) if counts.size else 1


def _classes(rows: IntArray, table: HardwareTable) -> list[IntArray]:
    """Rows whose servers are the same to a training: GPU, GPUs per server, domain and links."""
    groups: dict[tuple[str, int, int, float, float], list[int]] = {}
    for row in rows.tolist():
        key = (
            table.gpus[row].id,
            int(table.gpus_server[row]),
            int(table.domain_gpus[row]),
            float(table.scale_up_bytes_s[row]),
            float(table.scale_out_bytes_s[row]),
        )
        groups.setdefault(key, []).append(row)
    return [np.array(group, dtype=np.int64) for group in groups.values()]


def search(
    job: Job, layouts: Layouts, *, rows: IntArray, table: HardwareTable, calibration: Calibration
) -> Fleet:
    """The fastest layout of every GPU count on every server; a count no faster than a smaller one is dropped."""
    used = memory_by_recompute(job, layouts)
    rates = table_rates(job, table, calibration)
    parts = [
        _fleet_part(
            job,
            layouts,
            used=used,
            group=group,
            table=table,
            rates=rates,
            most_servers=_most_servers(table.servers[group[0]], calibration),
        )
        for group in _classes(rows, table)
    ]
    if not parts:
        return _no_fleet(layouts)
    picked = Layouts(
        **{
            name: np.concatenate([getattr(p.layouts, name) for p in parts])
            for name in Layouts.__dataclass_fields__
        }
    )
    return Fleet(
        layouts=picked,
        server=np.concatenate([p.server for p in parts]),
        servers=np.concatenate([p.servers for p in parts]),
        gpus=np.concatenate([p.gpus for p in parts]),
        step_s=np.concatenate([p.step_s for p in parts]),
        days=np.concatenate([p.days for p in parts]),
        needed_bytes=np.concatenate([p.needed_bytes for p in parts]),
        tried=sum(p.tried for p in parts),
    )


def _most_servers(server: ServerSpec, calibration: Calibration) -> float:
    """Desktops are linked by cable, not by a fabric: only so many make one training."""
    desktop = server.rack_units is None
    return calibration.assumption("training.desktop_most_systems") if desktop else np.inf


def _no_fleet(layouts: Layouts) -> Fleet:
    none = np.zeros(0, dtype=np.int64)
    empty = np.zeros(0, dtype=np.float64)
    return Fleet(
        layouts=layouts.take(none),
        server=none,
        servers=none,
        gpus=none,
        step_s=empty,
        days=empty,
        needed_bytes=empty,
        tried=0,
    )


def _fleet_part(
    job: Job,
    layouts: Layouts,
    *,
    used: tuple[FloatArray, ...],
    group: IntArray,
    table: HardwareTable,
    rates: Rates,
    most_servers: float,
) -> Fleet:
    """The rows of servers that are the same to a training."""
    first = int(group[0])
    size = table.gpus_server[first]
    usable = np.full(len(layouts), table.memory_bytes[first])
    level, fits = lightest_recompute(used, usable)
    inside = gpus_used_server(layouts.gpus, size)
    placed = (inside > 0) & (layouts.tp <= inside) & (servers_needed(layouts.gpus, size) <= most_servers)
    known = np.isfinite(rates.gemm_flop_s[first]) & np.isfinite(rates.bandwidth_bytes_s[first])
    index = np.flatnonzero(fits & placed & known)
    if not index.size:
        return _nothing_fits(layouts, used=used, group=group, placed=placed, known=bool(known))
    chosen = layouts.take(index).with_recompute(level[index])
    where = np.full(index.size, first, dtype=np.int64)
    rates = run_rates(rates.take(where), chosen.gpus, table.gpus_server[where])
    step_s = job.step(chosen, rates).total
    days = job.days(step_s, job.goodput(chosen.gpus).fraction)
    best = _frontier(chosen.gpus, days)
    count = best.size
    server = np.repeat(group, count)
    again = np.tile(best, group.size)
    gpus = chosen.gpus[again]
    return Fleet(
        layouts=chosen.take(again),
        server=server,
        servers=servers_needed(gpus, table.gpus_server[server]),
        gpus=gpus,
        step_s=step_s[again],
        days=days[again],
        needed_bytes=np.full(again.size, np.nan),
        tried=int(index.size) * int(group.size),
    )


def _nothing_fits(
    layouts: Layouts, *, used: tuple[FloatArray, ...], group: IntArray, placed: np.ndarray, known: bool
) -> Fleet:
    """One row per server that says how much memory the lightest candidate needs (NaN: the precision is missing)."""
    least = used[-1]
    index = int(np.argmin(np.where(placed, least, np.inf))) if np.any(placed) else int(np.argmin(least))
    size = group.size
    return Fleet(
        layouts=layouts.take(np.full(size, index, dtype=np.int64)),
        server=group,
        servers=np.zeros(size, dtype=np.int64),
        gpus=np.zeros(size, dtype=np.int64),
        step_s=np.full(size, np.inf),
        days=np.full(size, np.inf),
        needed_bytes=np.full(size, least[index] if known else np.nan),
        tried=len(layouts) * int(size),
    )


def _frontier(gpus: IntArray, days: FloatArray) -> IntArray:
    """Fastest candidate of each GPU count, ascending, without counts that a smaller one beats."""
    ordered = np.lexsort((np.arange(gpus.size), days, gpus))
    _, first = np.unique(gpus[ordered], return_index=True)
    best = ordered[first]
    earlier = np.concatenate([[np.inf], np.minimum.accumulate(days[best])[:-1]])
    return np.asarray(best[days[best] < earlier], dtype=np.int64)


def judge(
    question: Question,
    job: Job,
    fleet: Fleet,
    *,
    hardware: Hardware,
    table: HardwareTable,
    certainties: dict[int, Certainty],
    weight: FloatArray,
    limit: float | None,
) -> Verdict:
    """Refusals in order: precision, memory, deadline, confidence, power, racks, budget."""
    verdict = open_verdict(fleet.server.size)
    none = fleet.gpus == 0
    nothing = np.full(fleet.server.size, np.nan)
    missing = none & np.isnan(fleet.needed_bytes)
    verdict = refuse(verdict, missing, limit=Limit.PRECISION, required=nothing, available=nothing)
    verdict = refuse(
        verdict,
        none,
        limit=Limit.MEMORY,
        required=fleet.needed_bytes / GB,
        available=table.memory_bytes[fleet.server] / GB,
    )
    verdict = _time_verdict(verdict, question, job, fleet, certainties=certainties)
    return site_verdict(
        verdict,
        server=fleet.server,
        servers=fleet.servers,
        table=table,
        preset=hardware.facility,
        constraints=question.constraints,
        weight=weight,
        weight_limit=limit,
    )


def _time_verdict(
    verdict: Verdict, question: Question, job: Job, fleet: Fleet, *, certainties: dict[int, Certainty]
) -> Verdict:
    deadline = job.workload.target.deadline_days
    if deadline is None:
        return verdict
    confidence = question.constraints.min_confidence_fraction
    factors = {row: c.step.quantile_factor(confidence) for row, c in certainties.items()}
    factor = np.array([factors[row] for row in fleet.server.tolist()], dtype=np.float64)
    bound = np.full(fleet.server.size, deadline)
    verdict = refuse(verdict, fleet.days > deadline, limit=Limit.DEADLINE, required=bound, available=fleet.days)
    late = fleet.days * factor
    return refuse(verdict, late > deadline, limit=Limit.CONFIDENCE, required=bound, available=late)


def _result(
    fleet: Fleet,
    verdict: Verdict,
    *,
    context: OptionContext,
    certainties: dict[int, Certainty],
    weight: FloatArray,
    refused: tuple[Rejection, ...],
) -> SizingResult:
    job, table = context.job, context.table
    ranked = _ranked(fleet, verdict, job=job, table=table, weight=weight)
    options = tuple(
        training_option(
            context,
            fleet.layouts,
            row=int(row),
            server=int(fleet.server[row]),
            servers=int(fleet.servers[row]),
            rank=position + 1,
            certainty=certainties[int(fleet.server[row])],
        )
        for position, row in enumerate(ranked)
    )
    rejected = (*refused, *_named(rejections(verdict, server=fleet.server, table=table)))
    front = pareto_front(
        cost_weight=fleet_weight(weight, fleet.server[ranked], fleet.servers[ranked]),
        speed=1.0 / fleet.days[ranked],
        power_w=fleet_power_w(table, fleet.server[ranked], fleet.servers[ranked]),
    )
    return SizingResult(
        kind="training",
        feasible=bool(options),
        options=options,
        pareto=tuple(int(i) + 1 for i in np.flatnonzero(front)),
        rejected=rejected,
        shortfall=None if options else _shortfall(fleet, rejected, context),
        sensitivity=_sensitivity(fleet, ranked, context),
        assumed=recipe_assumptions(context.calibration),
        candidates=fleet.tried,
        engine_version=ENGINE_VERSION,
    )


def _ranked(fleet: Fleet, verdict: Verdict, *, job: Job, table: HardwareTable, weight: FloatArray) -> IntArray:
    """The best feasible row of each server, best first: cheapest; fastest where the GPUs or the budget are given."""
    feasible = np.flatnonzero(verdict.feasible)
    feasible = feasible[np.lexsort((fleet.days[feasible], fleet.server[feasible]))]
    server, servers = fleet.server[feasible], fleet.servers[feasible]
    price = fleet_weight(weight, server, servers)
    power = fleet_power_w(table, server, servers)
    best = order(server=server, cost_weight=price, power_w=power, servers=servers)
    if job.workload.target.deadline_days is None:
        best = best[np.argsort(fleet.days[feasible][best], kind="stable")]
    return np.asarray(feasible[first_per_server(best, server)], dtype=np.int64)


def _named(rejected: tuple[Rejection, ...]) -> tuple[Rejection, ...]:
    """A deadline is missed by time, so the sentence names both as times."""
    return tuple(
        replace(r, unit="days", detail=_late(r)) if r.limit in {Limit.DEADLINE, Limit.CONFIDENCE} else r
        for r in rejected
    )


def _late(rejection: Rejection) -> str:
    asked, found = rejection.required or 0.0, rejection.available or 0.0
    sure = " at the asked confidence" if rejection.limit is Limit.CONFIDENCE else ""
    return f"takes {found:.4g} days{sure} at best, {asked:.4g} days are asked"


def _shortfall(fleet: Fleet, rejected: tuple[Rejection, ...], context: OptionContext) -> Shortfall | None:
    """The nearest miss, and for a deadline the fastest reachable and what limits it."""
    relaxations = {
        Limit.MEMORY: "use GPUs with more memory, a lower precision or a smaller model",
        Limit.PRECISION: "choose a workload.precision that the GPUs have, such as bf16",
        Limit.BUDGET: "raise the budget, or train on fewer tokens",
        Limit.FACILITY_POWER: "raise constraints.max_facility_kw or allow more time",
        Limit.RACKS: "raise constraints.max_racks or allow more time",
        Limit.UNKNOWN_FACT: "give a price for the servers",
    }
    if np.any(fleet.gpus > 0):
        fastest = int(np.argmin(fleet.days))
        server = int(fleet.server[fastest])
        point = point_at(
            context.job,
            fleet.layouts,
            row=fastest,
            table=context.table,
            server=server,
            calibration=context.calibration,
        )
        text = (
            f"the fastest reachable is {fleet.days[fastest]:.4g} days on {int(fleet.gpus[fastest])} GPUs of "
            f"{context.table.servers[server].id}, limited by {bottleneck(point.step)}; allow that many days, "
            f"raise workload.global_batch_sequences, or train on fewer tokens"
        )
        relaxations |= {Limit.DEADLINE: text, Limit.CONFIDENCE: text + ", or lower min_confidence_fraction"}
    return shortfall(rejected, relaxations, more_gpus_help=_MORE_GPUS_HELP - {Limit.DEADLINE, Limit.CONFIDENCE})


def _sensitivity(fleet: Fleet, ranked: IntArray, context: OptionContext) -> tuple[Sensitivity, ...]:
    """How the days of the first option move when one judgement on lost hours moves between its bounds."""
    if not ranked.size:
        return ()
    best = int(ranked[0])
    found = []
    for name in _SENSITIVE:
        entry = context.calibration.assumptions[name]
        low, high = (
            context.days_with(name, value, step_s=fleet.step_s[best], gpus=int(fleet.gpus[best]))
            for value in (entry.low, entry.high)
        )
        found.append(
            Sensitivity(
                assumption=name,
                low=entry.low,
                high=entry.high,
                metric="time_to_train_days",
                at_low=low,
                at_high=high,
            )
        )
    return tuple(sorted(found, key=lambda s: (-abs(s.at_high - s.at_low), s.assumption)))
