"""Fleet: for every server and GPU count the fastest layout that fits, and how long the training takes on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.training.job import Job, servers_needed
from service.sizing.training.layouts import Layouts
from service.sizing.training.stepped import Stepped, stepped


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


def search(job: Job, layouts: Layouts, *, rows: IntArray, table: HardwareTable, calibration: Calibration) -> Fleet:
    """The fastest layout of every GPU count on every server; a count no faster than a smaller one is dropped."""
    return fleet_of(job, stepped(job, layouts, rows=rows, table=table, calibration=calibration), table)


def fleet_of(job: Job, steps: Sequence[Stepped], table: HardwareTable) -> Fleet:
    """How long the job takes with each step; counts no faster than a smaller one are dropped."""
    parts = [_part(job, one, table) for one in steps]
    if not parts:
        return _no_fleet()
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


def _no_fleet() -> Fleet:
    none = np.zeros(0, dtype=np.int64)
    empty = np.zeros(0, dtype=np.float64)
    return Fleet(
        layouts=Layouts(
            **{name: none for name in Layouts.__dataclass_fields__ if name != "recompute_fraction"},
            recompute_fraction=empty,
        ),
        server=none,
        servers=none,
        gpus=none,
        step_s=empty,
        days=empty,
        needed_bytes=empty,
        tried=0,
    )


def _part(job: Job, steps: Stepped, table: HardwareTable) -> Fleet:
    """The rows of servers that are the same to a training."""
    group, days, best = steps.group, steps.step_s, np.zeros(1, dtype=np.int64)
    if np.any(steps.gpus):
        days = job.days(steps.step_s, job.goodput(steps.gpus, steps.step_s).fraction)
        earlier = np.concatenate([[np.inf], np.minimum.accumulate(days)[:-1]])
        best = np.flatnonzero(days < earlier)
    again = np.tile(best, group.size)
    server, gpus = np.repeat(group, best.size), steps.gpus[again]
    return Fleet(
        layouts=steps.layouts.take(again),
        server=server,
        servers=np.where(gpus > 0, servers_needed(np.maximum(gpus, 1), table.gpus_server[server]), 0),
        gpus=gpus,
        step_s=steps.step_s[again],
        days=days[again],
        needed_bytes=steps.needed_bytes[again],
        tried=steps.tried,
    )
