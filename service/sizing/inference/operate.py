"""Which decode batch a load means: the steady state is solved for the load, not swept blindly."""

from functools import lru_cache

import numpy as np

from service.sizing.inference.disaggregated import balanced, fullest
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.memory import InferenceMemory
from service.sizing.inference.requests import Requests, Traffic
from service.sizing.inference.serving import Bench, ServingPoint, serve, within
from service.sizing.inference.traffic import slo_seconds
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray
from service.sizing.workload import InferenceWorkload

_SMALLEST_BATCH = 0.02


def batch_limit(memory: InferenceMemory, layouts: InferenceLayouts) -> FloatArray:
    """Most sequences that one instance decodes at once: what memory holds, and what serving engines schedule."""
    rank = np.minimum(memory.sequences_gpu, memory.scheduled)
    return np.asarray(np.maximum(1.0, rank * layouts.attention_dp), dtype=np.float64)


def batch_grid(limit: FloatArray, *, points: int, smallest: float = 1.0) -> FloatArray:
    """Decode batches (candidates x points), evenly spaced on the logarithm from `smallest` to each limit."""
    low = np.minimum(smallest, limit)
    return np.asarray(low[:, None] * (limit / low)[:, None] ** even_steps(points), dtype=np.float64)


@lru_cache(maxsize=8)
def even_steps(points: int) -> FloatArray:
    """So many from 0 to 1."""
    steps = np.linspace(0.0, 1.0, points)
    steps.flags.writeable = False
    return steps


def solve_batch(
    bench: Bench,
    *,
    wanted: FloatArray,
    by_rate: bool,
    limit: FloatArray,
    traffic: Requests,
    pooled: bool = False,
    prefill_ratio: Numeric | None = None,
) -> FloatArray:
    """The decode batch per instance that carries `wanted` requests/s (or requests in flight), at most `limit`."""
    grid = batch_grid(limit, points=48, smallest=_SMALLEST_BATCH)
    point = serve(bench, batch=grid, traffic=traffic, prefill_ratio=prefill_ratio)
    # Pooled, `wanted` is per instance of either kind: prefill instances take their part of a given number.
    share = 1.0 + point.prefill_instances if pooled else np.ones_like(point.batch)
    carried = np.maximum.accumulate((point.requests_s if by_rate else point.in_flight) / share, axis=1)
    solved = [
        # Under the least that was tried nothing waits for anything: the batch goes with the load.
        np.exp(np.interp(np.log(w), np.log(row), np.log(batches))) * min(1.0, w / row[0])
        for w, row, batches in zip(np.maximum(wanted, 1e-12), carried, grid, strict=True)
    ]
    return (
        np.minimum(solved, balanced(grid, point.asked_fraction, fullest=float(fullest(traffic.stream))))
        if prefill_ratio is not None
        else np.array(solved)
    )


def most_decoding(bench: Bench, *, limit: FloatArray, traffic: Requests, prefill_ratio: Numeric | None) -> FloatArray:
    """Most sequences that an instance decodes at once: `limit`, or what a short prefill pool brings it."""
    if prefill_ratio is None:
        return limit
    grid = batch_grid(limit, points=48, smallest=_SMALLEST_BATCH)
    point = serve(bench, batch=grid, traffic=traffic, prefill_ratio=prefill_ratio)
    return balanced(grid, point.asked_fraction, fullest=float(fullest(traffic.stream)))


def largest_within(
    bench: Bench,
    workload: InferenceWorkload,
    *,
    limit: FloatArray,
    traffic: Traffic,
    prefill_ratio: Numeric | None,
) -> FloatArray:
    """The batch that carries most while its tails meet the SLO; the smallest batch when none does."""
    ttft_s, tpot_s = slo_seconds(workload)
    grid = batch_grid(limit, points=160, smallest=0.05)
    point = serve(bench, batch=grid, traffic=traffic, prefill_ratio=prefill_ratio)
    # Throughput does not always grow with the batch: of those within the bounds the one that carries most.
    carried = np.where(within(point, ttft_s=ttft_s, tpot_s=tpot_s), point.requests_s, 0.0)
    return np.asarray(grid[np.arange(grid.shape[0]), np.argmax(carried, axis=1)], dtype=np.float64)


def operate(
    bench: Bench, *, batch: FloatArray, traffic: Requests, prefill_ratio: Numeric | None = None
) -> ServingPoint:
    """The steady state of every candidate at its own batch."""
    return serve(bench, batch=batch[:, None], traffic=traffic, prefill_ratio=prefill_ratio)
