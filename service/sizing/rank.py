"""Verdicts on candidates with their reasons, ordering, the Pareto front, and the shortfall when nothing fits."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import numpy as np

from service.sizing.columns import Columns
from service.sizing.result import Limit, Rejection, Shortfall
from service.sizing.spoken import spoken
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray

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
class Verdict(Columns):
    """Per candidate: FEASIBLE or the stage of the first limit that refused it, with what was required and available."""

    stage: IntArray
    required: FloatArray
    available: FloatArray

    @property
    def feasible(self) -> BoolArray:
        """Candidates that no limit has refused."""
        return np.asarray(self.stage == FEASIBLE, dtype=np.bool_)


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
    nearest, candidates = _nearest(verdict, server, len(table.servers))
    found: list[Rejection] = []
    for row in np.flatnonzero(candidates).tolist():
        at = nearest[row]
        limit = STAGES[verdict.stage[at]]
        required, available = float(verdict.required[at]), float(verdict.available[at])
        found.append(
            Rejection(
                server=table.servers[row].id,
                limit=limit,
                candidates=int(candidates[row]),
                detail=_detail(limit, required, available),
                required=_known(required),
                available=_known(available),
                unit=UNITS.get(limit, ""),
            )
        )
    return tuple(found)


def _nearest(verdict: Verdict, server: IntArray, servers: int) -> tuple[IntArray, IntArray]:
    """Of each server that nothing passed the candidate nearest to its farthest limit, and how many fell to that."""
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = _or_inf(np.abs(verdict.available - verdict.required) / np.abs(verdict.required))
    farthest = np.full(servers, FEASIBLE, dtype=np.int64)
    np.maximum.at(farthest, server, verdict.stage)
    # What has passed every limit is offered.
    farthest[server[verdict.feasible]] = len(STAGES)
    fell = np.flatnonzero(verdict.stage == farthest[server])
    least = np.full(servers, np.inf)
    np.minimum.at(least, server[fell], distance[fell])
    # Backwards, so that of equals the first one stays.
    closest = fell[distance[fell] == least[server[fell]]][::-1]
    nearest = np.zeros(servers, dtype=np.int64)
    nearest[server[closest]] = closest
    return nearest, np.bincount(server[fell], minlength=servers)


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
