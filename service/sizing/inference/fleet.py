"""How many servers a demand takes per candidate: the largest batch within the SLO, then instances, then servers."""

from dataclasses import dataclass, replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.counts import Counts, held_by, reached, taken_by
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.margins import Margins
from service.sizing.inference.memory import InferenceMemory, sequence_bytes
from service.sizing.inference.operate import batch_grid, batch_limit, even_steps
from service.sizing.inference.requests import Requests
from service.sizing.inference.serving import Bench, ServingPoint, serve
from service.sizing.inference.traffic import Unit
from service.sizing.numeric import Numeric
from service.sizing.rank import Verdict, open_verdict, refuse
from service.sizing.result import Limit
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.units import GB, MS

# In the mean fewer than one sequence decodes where little is asked and the SLO is strict.
_SMALLEST_BATCH = 0.05
_COARSE, _FINE = 26, 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """Per candidate of one group: the fleet that carries the demand, or why there is none.

    `predicted` is what one decode instance carries within the SLO, in the demand's own unit (requests/s or requests in
    flight), `capacity` the same at the asked confidence; `instances` decode, `prefill_instances` prefill. Speeds are
    what a user gets (tokens/s) and what the fleet carries (requests/s) at the demand, read off a coarse grid.
    """

    idle_gpus: FloatArray
    batch: FloatArray
    predicted: FloatArray
    capacity: FloatArray
    instances: FloatArray
    prefill_instances: FloatArray
    servers: IntArray
    tokens_s_user: FloatArray
    requests_s: FloatArray
    margins: Margins
    verdict: Verdict

    def take(self, rows: slice) -> "Fleet":
        """The candidates of these rows."""
        numbers = {name: getattr(self, name)[rows] for name in _NUMBERS}
        return Fleet(**numbers, margins=self.margins.take(rows), verdict=self.verdict.take(rows))


