"""What refuses a fleet and with what distance, the order of what remains, and what to say when nothing does."""

from dataclasses import replace

import numpy as np

from service.sizing.hardware import Hardware
from service.sizing.rank import Verdict, first_per_server, open_verdict, order, refuse, shortfall
from service.sizing.result import Limit, Rejection, Shortfall
from service.sizing.site import fleet_power_w, fleet_weight, site_verdict
from service.sizing.spoken import spoken
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.training.explain import Certainty, bottleneck
from service.sizing.training.fleet import Fleet
from service.sizing.training.job import Job
from service.sizing.training.layouts import Layouts, micro_batches
from service.sizing.training.options import OptionContext
from service.sizing.training.point import point_of
from service.sizing.units import GB
from service.sizing.workload import Question

_HINTS = {
    Limit.MEMORY: "use GPUs with more memory, a lower precision or a smaller model",
    Limit.PRECISION: "choose a workload.precision that the GPUs have, such as bf16",
    Limit.UNKNOWN_FACT: "give a price for the servers",
}


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
    desktop_most_systems: float,
) -> Verdict:
    """Refusals in order: precision, fleet, memory, deadline, confidence, power, racks, budget."""
    verdict = open_verdict(fleet.server.size)
    none = fleet.gpus == 0
    nothing = np.full(fleet.server.size, np.nan)
    missing = none & np.isnan(fleet.needed_bytes)
    verdict = refuse(verdict, missing, limit=Limit.PRECISION, required=nothing, available=nothing)
    usable = job.usable_bytes(table.memory_bytes[fleet.server])
    # What would fit and is nowhere placed asks for more systems than such systems make a training of.
    verdict = refuse(
        verdict,
        none & (fleet.needed_bytes <= usable),
        limit=Limit.FLEET,
        required=fleet.layouts.gpus.astype(np.float64),
        available=np.asarray(table.gpus_server[fleet.server] * desktop_most_systems, dtype=np.float64),
    )
    verdict = refuse(verdict, none, limit=Limit.MEMORY, required=fleet.needed_bytes / GB, available=usable / GB)
    verdict = _time_verdict(verdict, question, job, fleet, certainties=certainties)
    return site_verdict(
        verdict,
        server=fleet.server,
        servers=fleet.servers,
        east_west=np.ones(fleet.server.size, dtype=np.bool_),
        table=table,
        hardware=hardware,
        constraints=question.constraints,
        weight=weight,
        weight_limit=limit,
        budget=_budget(question, job),
    )


def _budget(question: Question, job: Job) -> Limit:
    """The lower of two budgets is the one that binds."""
    target, most = job.workload.target.budget_usd, question.constraints.max_budget_usd
    if target is None or (most is not None and float(most) < float(target)):
        return Limit.BUDGET
    return Limit.TARGET_BUDGET


def _time_verdict(
    verdict: Verdict, question: Question, job: Job, fleet: Fleet, *, certainties: dict[int, Certainty]
) -> Verdict:
    deadline = job.workload.target.deadline_days
    if deadline is None:
        return verdict
    confidence = question.constraints.min_confidence_fraction
    # What was chosen fits at a confidence of its own; time must keep the rest of what is asked.
    of_time = confidence / job.memory_confidence_fraction
    factors = {row: c.step.quantile_factor(of_time) for row, c in certainties.items()}
    factor = np.array([factors[row] for row in fleet.server.tolist()], dtype=np.float64)
    bound = np.full(fleet.server.size, deadline)
    # A deadline that would be met must be met at the asked confidence too, so that is the time that both name.
    late = fleet.days * np.maximum(1.0, factor)
    verdict = refuse(verdict, fleet.days > deadline, limit=Limit.DEADLINE, required=bound, available=late)
    return refuse(verdict, late > deadline, limit=Limit.CONFIDENCE, required=bound, available=late)


def ranked_rows(fleet: Fleet, verdict: Verdict, *, job: Job, table: HardwareTable, weight: FloatArray) -> IntArray:
    """The best feasible row of each server, best first: cheapest; fastest where the budget or the GPUs are given."""
    feasible = np.flatnonzero(verdict.feasible)
    server, servers = fleet.server[feasible], fleet.servers[feasible]
    price = fleet_weight(weight, server, servers)
    power = fleet_power_w(table, server, servers)
    speed = 1.0 / fleet.days[feasible]
    best = order(place=table.place[server], cost_weight=price, power_w=power, servers=servers, speed=speed)
    if job.workload.target.deadline_days is None:
        days = fleet.days[feasible][best]
        asked = job.workload.target.gpus
        # Nobody who asks for eight GPUs wants a rack of 72: fewest idle GPUs first, then the shortest time.
        idle = (servers * table.gpus_server[server])[best] - asked if asked is not None else np.zeros(best.size)
        best = best[np.lexsort((np.arange(best.size), days, idle))]
    return np.asarray(feasible[first_per_server(best, server)], dtype=np.int64)


def named_in_days(rejected: tuple[Rejection, ...]) -> tuple[Rejection, ...]:
    """A deadline is missed by time, so the sentence names both as times."""
    return tuple(
        replace(r, unit="days", detail=_late(r)) if r.limit in {Limit.DEADLINE, Limit.CONFIDENCE} else r
        for r in rejected
    )


def _late(rejection: Rejection) -> str:
    asked, found = rejection.required or 0.0, rejection.available or 0.0
    return f"takes {spoken(found)} days at the asked confidence at best, {spoken(asked)} days are asked"


def _batch_limit(job: Job, layouts: Layouts) -> str:
    """Says so where more data ranks would find no sequence to work on."""
    if int(micro_batches(layouts, job.batch_sequences)[0]) > 1:
        return ""
    return f", and by the batch: each of {int(layouts.dp[0])} data ranks has one micro-batch of it"


def nearest_miss(fleet: Fleet, rejected: tuple[Rejection, ...], context: OptionContext) -> Shortfall | None:
    """The nearest miss, and for a deadline what limits the fastest fleet of that server."""
    missed = shortfall(rejected, _HINTS)
    if missed is None or missed.limit not in {Limit.DEADLINE, Limit.CONFIDENCE}:
        return missed
    mine = np.array([context.table.servers[row].id == missed.server for row in fleet.server.tolist()])
    fastest = int(np.argmin(np.where(mine, fleet.days, np.inf)))
    point = point_of(context.job, fleet, fastest, context.table)
    hint = (
        f"the fastest reachable, on {int(fleet.gpus[fastest])} GPUs of {missed.server}, is limited by "
        f"{bottleneck(point.step)}{_batch_limit(context.job, point.layouts)}: "
        f"a larger workload.global_batch_sequences, fewer tokens or a lower "
        f"min_confidence_fraction lower that figure"
    )
    return replace(missed, relaxation=hint)
