"""What searches ask of scientific work: the physics of candidates; of one question, or of several in one call."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.joint import Ask, one_row, parted
from service.sizing.science.job import Arithmetic, Job
from service.sizing.science.performance import Performance, Rows, performance
from service.sizing.science.rate import RateTable
from service.sizing.table import FloatArray, HardwareTable

# An item's time is one number, where a row of serving holds some dozens: so many candidates are as much work as one.
_LIKE_ONE_ROW = 32
_NUMBERS = ("units_item", "time_factor", "fixed_item_s", "memory_bytes", "memory_usable_fraction")
_OF_A_STEP = ("step_flop", "step_bytes", "halo_bytes", "steps")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerformanceAsk(Ask):
    """Seconds, memory and efficiency of candidates of a job, at its rates on the GPUs of the table."""

    job: Job
    rows: Rows
    rates: RateTable
    table: HardwareTable
    calibration: Calibration

    @property
    def alike(self) -> Hashable:
        """All that the formulas take as one number, or decide by."""
        job, step = self.job, self.job.arithmetic
        what = None if step is None else (step.precision, step.step_flop > 0.0)
        return job.application, job.variant, job.size, job.memory_sharded, what, self.table, self.calibration

    @property
    def size(self) -> int:
        """As many rows of serving as are the same work."""
        return 1 + self.rows.server.size // _LIKE_ONE_ROW

    def answers(self, asks: Sequence["PerformanceAsk"]) -> list[Performance]:
        """Of each."""
        if len(asks) == 1:
            return [self._of(self.job, self.rows, self.rates)]
        sizes = [ask.rows.server.size for ask in asks]
        found = self._of(
            _one_job([ask.job for ask in asks], sizes), _one_after_another(asks), _all_rates([a.rates for a in asks])
        )
        return [found.take(rows) for rows in parted(sizes)]

    def _of(self, job: Job, rows: Rows, rates: RateTable) -> Performance:
        return performance(job, rows, table=self.table, rates=rates, calibration=self.calibration)


def _one_after_another(asks: Sequence[PerformanceAsk]) -> Rows:
    """All candidates; each is timed by the rates of its own job, which lie one after another too."""
    before = np.cumsum([0, *(ask.rates.unit_s.size for ask in asks)])[:-1].tolist()
    return Rows(
        server=np.concatenate([ask.rows.server for ask in asks]),
        gpus_instance=np.concatenate([ask.rows.gpus_instance for ask in asks]),
        instances=np.concatenate([ask.rows.instances for ask in asks]),
        rate=np.concatenate([ask.rows.server + start for ask, start in zip(asks, before, strict=True)]),
    )


def _all_rates(each: Sequence[RateTable]) -> RateTable:
    def column(name: str) -> FloatArray:
        return np.concatenate([getattr(one, name) for one in each])

    # Whose rates have a launch is a matter of the application, which is one.
    launched = each[0].launch_s is not None and each[0].reference_s is not None
    return RateTable(
        rates=(),
        unit_s=column("unit_s"),
        shift=column("shift"),
        down=column("down"),
        up=column("up"),
        launch_s=column("launch_s") if launched else None,
        reference_s=column("reference_s") if launched else None,
    )


def _one_job(jobs: Sequence[Job], sizes: Sequence[int]) -> Job:
    """A job for the physics of candidates of several that are alike: its numbers are columns, a row for each."""
    steps = [job.arithmetic for job in jobs if job.arithmetic is not None]
    step: Arithmetic | None = None
    if steps:
        step = replace(steps[0], **_columns(steps, _OF_A_STEP, sizes))
    return replace(jobs[0], **_columns(jobs, _NUMBERS, sizes), arithmetic=step)


def _columns(each: Sequence[Job] | Sequence[Arithmetic], names: Sequence[str], sizes: Sequence[int]) -> dict[str, Any]:
    """Of the numbers that differ."""
    values = {name: [getattr(one, name) for one in each] for name in names}
    return {name: one_row(found, sizes) for name, found in values.items() if len(set(found)) > 1}