_NUMBERS = tuple(name for name in Fleet.__dataclass_fields__ if name not in {"margins", "verdict"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets:
    """Per candidate: what its fleet must carry, the SLO, and the longest sequence; `wanted` in the unit asked for."""

    unit: Unit
    wanted: FloatArray
    ttft_s: FloatArray
    tpot_s: FloatArray
    longest_tokens: FloatArray


def memory_verdict(
    load: ModelLoad,
    layouts: InferenceLayouts,
    memory: InferenceMemory,
    *,
    longest_tokens: Numeric,
    table: HardwareTable,
) -> Verdict:
    """Refuses GPUs whose bandwidth is unknown, and layouts that do not hold the longest sequence."""
    unknown = np.isnan(table.bandwidth_bytes_s[layouts.server])
    nothing = np.full(layouts.server.size, np.nan)
    known = refuse(
        open_verdict(layouts.server.size), unknown, limit=Limit.UNKNOWN_FACT, required=nothing, available=nothing
    )
    needed = memory.fixed + sequence_bytes(load, layouts, context_tokens=longest_tokens)
    return refuse(
        known,
        np.asarray(needed > memory.usable),
        limit=Limit.MEMORY,
        required=needed / GB,
        available=memory.usable / GB,
    )


def plan_fleet(
    bench: Bench,
    memory: InferenceMemory,
    *,
    traffic: Requests,
    targets: Targets,
    margins: Margins,
    table: HardwareTable,
    calibration: Calibration,
) -> Fleet:
    """Batch, capacity and servers of every candidate, of one question or of several; refusals keep their reason and
    distance.
    """
    layouts = bench.layouts
    verdict = memory_verdict(bench.load, layouts, memory, longest_tokens=targets.longest_tokens, table=table)
    limit = np.where(verdict.feasible, batch_limit(memory, layouts), 1.0)
    grid = batch_grid(limit, points=_COARSE, smallest=_SMALLEST_BATCH)
    ttft_s = (targets.ttft_s / margins.ttft)[:, None]

    def at(batches: FloatArray) -> ServingPoint:
        return serve(bench, batch=batches, traffic=traffic, ttft_s=ttft_s)

    coarse = at(grid)
    kept = _kept(coarse, margins, targets)
    verdict = _slo_verdict(verdict, kept, targets)
    best = _best_column(coarse, kept.both, targets.unit)
    rows = np.arange(grid.shape[0])
    fine = at(_between(grid[rows, best], grid[rows, np.minimum(best + 1, _COARSE - 1)]))
    column = _best_column(fine, _kept(fine, margins, targets).both, targets.unit)
    fleet = _fleet(
        layouts,
        fine,
        column,
        coarse=coarse,
        verdict=verdict,
        targets=targets,
        margins=margins,
        table=table,
        calibration=calibration,
    )
    return fleet if targets.unit is Unit.GPUS else _at_demand(fleet, coarse, targets)


def _at_demand(fleet: Fleet, point: ServingPoint, targets: Targets) -> Fleet:
    """The same fleets with their speeds at their share of the demand instead of at the most that they carry."""
    carried = point.in_flight if targets.unit is Unit.IN_FLIGHT else point.requests_s
    share = np.minimum(targets.wanted / fleet.instances, carried.max(axis=1))
    after = np.maximum(1, reached(carried, share))
    rows = np.arange(after.size)
    low, high = carried[rows, after - 1], carried[rows, after]
    part = np.clip((share - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)

    def read(values: FloatArray) -> FloatArray:
        return np.asarray(values[rows, after - 1] * (1.0 - part) + values[rows, after] * part, dtype=np.float64)

    return replace(fleet, tokens_s_user=1.0 / read(point.tpot_s), requests_s=read(point.requests_s) * fleet.instances)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kept:
    """Both tails [s] with the margins that the asked confidence takes, and where they stay under their bounds."""

    ttft_s: FloatArray
    tpot_s: FloatArray
    ttft: BoolArray
    both: BoolArray


def _kept(point: ServingPoint, margins: Margins, targets: Targets) -> _Kept:
    ttft_s = point.ttft_tail_s * margins.ttft[:, None]
    tpot_s = point.tpot_tail_s * margins.tpot[:, None]
    ttft = ttft_s <= targets.ttft_s[:, None]
    return _Kept(ttft_s=ttft_s, tpot_s=tpot_s, ttft=ttft, both=ttft & (tpot_s <= targets.tpot_s[:, None]))


def _slo_verdict(verdict: Verdict, kept: _Kept, targets: Targets) -> Verdict:
    verdict = refuse(
        verdict,
        ~kept.ttft.any(axis=1),
        limit=Limit.TTFT,
        required=targets.ttft_s / MS,
        available=kept.ttft_s.min(axis=1) / MS,
    )
    reachable = np.where(kept.ttft, kept.tpot_s, np.inf).min(axis=1)
    return refuse(
        verdict,
        ~kept.both.any(axis=1),
        limit=Limit.TPOT,
        required=targets.tpot_s / MS,
        available=reachable / MS,
    )


def _best_column(point: ServingPoint, allowed: BoolArray, unit: Unit) -> IntArray:
    """The allowed batch that carries most per GPU; the smallest batch where none is allowed."""
    carried = point.in_flight if unit is Unit.IN_FLIGHT else point.requests_s
    per_gpu = carried / (1.0 + point.prefill_instances)
    return np.asarray(np.argmax(np.where(allowed, per_gpu, -1.0), axis=1), dtype=np.int64)


def _between(low: FloatArray, high: FloatArray) -> FloatArray:
    return np.asarray(low[:, None] * (high / low)[:, None] ** even_steps(_FINE), dtype=np.float64)


def _fleet(
    layouts: InferenceLayouts,
    point: ServingPoint,
    column: IntArray,
    *,
    coarse: ServingPoint,
    verdict: Verdict,
    targets: Targets,
    margins: Margins,
    table: HardwareTable,
    calibration: Calibration,
) -> Fleet:
    wanted = targets.wanted
    rows = np.arange(column.size)

    def picked(values: FloatArray) -> FloatArray:
        return np.asarray(values[rows, column], dtype=np.float64)

    by_flight = targets.unit is Unit.IN_FLIGHT
    predicted = picked(point.in_flight if by_flight else point.requests_s)
    # How many requests an instance holds is a matter of memory and SLO, which have margins of their own.
    capacity = predicted if by_flight else predicted * margins.rate
    ratio = picked(point.prefill_instances)
    size = table.gpus_server[layouts.server]
    instance = layouts.gpus_instance
    if targets.unit is Unit.GPUS:
        held = held_by(wanted, ratio=ratio, instance=instance, size=size)
        counts: Counts = held
        predicted, capacity = predicted * held.fed_fraction, capacity * held.fed_fraction
        need = instance.astype(np.float64)
        verdict = refuse(verdict, held.too_few, limit=Limit.FLEET, required=need, available=wanted)
    else:
        tried = coarse if by_flight else None
        counts = taken_by(wanted, capacity, ratio=ratio, in_flight=tried, instance=instance, size=size)
    servers = counts.servers
    most = calibration.assumption("fleet.max_gpus")
    desktop = table.desktop[layouts.server]
    most_here = np.where(desktop, calibration.assumption("fleet.desktop_most_systems") * size, most)
    verdict = refuse(
        verdict, servers * size > most_here, limit=Limit.FLEET, required=servers * size, available=most_here
    )
    return Fleet(
        idle_gpus=np.maximum(0.0, servers * size - (counts.decoding + counts.prefilling) * instance),
        batch=picked(point.batch),
        predicted=predicted,
        capacity=capacity,
        instances=counts.decoding,
        prefill_instances=counts.prefilling,
        # A refused candidate may need absurdly many; integers end where floats do not.
        servers=np.minimum(servers, most + 1.0).astype(np.int64),
        tokens_s_user=1.0 / picked(point.tpot_s),
        requests_s=picked(point.requests_s) * counts.decoding,
        margins=margins,
        verdict=verdict,
    )
