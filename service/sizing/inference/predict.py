"""From a point of the steady state to metrics with intervals, and how sure a bound is met."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.sizing.calibration import Calibration
from service.sizing.evidence import nearest_evidence
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.requests import Traffic
from service.sizing.inference.residuals import Spreads
from service.sizing.inference.serving import ServingPoint
from service.sizing.interval import (
    Basis,
    Interval,
    Metric,
    Spread,
    confidences_below,
    interval,
    scaled,
)
from service.sizing.units import MS


@dataclass(frozen=True, slots=True, kw_only=True)
class PointValues:
    """One operating point of one candidate as plain numbers, SI units; latencies and rates carry their medians."""

    batch: float
    ttft_s: float
    ttft_tail_s: float
    tpot_s: float
    tpot_tail_s: float
    tpot_least_s: float
    ttft_least_s: float
    requests_s: float
    requests_most_s: float
    in_flight: float
    prefill_fraction: float
    decode_step_s: float
    prefill_s: float
    prefill_instances: float
    products_s: float
    attention_s: float
    experts_s: float
    streams_s: float
    collectives_s: float

    def request_s(self, traffic: Traffic) -> float:
        """How long one request takes [s], from when it is sent to its last token."""
        return self.ttft_s + max(0.0, traffic.osl_tokens - 1.0) * self.tpot_s


def points_values(point: ServingPoint) -> list[PointValues]:
    """The numbers of each row of a (candidates, 1) steady state."""
    names = PointValues.__dataclass_fields__
    columns = [getattr(point, name)[:, 0].tolist() for name in names]
    return [PointValues(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def receipts_of(
    load: ModelLoad, calibration: Calibration, *, gpu: str, gpus: int, in_flight: float, traffic: Traffic
) -> tuple[Basis, tuple[str, ...]]:
    """How the speed of an instance is known, and the nearest measured runs; a run's size is its requests in flight."""
    return nearest_evidence(
        calibration,
        kind="inference",
        subject=load.architecture.id,
        gpu=gpu,
        precision=str(load.weight_precision),
        gpus=gpus,
        size=in_flight,
        length_tokens=traffic.isl_tokens + traffic.osl_tokens,
        output_tokens=traffic.osl_tokens,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetFlow:
    """What a whole fleet does: requests/s carried, requests in flight, and the most it could carry within the SLO.

    A rate or a number of requests that was asked for is no prediction: its interval is that number, or what the fleet
    can do where that is less.
    """

    requests_s: Interval
    in_flight: Interval
    capacity_requests_s: Interval | None


def at_most(asked: float, can: Interval) -> Interval:
    """What is asked, quantile by quantile never more than what can be done."""
    return Interval(p10=min(asked, can.p10), p50=min(asked, can.p50), p90=min(asked, can.p90))


def held_interval(requests_s: Interval, values: PointValues, traffic: Traffic, spreads: Spreads) -> Interval:
    """Requests in flight where so many arrive: by Little's law they scatter as the time that each of them takes."""
    return scaled(_latency(values, spreads, traffic), requests_s.p50)


def _latency(values: PointValues, spreads: Spreads, traffic: Traffic) -> Interval:
    """How long a request takes [s]: TTFT and the tokens after the first, which rest on the same efficiencies.

    What moves together adds quantile by quantile, so no request is done before its first token.
    """
    first = interval(values.ttft_s, spreads.ttft.over(values.ttft_least_s, values.ttft_s))
    each = interval(values.tpot_s, spreads.tpot.over(values.tpot_least_s, values.tpot_s))
    later = max(0.0, traffic.osl_tokens - 1.0)
    return Interval(
        p10=first.p10 + later * each.p10, p50=first.p50 + later * each.p50, p90=first.p90 + later * each.p90
    )


def serving_metrics(
    values: PointValues,
    spreads: Spreads,
    traffic: Traffic,
    *,
    receipts: tuple[Basis, tuple[str, ...]],
    flow: FleetFlow,
    gpus: int,
) -> tuple[Metric, ...]:
    """Latencies at the operating point, and what the fleet carries in requests and tokens.

    The lower ends of a prompt's and a step's time stop where the data sheet does.
    """
    ttft = spreads.ttft.over(values.ttft_least_s, values.ttft_s)
    tpot = spreads.tpot.over(values.tpot_least_s, values.tpot_s)
    percentile = f"p{traffic.percentile_fraction * 100:g}"
    rows = [
        ("ttft_ms", interval(values.ttft_s / MS, ttft)),
        (f"ttft_{percentile}_ms", interval(values.ttft_tail_s / MS, ttft)),
        ("tpot_ms", interval(values.tpot_s / MS, tpot)),
        (f"tpot_{percentile}_ms", interval(values.tpot_tail_s / MS, tpot)),
        ("request_latency_ms", scaled(_latency(values, spreads, traffic), 1.0 / MS)),
        ("tokens_s_user", interval(1.0 / values.tpot_s, tpot.inverted())),
        ("output_tokens_s", scaled(flow.requests_s, traffic.osl_tokens)),
        ("tokens_s_gpu", scaled(flow.requests_s, traffic.osl_tokens / gpus)),
        ("requests_s", flow.requests_s),
        ("concurrency", flow.in_flight),
    ]
    if flow.capacity_requests_s is not None:
        rows.append(("capacity_requests_s", flow.capacity_requests_s))
    basis, nearest = receipts
    return tuple(Metric(name=name, interval=found, basis=basis, nearest=nearest) for name, found in rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What an option promises, each a bound, a point and its spread: tails of times stay under, rates come up to it."""

    tails: list[tuple[float, float, Spread]]
    rates: list[tuple[float, float, Spread]]


def promises_of(
    values: PointValues,
    spreads: Spreads,
    *,
    ttft_s: float,
    tpot_s: float,
    capacity: float,
    demand: float,
) -> Promises:
    """Up to three of them: TTFT tail, TPOT tail, capacity; `capacity` and `demand` in the same unit."""
    tails = ((ttft_s, values.ttft_tail_s, spreads.ttft), (tpot_s, values.tpot_tail_s, spreads.tpot))
    return Promises(
        tails=[tail for tail in tails if math.isfinite(tail[0])],
        rates=[(demand, capacity, spreads.rate)] if demand > 0.0 else [],
    )


def confidences_of(each: Sequence[Promises]) -> list[float]:
    """Of each option the least sure of its promises, all of them asked for in one call.

    They rest on the same efficiencies and move together, so they do not multiply.
    """
    below = iter(confidences_below([bound for one in each for bound in (*one.tails, *one.rates)]))
    return [min([1.0, *(next(below) for _ in one.tails), *(1.0 - next(below) for _ in one.rates)]) for one in each]
