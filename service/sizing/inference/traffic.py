"""From a workload to the traffic of one instance and the rate that the fleet must carry."""

import math
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist

from service.sizing.calibration import Calibration
from service.sizing.inference.requests import Traffic
from service.sizing.units import HOUR_S, MS
from service.sizing.workload import InferenceWorkload, TokenLength

_DEFAULT_PERCENTILE = 95.0
_P95 = 0.95
_Z95 = NormalDist().inv_cdf(_P95)


class Unit(StrEnum):
    """What a demand is counted in."""

    REQUESTS_S = "requests_s"
    IN_FLIGHT = "in_flight"
    GPUS = "gpus"


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetDemand:
    """What the fleet must carry at the end of the horizon: a rate, or requests in flight, or a number of GPUs."""

    requests_s: float | None = None
    in_flight: float | None = None
    gpus: int | None = None

    @property
    def unit(self) -> Unit:
        """Which of them it is."""
        if self.gpus is not None:
            return Unit.GPUS
        return Unit.REQUESTS_S if self.in_flight is None else Unit.IN_FLIGHT

    @property
    def wanted(self) -> float:
        """The demand in its unit."""
        return float(self.gpus or self.in_flight or self.requests_s or 0.0)


def traffic_of(workload: InferenceWorkload) -> Traffic:
    """The mean request and the tail that the SLO's percentile looks at."""
    percentile = workload.slo.percentile if workload.slo else _DEFAULT_PERCENTILE
    return Traffic(
        isl_tokens=workload.isl_tokens.mean,
        osl_tokens=workload.osl_tokens.mean,
        isl_tail_tokens=quantile_tokens(workload.isl_tokens, percentile / 100.0),
        hit_fraction=workload.prefix_cache_hit_fraction,
        percentile_fraction=percentile / 100.0,
        speculative=workload.speculative_decoding,
        closed_loop=workload.demand.concurrency is not None,
    )


def tail_tokens(length: TokenLength) -> float:
    """The 95th percentile of a length, or its mean when all are alike."""
    return length.mean if length.p95 is None else max(length.mean, length.p95)


def quantile_tokens(length: TokenLength, fraction: float) -> float:
    """Length that `fraction` of the requests stay under: the longest of the log-normals through the mean whose 95th
    percentile is not above the stated one.

    From ln(p95 / mean) = 1.645 s - s^2 / 2. No log-normal has a p95 beyond 3.87 times its mean: there a twentieth of
    the requests has the stated length, and the percentiles above it are no shorter. Quantiles under the 95th are
    longest at s = z, so that a longer p95 never makes one shorter.
    """
    if length.p95 is None or length.p95 <= length.mean:
        return length.mean
    room = _Z95**2 - 2.0 * math.log(length.p95 / length.mean)
    z = NormalDist().inv_cdf(min(0.9999, max(0.0001, fraction)))
    sigma = min(_Z95 - math.sqrt(max(0.0, room)), max(0.0, z))
    found = length.mean * math.exp(sigma * z - 0.5 * sigma**2)
    return max(found, length.p95) if fraction >= _P95 and room < 0.0 else found


def held_tokens(workload: InferenceWorkload) -> float:
    """Tokens of KV cache that a full sequence of mean lengths holds."""
    return workload.isl_tokens.mean + workload.osl_tokens.mean


def longest_tokens(workload: InferenceWorkload) -> float:
    """The longest context that the workload names."""
    return tail_tokens(workload.isl_tokens) + tail_tokens(workload.osl_tokens)


def growth_factor(workload: InferenceWorkload) -> float:
    """Demand at the end of the horizon over demand today: (1 + g)^years."""
    return float((1.0 + workload.growth_fraction_year) ** (workload.horizon_months / 12.0))


def fleet_demand(workload: InferenceWorkload, calibration: Calibration) -> FleetDemand:
    """The one demand that is given, grown over the horizon; users ask `requests_user_hour` each, times the peak."""
    demand, growth = workload.demand, growth_factor(workload)
    if demand.saturate_gpus is not None:
        return FleetDemand(gpus=demand.saturate_gpus)
    if demand.concurrency is not None:
        return FleetDemand(in_flight=demand.concurrency * growth)
    if demand.requests_s is not None:
        return FleetDemand(requests_s=demand.requests_s * growth)
    if demand.output_tokens_s is not None:
        return FleetDemand(requests_s=demand.output_tokens_s / workload.osl_tokens.mean * growth)
    hourly = demand.requests_user_hour or calibration.assumption("inference.requests_user_hour")
    peak = demand.peak_factor or calibration.assumption("inference.peak_factor")
    return FleetDemand(requests_s=(demand.users or 0.0) * hourly / HOUR_S * peak * growth)


def decodes(workload: InferenceWorkload) -> bool:
    """Whether a token follows the first: answers of one token, as of a classifier, have no time per output token."""
    return workload.osl_tokens.mean > 1.0


def slo_seconds(workload: InferenceWorkload) -> tuple[float, float]:
    """TTFT and TPOT bounds [s]; a missing one never binds, nor one on what there is not."""
    slo = workload.slo
    ttft_ms = slo.ttft_ms if slo and slo.ttft_ms is not None else None
    tpot_ms = slo.tpot_ms if slo and slo.tpot_ms is not None and decodes(workload) else None
    return (
        float("inf") if ttft_ms is None else ttft_ms * MS,
        float("inf") if tpot_ms is None else tpot_ms * MS,
    )
