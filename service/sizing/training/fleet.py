"""Fleet: for every server and GPU count the fastest layout that fits, found by trying all of them in arrays."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import ServerSpec
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.training.job import (
    Job,
    gpus_used_server,
    run_rates,
    servers_needed,
    table_rates,
)
from service.sizing.training.layouts import Layouts
from service.sizing.training.rates import Rates
from service.sizing.training.recompute import RecomputeMemory, lightest_recompute, memory_by_recompute


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


def search(job: Job, layouts: Layouts, *, rows: IntArray, table: HardwareTable, calibration: Calibration) -> Fleet:
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
        **{name: np.concatenate([getattr(p.layouts, name) for p in parts]) for name in Layouts.__dataclass_fields__}
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
    return calibration.assumption("fleet.desktop_most_systems") if desktop else np.inf


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
    used: RecomputeMemory,
    group: IntArray,
    table: HardwareTable,
    rates: Rates,
    most_servers: float,
) -> Fleet:
    """The rows of servers that are the same to a training."""
    first = int(group[0])
    size = table.gpus_server[first]
    usable = np.full(len(layouts), job.usable_bytes(table.memory_bytes[first]))
    found = lightest_recompute(layouts, used, usable)
    inside = gpus_used_server(layouts.gpus, size)
    placed = (inside > 0) & (layouts.tp <= inside) & (servers_needed(layouts.gpus, size) <= most_servers)
    known = np.isfinite(rates.products.flop_s[first]) & np.isfinite(rates.bandwidth_bytes_s[first])
    index = np.flatnonzero(found.fits & placed & known)
    if not index.size:
        return _nothing_fits(layouts, used=used, group=group, placed=placed, known=bool(known))
    chosen = found.layouts.take(index)
    where = np.full(index.size, first, dtype=np.int64)
    rates = run_rates(rates.take(where), chosen.gpus, table.gpus_server[where])
    step_s = job.step(chosen, rates).total
    days = job.days(step_s, job.goodput(chosen.gpus, step_s).fraction)
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


def _nothing_fits(layouts: Layouts, *, used: RecomputeMemory, group: IntArray, placed: BoolArray, known: bool) -> Fleet:
    """One row per server that says how much memory the lightest candidate needs (NaN: the precision is missing)."""
    least = used.full
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
