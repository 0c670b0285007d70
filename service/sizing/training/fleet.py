"""Fleet: for every server and GPU count the fastest layout that fits, and how long the training takes on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.joint import one_row, parted
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.training.goodput import goodput
from service.sizing.training.job import Job, run_days, servers_needed
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
    (found,) = fleets_of([job], [steps], table)
    return found


def fleets_of(jobs: Sequence[Job], each: Sequence[Steps], table: HardwareTable) -> list[Fleet]:
    """The same of several jobs, each with its steps: all of them are rows of the same arrays."""
    sizes = [steps.gpus.size for steps in each]
    gpus, step_s = np.concatenate([steps.gpus for steps in each]), np.concatenate([steps.step_s for steps in each])
    days = np.full(gpus.size, np.inf)
    runs = np.flatnonzero(gpus)
    days[runs] = _days(jobs, sizes, runs, gpus=gpus[runs], step_s=step_s[runs])
    worth = _worth(days, np.concatenate([steps.counts for steps in each]))
    return [
        _fleet(steps, worth=worth[rows], days=days[rows], table=table)
        for steps, rows in zip(each, parted(sizes), strict=True)
    ]


def _days(
    jobs: Sequence[Job], sizes: Sequence[int], runs: IntArray, *, gpus: IntArray, step_s: FloatArray
) -> FloatArray:
    """Days of each run, as `Job.days` has those of one job."""

    def of_runs(values: Sequence[float]) -> FloatArray:
        return one_row(values, sizes)[runs]

    steps = of_runs([job.steps for job in jobs])
    found = goodput(
        gpus,
        write_s=of_runs([job.checkpoint_write_s for job in jobs]),
        interval_s=of_runs([job.interval_s for job in jobs]),
        productive_s=steps * step_s,
        reliability=jobs[0].reliability,
    )
    return run_days(steps, step_s, found.fraction)


def _worth(days: FloatArray, counts: IntArray) -> BoolArray:
    """Rows that take less than all before them on their kind of server; the first where nothing ends."""
    kind = np.repeat(np.arange(counts.size), counts)
    place = np.arange(days.size) - np.repeat(np.cumsum(counts) - counts, counts)
    by_kind = np.full((counts.size, int(counts.max(initial=1))), np.inf)
    by_kind[kind, place] = days
    earlier = np.full(by_kind.shape, np.inf)
    earlier[:, 1:] = np.minimum.accumulate(by_kind, axis=1)[:, :-1]
    found = by_kind < earlier
    found[~found.any(axis=1), 0] = True
    return np.asarray(found[kind, place], dtype=np.bool_)


def _fleet(steps: Steps, *, worth: BoolArray, days: FloatArray, table: HardwareTable) -> Fleet:
    kept = worth[steps.row]
    at, server = steps.row[kept], steps.server[kept]
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
