"""Stepped: on every kind of server, of each GPU count the layout that fits and has the shortest step.

No step and no memory depends on how long a training is, until when, or how often it is saved, so that all questions
about one model, sequence and batch share what is found here.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import ServerSpec
from service.sizing.joint import parted
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.training.choices import searched_layouts
from service.sizing.training.job import Job, gpus_used_server, run_rates, servers_needed, table_rates
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import Memory
from service.sizing.training.rates import Rates
from service.sizing.training.recompute import RecomputeMemory, lightest_recompute, memory_by_recompute
from service.sizing.training.step import StepTime
from service.sizing.workload import TrainingTarget


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
    """The same of every kind of server, one after another: `kinds` are their servers and the rows of each."""

    kinds: tuple[tuple[IntArray, slice], ...]
    layouts: Layouts
    gpus: IntArray
    memory: Memory
    step: StepTime
    step_s: FloatArray
    needed_bytes: FloatArray
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shared:
    """What equal jobs share: the batch that some layout divides, and the steps on every kind of server."""

    batch_sequences: int
    steps: Steps


def shared_steps(
    job: Job,
    *,
    gpus: int | None,
    most_gpus: int,
    rows: IntArray,
    table: HardwareTable,
    calibration: Calibration,
) -> tuple[Job, Steps]:
    """The job with a batch that divides, and its steps on the servers of `rows`.

    Raises InvalidRequestError with the nearest global batch when no layout divides a stated one.
    """
    found = _shared(_of_one_step(job), gpus, most_gpus, tuple(rows.tolist()), table=table, calibration=calibration)
    return replace(job, batch_sequences=found.batch_sequences), found.steps


def _of_one_step(job: Job) -> Job:
    """The same without what no step and no memory depends on."""
    alike = replace(
        job.workload,
        tokens=1.0,
        target=TrainingTarget(),
        checkpoint_interval_min=1.0,
        dataset_tb=None,
        storage_gb_s=None,
    )
    return replace(job, workload=alike)


@lru_cache(maxsize=64)
def _shared(
    job: Job,
    gpus: int | None,
    most_gpus: int,
    rows: tuple[int, ...],
    *,
    table: HardwareTable,
    calibration: Calibration,
) -> Shared:
    job, layouts = searched_layouts(job, gpus=gpus, most_gpus=most_gpus)
    rows_ = np.array(rows, dtype=np.int64)
    return Shared(
        batch_sequences=job.batch_sequences,
        steps=steps_of(job, layouts, rows=rows_, table=table, calibration=calibration),
    )


def steps_of(job: Job, layouts: Layouts, *, rows: IntArray, table: HardwareTable, calibration: Calibration) -> Steps:
    """The steps of some layouts on every kind of server among the rows of the table."""
    used = memory_by_recompute(job, layouts)
    rates = table_rates(job, table, calibration)
    each = [
        _on_class(
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
    return _joined(job, each, like=layouts)


def _joined(job: Job, each: list[Stepped], *, like: Layouts) -> Steps:
    """All of them, one after another; of none no rows."""
    none = np.zeros(0, dtype=np.int64)
    layouts = Layouts.together([like.take(none), *(one.layouts for one in each)])
    step = StepTime.together([one.step for one in each])
    return Steps(
        kinds=tuple(zip((one.group for one in each), parted([one.gpus.size for one in each]), strict=True)),
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


def _on_class(
    job: Job,
    layouts: Layouts,
    *,
    used: RecomputeMemory,
    group: IntArray,
    table: HardwareTable,
    rates: Rates,
    most_servers: float,
) -> Stepped:
    """The steps on servers that are the same to a training."""
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
    step = job.step(chosen, rates)
    # At one GPU count a shorter step is a shorter training, whatever failures and checkpoints take from it.
    best = _fastest(chosen.gpus, step.total)
    return Stepped(
        group=group,
        layouts=chosen.take(best),
        gpus=chosen.gpus[best],
        step=step.take(best),
        needed_bytes=np.full(best.size, np.nan),
        tried=int(index.size) * int(group.size),
    )


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


def _fastest(gpus: IntArray, step_s: FloatArray) -> IntArray:
    """The candidate with the shortest step of each GPU count, counts ascending; of equals the first."""
    ordered = np.lexsort((np.arange(gpus.size), step_s, gpus))
    _, first = np.unique(gpus[ordered], return_index=True)
    return np.asarray(ordered[first], dtype=np.int64)
