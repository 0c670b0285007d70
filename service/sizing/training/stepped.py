"""Stepped: on every kind of server, of each GPU count the layout that fits and has the shortest step.

Jobs that differ in sequence or batch alone are found together: their candidates are rows of the same arrays.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import ServerSpec
from service.sizing.joint import parted
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.training.job import Job, gpus_used_server, run_rates, servers_needed, table_rates
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import Memory
from service.sizing.training.rates import Rates
from service.sizing.training.recompute import RecomputeMemory, lightest_recompute, memory_by_recompute
from service.sizing.training.step import StepTime
from service.sizing.training.together import one_job

# Most candidates of one call of the formulas: more of them leave the nearest cache of a core.
_MOST_CANDIDATES = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stepped:
    """The fastest layouts on servers that are the same to a training (`group`, rows of the table), counts ascending.

    Where nothing fits, one row without GPUs says in `needed_bytes` how much memory the lightest candidate takes.
    """

    group: IntArray
    layouts: Layouts
    gpus: IntArray
    step: StepTime
    needed_bytes: FloatArray
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """The same of every kind of server, one after another: of each `counts` rows.

    `row` and `server` are every row on each server that it stands for, by kind and server, counts of GPUs ascending.
    """

    counts: IntArray
    row: IntArray
    server: IntArray
    layouts: Layouts
    gpus: IntArray
    memory: Memory
    step: StepTime
    step_s: FloatArray
    needed_bytes: FloatArray
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wanted:
    """Whose steps are wanted: a job, its layouts, and rows of the table."""

    job: Job
    layouts: Layouts
    rows: IntArray


def steps_of(job: Job, layouts: Layouts, *, rows: IntArray, table: HardwareTable, calibration: Calibration) -> Steps:
    """The steps of some layouts on every kind of server among the rows of the table."""
    (found,) = steps_of_kin([Wanted(job=job, layouts=layouts, rows=rows)], table=table, calibration=calibration)
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Piece:
    """The layouts of one job on servers that are the same to a training, and what they hold under each recompute."""

    job: Job
    layouts: Layouts
    used: RecomputeMemory
    group: IntArray

    @property
    def first(self) -> int:
        """The server that stands for all of them."""
        return int(self.group[0])


def steps_of_kin(asks: Sequence[Wanted], *, table: HardwareTable, calibration: Calibration) -> list[Steps]:
    """The steps of jobs that are kin: pieces of several are rows of the same arrays."""
    if not asks:
        return []
    rates = table_rates(asks[0].job, table, calibration)
    pieces = [
        [_Piece(job=ask.job, layouts=ask.layouts, used=used, group=group) for group in _classes(ask.rows, table)]
        for ask, used in zip(asks, _used(asks), strict=True)
    ]
    flat = [piece for some in pieces for piece in some]
    sizes = [len(piece.layouts) for piece in flat]
    each = iter(
        [
            one
            for part in _parts(sizes)
            for one in _on_classes(flat[part], table=table, rates=rates, calibration=calibration)
        ]
    )
    return [
        _joined(ask.job, [next(each) for _ in some], like=ask.layouts) for ask, some in zip(asks, pieces, strict=True)
    ]


def _used(asks: Sequence[Wanted]) -> list[RecomputeMemory]:
    """What the layouts of each ask hold under each recompute."""
    sizes = [len(ask.layouts) for ask in asks]
    found: list[RecomputeMemory] = []
    for part in _parts(sizes):
        some, mine = asks[part], sizes[part]
        used = memory_by_recompute(one_job([ask.job for ask in some], mine), _one_after_another(some))
        found += [used.take(rows) for rows in parted(mine)]
    return found


def _one_after_another(some: Sequence[Wanted | _Piece]) -> Layouts:
    return some[0].layouts if len(some) == 1 else Layouts.together([one.layouts for one in some])


def _parts(sizes: Sequence[int]) -> Iterator[slice]:
    """Neighbours that together are no more than one call takes; a larger one is by itself."""
    start, rows = 0, 0
    for place, size in enumerate(sizes):
        if place > start and rows + size > _MOST_CANDIDATES:
            yield slice(start, place)
            start, rows = place, 0
        rows += size
    if start < len(sizes):
        yield slice(start, len(sizes))


def _joined(job: Job, each: list[Stepped], *, like: Layouts) -> Steps:
    """All of them, one after another; of none no rows."""
    none = np.zeros(0, dtype=np.int64)
    layouts = Layouts.together([like.take(none), *(one.layouts for one in each)])
    step = StepTime.together([one.step for one in each])
    counts = [one.gpus.size for one in each]
    rows = [np.tile(np.arange(r.start, r.stop), one.group.size) for one, r in zip(each, parted(counts), strict=True)]
    return Steps(
        counts=np.array(counts, dtype=np.int64),
        row=np.concatenate([none, *rows]),
        server=np.concatenate([none, *(np.repeat(one.group, one.gpus.size) for one in each)]),
        layouts=layouts,
        gpus=np.concatenate([none, *(one.gpus for one in each)]),
        memory=job.memory(layouts),
        step=step,
        step_s=step.total,
        needed_bytes=np.concatenate([np.zeros(0), *(one.needed_bytes for one in each)]),
        tried=sum(one.tried for one in each),
    )


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


def _most_servers(server: ServerSpec, calibration: Calibration) -> float:
    """Desktops are linked by cable, not by a fabric: only so many make one training."""
    desktop = server.rack_units is None
    return calibration.assumption("fleet.desktop_most_systems") if desktop else np.inf


def _on_classes(
    pieces: Sequence[_Piece], *, table: HardwareTable, rates: Rates, calibration: Calibration
) -> list[Stepped]:
    """The steps of each piece; all candidates are rows of the same arrays."""
    sizes = [len(piece.layouts) for piece in pieces]

    def spread(values: Sequence[float] | Sequence[int]) -> FloatArray:
        return np.repeat(np.array(values), sizes)

    layouts, used = _one_after_another(pieces), RecomputeMemory.together([piece.used for piece in pieces])
    where = np.repeat(np.array([piece.first for piece in pieces], dtype=np.int64), sizes)
    usable = spread([float(piece.job.usable_bytes(table.memory_bytes[piece.first])) for piece in pieces])
    most_servers = spread([_most_servers(table.servers[piece.first], calibration) for piece in pieces])
    found = lightest_recompute(layouts, used, usable)
    gpus, size = layouts.gpus, table.gpus_server[where]
    inside = gpus_used_server(gpus, size)
    placed = (inside > 0) & (layouts.tp <= inside) & (servers_needed(gpus, size) <= most_servers)
    known = np.isfinite(rates.products.flop_s[where]) & np.isfinite(rates.bandwidth_bytes_s[where])
    index = np.flatnonzero(found.fits & placed & known)
    piece_of = np.repeat(np.arange(len(pieces)), sizes)[index]
    counts = np.bincount(piece_of, minlength=len(pieces)).tolist()
    chosen, where = found.layouts.take(index), where[index]
    step = one_job([piece.job for piece in pieces], counts).step(
        chosen, run_rates(rates.take(where), chosen.gpus, table.gpus_server[where])
    )
    # At one GPU count a shorter step is a shorter training, whatever failures and checkpoints take from it.
    best = _fastest(piece_of, chosen.gpus, step.total)
    of_best = np.searchsorted(piece_of[best], np.arange(len(pieces) + 1)).tolist()
    fits = [slice(start, end) for start, end in pairwise(of_best)]
    chosen, step = chosen.take(best), step.take(best)
    return [
        Stepped(
            group=piece.group,
            layouts=chosen.take(mine),
            gpus=chosen.gpus[mine],
            step=step.take(mine),
            needed_bytes=np.full(mine.stop - mine.start, np.nan),
            tried=count * int(piece.group.size),
        )
        if count
        else _nothing_fits(
            piece.layouts, used=piece.used, group=piece.group, placed=placed[rows], known=bool(known[rows].any())
        )
        for piece, count, mine, rows in zip(pieces, counts, fits, parted(sizes), strict=True)
    ]


def _nothing_fits(
    layouts: Layouts, *, used: RecomputeMemory, group: IntArray, placed: BoolArray, known: bool
) -> Stepped:
    """One row that says how much memory the lightest candidate needs (NaN: the precision is missing)."""
    least = used.full
    index = int(np.argmin(np.where(placed, least, np.inf))) if np.any(placed) else int(np.argmin(least))
    return Stepped(
        group=group,
        layouts=layouts.take(np.array([index], dtype=np.int64)),
        gpus=np.zeros(1, dtype=np.int64),
        step=StepTime.without_end(1),
        needed_bytes=np.full(1, least[index] if known else np.nan),
        tried=len(layouts) * int(group.size),
    )


def _fastest(piece: IntArray, gpus: IntArray, step_s: FloatArray) -> IntArray:
    """The candidate with the shortest step of each piece and GPU count, both ascending; of equals the first."""
    ordered = np.lexsort((np.arange(gpus.size), step_s, gpus, piece))
    at, count = piece[ordered], gpus[ordered]
    first = np.ones(ordered.size, dtype=np.bool_)
    first[1:] = (at[1:] != at[:-1]) | (count[1:] != count[:-1])
    return np.asarray(ordered[first], dtype=np.int64)
