"""Feasibility with reasons, ordering, the Pareto front, rejections and the shortfall when nothing fits."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import lru_cache

import numpy as np

from service.sizing.hardware import ServerSpec, air_heat_kw
from service.sizing.numeric import NOISE
from service.sizing.result import Limit, Rejection, Shortfall
from service.sizing.spoken import spoken
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.workload import Constraints

# Later limits are met later on the way to an option: of a server's candidates the one that got farthest speaks.
STAGES: tuple[Limit, ...] = (
    Limit.NOT_ALLOWED,
    Limit.GPU_NOT_CARRIED,
    Limit.REFERENCE,
    Limit.COOLING,
    Limit.RACK_POWER,
    Limit.RACK_AIR,
    Limit.RACK_WEIGHT,
    Limit.PRECISION,
    Limit.UNKNOWN_FACT,
    Limit.HOST,
    Limit.CONTEXT,
    Limit.BATCH,
    Limit.MEMORY,
    Limit.TTFT,
    Limit.TPOT,
    Limit.THROUGHPUT,
    Limit.DEADLINE,
    Limit.CONFIDENCE,
    Limit.FLEET,
    Limit.FACILITY_POWER,
    Limit.RACKS,
    Limit.BUDGET,
    Limit.TARGET_BUDGET,
)
_STAGE_OF = {limit: stage for stage, limit in enumerate(STAGES)}
FEASIBLE = -1

UNITS: dict[Limit, str] = {
    Limit.MEMORY: "GB per GPU",
    Limit.TTFT: "ms",
    Limit.TPOT: "ms",
    Limit.DEADLINE: "days",
    Limit.RACK_POWER: "kW",
    Limit.RACK_AIR: "kW",
    Limit.RACK_WEIGHT: "kg",
    Limit.FACILITY_POWER: "kW",
    Limit.RACKS: "racks",
    Limit.BUDGET: "USD",
    Limit.TARGET_BUDGET: "USD",
    Limit.FLEET: "GPUs",
    Limit.CONFIDENCE: "",
    Limit.CONTEXT: "tokens",
}


# Caps of the caller's on what a fleet takes: what is required is the cap, the best is the least that a fleet takes.
CAPS = frozenset(
    {
        Limit.RACK_POWER,
        Limit.RACK_AIR,
        Limit.RACK_WEIGHT,
        Limit.FACILITY_POWER,
        Limit.RACKS,
        Limit.BUDGET,
        Limit.TARGET_BUDGET,
    }
)
# Bounds whose best figure, typed back, must suffice.
_BOUNDS = CAPS | {Limit.TTFT, Limit.TPOT, Limit.DEADLINE, Limit.CONFIDENCE}
_SHOWN_DIGITS = 4
# Beyond these, digits are what sums and products of short decimals leave behind.
_EXACT_DIGITS = 12

# Limits that a caller asks for and a server fails to reach; of the others a server needs more than there is.
_ASKED: dict[Limit, str] = {
    Limit.TTFT: "asked for",
    Limit.TPOT: "asked for",
    Limit.THROUGHPUT: "asked for",
    Limit.DEADLINE: "asked for",
    Limit.CONFIDENCE: "asked for",
}


_FALLBACK: dict[Limit, str] = {
    Limit.REFERENCE: "allow GPUs that are offered (GET /v1/catalog/gpus, reference: false)",
    Limit.NOT_ALLOWED: "allow more servers or GPUs",
    Limit.COOLING: "allow the other cooling",
    Limit.UNKNOWN_FACT: "allow other servers or GPUs: no number of the question changes what is not known of these",
    Limit.GPU_NOT_CARRIED: "allow a GPU that it carries, or a server that carries an allowed GPU",
}

_UNKNOWN: dict[Limit, str] = {
    Limit.BUDGET: "has no price in the book, or takes servers that have none, so a budget cannot be kept",
    Limit.TARGET_BUDGET: "has no price in the book, so a budget cannot be kept",
    Limit.FACILITY_POWER: "its power is unknown, so max_facility_kw cannot be kept",
    Limit.RACKS: "its size or power is unknown, so max_racks cannot be kept",
    Limit.UNKNOWN_FACT: "too little is published of its GPU to predict anything",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """Per candidate: FEASIBLE or the stage of the first limit that refused it, with what was required and available."""

    stage: IntArray
    required: FloatArray
    available: FloatArray

    @property
    def feasible(self) -> BoolArray:
        """Candidates that no limit has refused."""
        return np.asarray(self.stage == FEASIBLE, dtype=np.bool_)

    def take(self, rows: IntArray | slice) -> "Verdict":
        """The candidates of these rows, in their order."""
        return Verdict(stage=self.stage[rows], required=self.required[rows], available=self.available[rows])


def open_verdict(candidates: int) -> Verdict:
    """Everything feasible so far."""
    return Verdict(
        stage=np.full(candidates, FEASIBLE, dtype=np.int64),
        required=np.full(candidates, np.nan),
        available=np.full(candidates, np.nan),
    )


def refuse(
    verdict: Verdict, refused: BoolArray | np.bool_, *, limit: Limit, required: FloatArray, available: FloatArray
) -> Verdict:
    """Marks the still feasible candidates of `refused` with the limit; earlier refusals keep their reason."""
    hit = refused & verdict.feasible
    return Verdict(
        stage=np.where(hit, _STAGE_OF[limit], verdict.stage),
        required=np.where(hit, required, verdict.required),
        available=np.where(hit, available, verdict.available),
    )


@lru_cache(maxsize=256)
def admissible(table: HardwareTable, constraints: Constraints) -> tuple[IntArray, tuple[Rejection, ...]]:
    """Rows of the servers that the constraints leave, and a rejection for each of the others; found once for all.

    Reference systems are evidence, not goods: they are left out, and said to be so when somebody asks for one.
    """
    rows: list[int] = []
    rejected: list[Rejection] = []
    for row, server in enumerate(table.servers):
        if server.reference and not _asked_for(server, table, constraints):
            continue
        refusal = _server_refusal(server, table, constraints)
        if refusal is None:
            rows.append(row)
        else:
            rejected.append(refusal)
    left = np.array(rows, dtype=np.int64)
    left.flags.writeable = False
    return left, tuple(rejected)


def _asked_for(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> bool:
    """Whether the constraints ask for this very server: by its name, where no name is given by its GPU."""
    if constraints.allowed_servers is None:
        return constraints.allowed_gpus is not None and server.gpu in constraints.allowed_gpus
    only = all(other.reference for other in _namesakes(server, table, constraints))
    return _server_allowed(server, constraints) and (only or _gpu_allowed(server, constraints))


def _server_allowed(server: ServerSpec, constraints: Constraints) -> bool:
    allowed = constraints.allowed_servers
    return allowed is None or server.id in allowed or server.family in allowed


def _gpu_allowed(server: ServerSpec, constraints: Constraints) -> bool:
    return constraints.allowed_gpus is None or server.gpu in constraints.allowed_gpus


def _namesakes(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> tuple[ServerSpec, ...]:
    """What the name by which a server is allowed stands for: its whole family, or the server alone."""
    if server.family not in (constraints.allowed_servers or ()):
        return (server,)
    return tuple(other for other in table.servers if other.family == server.family)


def _gpu_refusal(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> Rejection:
    """Why a server whose GPU is not allowed is refused: where it was named, it is the wrong server for those GPUs."""
    namesakes = _namesakes(server, table, constraints)
    if constraints.allowed_servers is None or any(_gpu_allowed(other, constraints) for other in namesakes):
        return _rejection(server, Limit.NOT_ALLOWED, f"its GPU {server.gpu} is not among constraints.allowed_gpus")
    carried = sorted({other.gpu for other in namesakes if not other.reference} or {other.gpu for other in namesakes})
    who = server.family if server.family in constraints.allowed_servers else "it"
    wanted = " or ".join(constraints.allowed_gpus or ())
    return _rejection(server, Limit.GPU_NOT_CARRIED, f"does not carry {wanted}; {who} carries {' or '.join(carried)}")


def _server_refusal(server: ServerSpec, table: HardwareTable, constraints: Constraints) -> Rejection | None:
    if not _server_allowed(server, constraints):
        return _rejection(server, Limit.NOT_ALLOWED, "not among constraints.allowed_servers")
    if not _gpu_allowed(server, constraints):
        return _gpu_refusal(server, table, constraints)
    if server.reference:
        reason = "is a reference system: measured runs name it, nobody can order it here"
        return _rejection(server, Limit.REFERENCE, reason)
    if constraints.cooling is not None and server.cooling != constraints.cooling:
        return _rejection(
            server, Limit.COOLING, f"is cooled by {server.cooling}, the site allows {constraints.cooling}"
        )
    return _rack_refusal(server, constraints)


def _rack_refusal(server: ServerSpec, constraints: Constraints) -> Rejection | None:
    """The first limit of a rack that one server alone is over; an unknown figure cannot be checked."""
    if server.rack_units is None:
        return None
    checks = (
        (Limit.RACK_POWER, constraints.max_rack_kw, server.plan_power_kw, "draws", "may draw"),
        (Limit.RACK_AIR, constraints.max_rack_air_kw, air_heat_kw(server), "heats the air with", "may heat it with"),
        (Limit.RACK_WEIGHT, constraints.max_rack_kg, server.weight_kg, "weighs", "carries"),
    )
    for limit, most, needed, does, may in checks:
        if most is None:
            continue
        if needed is None:
            what = {Limit.RACK_POWER: "power", Limit.RACK_AIR: "split of heat"}.get(limit, "weight")
            return _rejection(server, Limit.UNKNOWN_FACT, f"its {what} is unknown, so {limit} cannot be checked")
        if needed > most * (1.0 + NOISE):
            unit = UNITS[limit]
            return Rejection(
                server=server.id,
                limit=limit,
                candidates=1,
                detail=f"one server {does} {spoken(needed)} {unit}, a rack {may} {spoken(most)} {unit}",
                required=needed,
                available=most,
                unit=unit,
            )
    return None


def _rejection(server: ServerSpec, limit: Limit, detail: str) -> Rejection:
    return Rejection(server=server.id, limit=limit, candidates=1, detail=detail)


def order(
    *,
    place: IntArray,
    cost_weight: FloatArray,
    power_w: FloatArray,
    servers: IntArray,
    speed: FloatArray,
    racks: FloatArray | None = None,
) -> IntArray:
    """Indices, best first: lowest weight (unknown last), power (unknown last), servers, highest speed, racks, place.

    Racks count where they are given (unknown last); the place is that of the server's id.

    So nothing that costs and draws no more, and is faster, ranks after what it beats. Candidates of one server that
    are still equal keep the order in which their layouts are listed.
    """
    unpriced = np.isnan(cost_weight)
    return np.lexsort(
        (
            np.arange(place.size),
            place,
            np.zeros(place.size) if racks is None else _or_inf(racks),
            -speed,
            servers,
            _or_inf(power_w),
            np.where(unpriced, 0.0, cost_weight),
            unpriced,
        )
    )


def lowest(cost_weight: FloatArray) -> BoolArray:
    """The candidates that `order` may put first: of the lowest weight, or all where none is known."""
    known = ~np.isnan(cost_weight)
    return np.asarray(cost_weight == cost_weight[known].min() if known.any() else ~known, dtype=np.bool_)


def leads_server(values: FloatArray, server: IntArray) -> BoolArray:
    """Candidates that may come first of their server by `values`: those of its least, and what is unknown."""
    least = np.full(int(server.max(initial=-1)) + 1, np.inf)
    np.fmin.at(least, server, values)
    return np.asarray((values == least[server]) | np.isnan(values), dtype=np.bool_)


def first_per_server(ordered: IntArray, server: IntArray) -> IntArray:
    """Of each server configuration only its best candidate, still best first."""
    _, first = np.unique(server[ordered], return_index=True)
    return ordered[np.sort(first)]


def pareto_front(*, cost_weight: FloatArray, speed: FloatArray, power_w: FloatArray) -> BoolArray:
    """Candidates that no other beats in weight, speed and power at once; unknown weight or power is infinite."""
    losses = np.stack([_or_inf(cost_weight), -speed, _or_inf(power_w)], axis=1)
    no_worse = np.all(losses[None, :, :] <= losses[:, None, :], axis=2)
    better = np.any(losses[None, :, :] < losses[:, None, :], axis=2)
    return np.asarray(~np.any(no_worse & better, axis=1), dtype=np.bool_)


def rejections(verdict: Verdict, *, server: IntArray, table: HardwareTable) -> tuple[Rejection, ...]:
    """One rejection per server without a feasible candidate: its farthest limit, its nearest candidate, the count."""
    found: list[Rejection] = []
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = _or_inf(np.abs(verdict.available - verdict.required) / np.abs(verdict.required))
    offered = set(server[verdict.stage == FEASIBLE].tolist())
    for row in sorted(set(server.tolist()) - offered):
        mine = np.flatnonzero(server == row)
        stages = verdict.stage[mine]
        stage = int(stages.max())
        at_limit = mine[stages == stage]
        nearest = int(at_limit[np.argmin(distance[at_limit])])
        limit = STAGES[stage]
        required, available = float(verdict.required[nearest]), float(verdict.available[nearest])
        found.append(
            Rejection(
                server=table.servers[row].id,
                limit=limit,
                candidates=int(at_limit.size),
                detail=_detail(limit, required, available),
                required=_known(required),
                available=_known(available),
                unit=UNITS.get(limit, ""),
            )
        )
    return tuple(found)


def outward(value: float) -> float:
    """The next number of 4 digits that is no smaller: what is shown and typed back must suffice."""
    return _shown(value, ROUND_CEILING)


def inward(value: float) -> float:
    """The next number of 4 digits that is no larger: a rate that is shown as carried, and typed back, must be."""
    return _shown(value, ROUND_FLOOR)


def _shown(value: float, rounding: str) -> float:
    if value <= 0.0:
        return value
    exact = Decimal(f"{value:.{_EXACT_DIGITS}g}")
    return float(exact.quantize(Decimal(1).scaleb(exact.adjusted() - _SHOWN_DIGITS + 1), rounding=rounding))


def shortfall(rejected: tuple[Rejection, ...], hints: dict[Limit, str]) -> Shortfall | None:
    """The rejection that came nearest to an option: farthest stage, then smallest distance, then server id.

    A hint says what to do beside loosening the bound; it may name {limit}, {required}, {best} and {server}.
    """
    if not rejected:
        return None
    measured = [r for r in rejected if r.required and r.available is not None]
    if not measured:
        return _without_figures(rejected, hints)
    nearest = min(measured, key=lambda r: (-_STAGE_OF[r.limit], _distance(r), r.server))
    required, best = nearest.required or 0.0, nearest.available or 0.0
    if nearest.limit in CAPS:
        required, best = best, required
    if nearest.limit in _BOUNDS:
        best = outward(best)
    told = hints.get(nearest.limit, "" if nearest.limit in _BOUNDS else "relax {limit}")
    return Shortfall(
        limit=nearest.limit,
        server=nearest.server,
        required=required,
        best=best,
        unit=nearest.unit,
        distance_fraction=abs(best - required) / abs(required) if required else 1.0,
        relaxation=told.format(
            limit=nearest.limit,
            required=f"{spoken(required)} {nearest.unit}".strip(),
            best=f"{spoken(best)} {nearest.unit}".strip(),
            server=nearest.server,
        ),
        more_gpus_help=False,
    )


def _without_figures(rejected: tuple[Rejection, ...], hints: dict[Limit, str]) -> Shortfall:
    """Nothing was near enough to be measured: the rejection that got farthest says what to allow."""
    farthest = min(rejected, key=lambda r: (-_STAGE_OF[r.limit], r.server))
    told = hints.get(farthest.limit, _FALLBACK.get(farthest.limit, "relax {limit}"))
    return Shortfall(
        limit=farthest.limit,
        server=farthest.server,
        required=1.0,
        best=0.0,
        unit="servers",
        distance_fraction=1.0,
        relaxation=f"{farthest.server} {farthest.detail}; "
        + told.format(limit=farthest.limit, required="1 server", best="none", server=farthest.server),
        more_gpus_help=False,
    )


def _distance(rejection: Rejection) -> float:
    required, available = rejection.required or 0.0, rejection.available or 0.0
    return abs(available - required) / abs(required) if required else float("inf")


def _or_inf(values: FloatArray) -> FloatArray:
    """What is unknown comes last."""
    return np.where(np.isnan(values), np.inf, values)


def _known(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _detail(limit: Limit, required: float, available: float) -> str:
    unit = UNITS.get(limit, "")
    if not (np.isfinite(required) and np.isfinite(available)):
        return _UNKNOWN.get(limit, f"refused by {limit}: a figure that it needs is unknown")
    if limit in _ASKED:
        return (
            f"{_ASKED[limit]} {spoken(required)} {unit}, the best that is reached is {spoken(available)} {unit}".strip()
        )
    return f"takes {spoken(required)} {unit}, there are {spoken(available)} {unit}".strip()
