"""The engine in one process on one core, beside a bare NumPy loop over as many candidates, round by round."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from config.environment import ROOT
from scripts.benchmark.figures import Spread, median_ratio, spread_ms
from scripts.benchmark.questions import SIZED, Example, estimate_body
from scripts.benchmark.roofline import candidates, roofline
from scripts.benchmark.workloads import workloads
from service.catalog.catalog import Catalog
from service.catalog.load import load_catalog
from service.catalog.prices import load_price_book
from service.catalog.resolve import resolve, resolve_deployment, resolve_workload
from service.errors import PlannerError
from service.quoting.indicative import weights
from service.schemas.estimate import EstimateRequest, EstimateRequestSchema
from service.schemas.json_text import parse_json
from service.schemas.workload import SizingRequest, SizingRequestSchema
from service.sizing.estimate import estimate
from service.sizing.result import SizingResult
from service.sizing.size import Subject, size, size_many
from service.sizing.table import FloatArray

# A short loop is timed many times over, until the clock can see it.
_LONG_ENOUGH_S = 0.002


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """One kind: what `size` took, and what the bare loop took for as many candidates [ms]."""

    kind: str
    candidates: int
    size: Spread
    roofline: Spread
    # The median of the rounds' ratios.
    times_the_roofline: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Many:
    """Mixed workloads of a batch, their best options alone: one after another, and all of them in one call [s]."""

    workloads: int
    one_by_one_s: float
    together_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFigures:
    """Every kind of one run, `estimate` of a fixed deployment, and many workloads in one call."""

    sized: list[Sized]
    estimate: Spread
    many: Many


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this thread on one of the cores that it may use."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def measure(*, rounds: int, many: int, say: Callable[[str], None]) -> EngineFigures:
    """Each round sizes every kind once and runs the bare loop right after it; then `many` workloads of a batch."""
    say("engine: reading the catalog")
    catalog = load_catalog(ROOT / "config")
    weight = weights(catalog.hardware, load_price_book(ROOT / "config"))
    with one_core():
        calls = [_Pair(example, catalog, weight) for example in SIZED]
        estimating = estimating_call(catalog)
        estimating()
        estimates = []
        for number in range(rounds):
            if number % 10 == 0:
                say(f"engine: round {number + 1} of {rounds}")
            for pair in calls:
                pair.turn()
            estimates.append(timed(estimating))
        say(f"engine: {many:,} mixed workloads")
        of_many = _many(catalog, weight, many)
    return EngineFigures(sized=[pair.figures() for pair in calls], estimate=spread_ms(estimates), many=of_many)


def _many(catalog: Catalog, weight: FloatArray, count: int) -> Many:
    """As workers of a batch ask, parsing, prices and JSON not counted; the first ten of them before the clock runs."""
    asked = [SizingRequestSchema().load(parse_json(orjson.dumps(body))) for body in workloads(count)]
    subjects = [resolve(catalog, request.question).subject for request in asked]

    def call(some: list[Subject]) -> list[SizingResult | PlannerError]:
        return size_many(
            some, hardware=catalog.hardware, calibration=catalog.calibration, weight=weight, best_only=True
        )

    call(subjects[:10])
    one_by_one_s = timed(lambda: [call([one]) for one in subjects])
    return Many(workloads=count, one_by_one_s=one_by_one_s, together_s=timed(lambda: call(subjects)))


class _Pair:
    """A sizing and its bare loop, with what each turn of them took [s]."""

    def __init__(self, example: Example, catalog: Catalog, weight: FloatArray) -> None:
        self.kind = example.kind
        self.sizing = sizing_call(example, catalog, weight)
        self.candidates = self.sizing()
        inputs = candidates(self.candidates)
        self.bare: Callable[[], object] = lambda: roofline(inputs)
        self.sizes: list[float] = []
        self.rooflines: list[float] = []

    def turn(self) -> None:
        self.sizes.append(timed(self.sizing))
        self.bare()
        self.rooflines.append(timed(self.bare, at_least_s=_LONG_ENOUGH_S))

    def figures(self) -> Sized:
        return Sized(
            kind=self.kind,
            candidates=self.candidates,
            size=spread_ms(self.sizes),
            roofline=spread_ms(self.rooflines),
            times_the_roofline=median_ratio(self.sizes, self.rooflines),
        )


def timed(call: Callable[[], object], *, at_least_s: float = 0.0) -> float:
    """Seconds of one call; the mean of as many as `at_least_s` takes."""
    done = 0
    started = time.perf_counter()
    while True:
        call()
        done += 1
        spent_s = time.perf_counter() - started
        if spent_s >= at_least_s:
            return spent_s / done


def sizing_call(example: Example, catalog: Catalog, weight: FloatArray) -> Callable[[], int]:
    """`size` of a parsed and resolved question; gives the number of candidates."""
    request: SizingRequest = SizingRequestSchema().load(parse_json(example.body()))
    resolved = resolve(catalog, request.question)

    def call() -> int:
        return size(
            resolved.question,
            hardware=catalog.hardware,
            architecture=resolved.architecture,
            application=resolved.application,
            calibration=catalog.calibration,
            weight=weight,
        ).candidates

    return call


def estimating_call(catalog: Catalog) -> Callable[[], object]:
    """`estimate` of a parsed and resolved request."""
    request: EstimateRequest = EstimateRequestSchema().load(parse_json(estimate_body()))
    workload, architecture, application = resolve_workload(catalog, request.workload)
    deployment = resolve_deployment(catalog, request.deployment)
    return lambda: estimate(
        workload,
        deployment,
        hardware=catalog.hardware,
        architecture=architecture,
        application=application,
        calibration=catalog.calibration,
    )
