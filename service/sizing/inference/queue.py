"""Clients of one instance that send all at once, or that are more than it holds: what they wait for a first token."""

from dataclasses import replace

from service.sizing.inference.predict import PointValues
from service.sizing.inference.requests import Traffic
from service.sizing.inference.residuals import Medians
from service.sizing.inference.serving import Bench

# All prompts of a burst arrive together.
_TOGETHER = 1.0


def in_step(bench: Bench) -> Bench:
    """The same instances when every client sends its request at the same moment."""
    overheads = replace(bench.overheads, wave=_TOGETHER)
    return replace(bench, overheads=overheads)


def with_waiting(values: PointValues, clients: float, *, medians: Medians) -> PointValues:
    """Clients of a closed loop beyond what the instance holds wait for each of their requests.

    Little's law turns their number into time to first token.
    """
    extra = max(0.0, clients - values.in_flight) * _each_s(values, medians)
    if extra <= 0.0:
        return values
    return replace(values, ttft_s=values.ttft_s + extra, ttft_tail_s=values.ttft_tail_s + extra, in_flight=clients)


def burst_values(
    steady: PointValues, together: PointValues, clients: float, *, traffic: Traffic, medians: Medians
) -> PointValues:
    """So many requests, all sent at once to one instance, each answered once.

    `together` is the point at which the first of them decode, all prompts ahead of it; those that find no place come in
    one after another as others end, and decode as in a closed loop. `steady` has the rate: as many prompts and steps as
    there, in another order.
    """
    first = min(1.0, together.batch / clients)
    late = max(0.0, clients - together.batch)
    tail = max(0.0, traffic.percentile_fraction * clients - together.batch)
    each = _each_s(steady, medians)
    return replace(
        together,
        ttft_s=together.ttft_s + 0.5 * late * late / clients * each,
        ttft_tail_s=together.ttft_tail_s + tail * each,
        tpot_s=steady.tpot_s + first * (together.tpot_s - steady.tpot_s),
        tpot_tail_s=steady.tpot_tail_s + first * (together.tpot_tail_s - steady.tpot_tail_s),
        requests_s=steady.requests_s,
        in_flight=clients,
    )


def _each_s(values: PointValues, medians: Medians) -> float:
    """Time [s] until the next request ends and leaves its place, with the median of what is waited for."""
    return medians.rate_factor * medians.ttft_factor / values.requests_s
