"""One candidate taken out of the arrays: memory, step and goodput of a single row, for estimates and options."""

from dataclasses import replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.interval import Interval
from service.sizing.table import HardwareTable
from service.sizing.training.explain import Point
from service.sizing.training.fleet import Fleet
from service.sizing.training.job import Job, run_rates, table_rates
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import Memory
from service.sizing.training.step import StepTime

_FAILURES = "training.failure_interval_gpu_h"


def point_at(
    job: Job, layouts: Layouts, *, row: int, table: HardwareTable, server: int, calibration: Calibration
) -> Point:
    """The candidate of one row on one server."""
    one = layouts.take(np.array([row], dtype=np.int64))
    rows = np.array([server], dtype=np.int64)
    rates = run_rates(table_rates(job, table, calibration).take(rows), one.gpus, table.gpus_server[rows])
    return _point(job, one, job.memory(one), job.step(one, rates), table=table, server=server)


def point_of(job: Job, fleet: Fleet, row: int, table: HardwareTable) -> Point:
    """The candidate of one row of a fleet, whose memory and step are known."""
    at, steps = fleet.at[row : row + 1], fleet.steps
    found = steps.layouts.take(at), steps.memory.take(at), steps.step.take(at)
    return _point(job, *found, table=table, server=int(fleet.server[row]))


def _point(job: Job, layouts: Layouts, memory: Memory, step: StepTime, *, table: HardwareTable, server: int) -> Point:
    step_s = step.total
    progress = job.goodput(layouts.gpus, step_s)
    return Point(
        job=job,
        layouts=layouts,
        memory=memory,
        step=step,
        step_s=float(step_s[0]),
        table=table,
        server=server,
        goodput_fraction=float(progress.fraction[0]),
        failure_interval_s=float(progress.failure_interval_s[0]),
        checkpoint_write_s=job.checkpoint_write_s,
        best_interval_s=float(progress.best_interval_s[0]),
    )


def goodput_interval(job: Job, point: Point, calibration: Calibration) -> Interval:
    """Goodput between the bounds of the failure rate, the least known of its inputs."""
    entry = calibration.assumptions[_FAILURES]
    count = np.array([point.gpus], dtype=np.int64)

    def at(gpu_hours: float) -> float:
        found = job.goodput(
            count, np.array([point.step_s]), reliability=replace(job.reliability, gpu_hours_per_failure=gpu_hours)
        )
        return float(found.fraction[0])

    return Interval(p10=at(entry.low), p50=at(entry.value), p90=at(entry.high))
