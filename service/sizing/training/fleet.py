"""Fleet: for every server and GPU count the fastest layout that fits, and how long the training takes on it."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.training.job import Job, servers_needed
from service.sizing.training.layouts import Layouts
from service.sizing.training.stepped import Steps, steps_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fleet:
    """One row per server configuration and GPU count worth having: its fastest layout and the step it takes.

    `at` is the row of that step among all `steps`. A row with `gpus` 0 stands for a server on which nothing fits;
    `needed_bytes` is then the least that would.
    """

    steps: Steps
    at: IntArray
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
    return fleet_of(job, steps_of(job, layouts, rows=rows, table=table, calibration=calibration), table)


def fleet_of(job: Job, steps: Steps, table: HardwareTable) -> Fleet:
    """How long the job takes with each step; counts no faster than a smaller one are dropped."""
    days = np.full(steps.gpus.size, np.inf)
    runs = np.flatnonzero(steps.gpus)
    step_s = steps.step_s[runs]
    days[runs] = job.days(step_s, job.goodput(steps.gpus[runs], step_s).fraction)
    worth = [(group, rows.start + _shorter(days[rows])) for group, rows in steps.kinds]
    none = np.zeros(0, dtype=np.int64)
    at = np.concatenate([none, *(np.tile(best, group.size) for group, best in worth)])
    server = np.concatenate([none, *(np.repeat(group, best.size) for group, best in worth)])
    gpus = steps.gpus[at]
    return Fleet(
        steps=steps,
        at=at,
        layouts=steps.layouts.take(at),
        server=server,
        servers=np.where(gpus > 0, servers_needed(np.maximum(gpus, 1), table.gpus_server[server]), 0),
        gpus=gpus,
        step_s=steps.step_s[at],
        days=days[at],
        needed_bytes=steps.needed_bytes[at],
        tried=steps.tried,
    )


def _shorter(days: FloatArray) -> IntArray:
    """Rows that take less than all before them; the first where nothing ends."""
    earlier = np.concatenate([[np.inf], np.minimum.accumulate(days)[:-1]])
    found = np.flatnonzero(days < earlier)
    return found if found.size else np.zeros(1, dtype=np.int64)
