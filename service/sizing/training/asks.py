"""What searches ask of training: steps in many layouts, fleets for a job; of one question, or of several in one call.

No step and no memory depends on how long a training is, until when, or how often it is saved, so that all questions
about one model, sequence and batch share their steps.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from service.sizing.calibration import Calibration
from service.sizing.joint import Ask, Sizing
from service.sizing.remembered import Remembered
from service.sizing.table import HardwareTable, IntArray
from service.sizing.training.choices import searched_layouts
from service.sizing.training.fleet import Fleet, fleets_of
from service.sizing.training.job import Job
from service.sizing.training.layouts import Layouts
from service.sizing.training.stepped import Steps, Wanted, steps_of_kin
from service.sizing.training.together import kin
from service.sizing.workload import TrainingTarget

# A step is one number, where a row of serving holds some dozens: so many candidates are as much work as one of those.
_LIKE_ONE_ROW = 32
# Of models, sequences and batches.
_MOST_REMEMBERED = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """What equal steps follow from; the job without what no step depends on."""

    job: Job
    gpus: int | None
    most_gpus: int
    rows: tuple[int, ...]
    table: HardwareTable
    calibration: Calibration


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Shared:
    """What equal jobs share: the batch that some layout divides, and the steps on every kind of server."""

    batch_sequences: int
    steps: Steps


_KNOWN: Remembered[_Key, _Shared] = Remembered(_MOST_REMEMBERED)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepsAsk(Ask):
    """The steps of a job in some layouts, on every kind of server among the rows of the table."""

    key: _Key
    wanted: Wanted

    @property
    def alike(self) -> Hashable:
        """All that the formulas take as one number, and where they are asked of."""
        return kin(self.wanted.job), self.key.table, self.key.calibration

    @property
    def size(self) -> int:
        """As many rows of serving as are the same work."""
        return 1 + len(self.wanted.layouts) * self.wanted.rows.size // _LIKE_ONE_ROW

    def answers(self, asks: Sequence["StepsAsk"]) -> list[Steps]:
        """Of each; equal ones are found once."""
        known = {ask.key: _KNOWN.get(ask.key) for ask in asks}
        missing = {ask.key: ask.wanted for ask in asks if known[ask.key] is None}
        made = steps_of_kin(list(missing.values()), table=self.key.table, calibration=self.key.calibration)
        found = {key: one.steps for key, one in known.items() if one is not None}
        for (key, wanted), steps in zip(missing.items(), made, strict=True):
            found[key] = steps
            _KNOWN.put(key, _Shared(batch_sequences=wanted.job.batch_sequences, steps=steps))
        return [found[ask.key] for ask in asks]


def shared_steps(
    job: Job,
    *,
    gpus: int | None,
    most_gpus: int,
    rows: IntArray,
    table: HardwareTable,
    calibration: Calibration,
) -> Sizing[tuple[Job, Steps]]:
    """The job with a batch that divides, and its steps on the servers of `rows`.

    Raises InvalidRequestError with the nearest global batch when no layout divides a stated one.
    """
    alike = _of_one_step(job)
    key = _Key(
        job=alike, gpus=gpus, most_gpus=most_gpus, rows=tuple(rows.tolist()), table=table, calibration=calibration
    )
    known = _KNOWN.get(key)
    if known is not None:
        return replace(job, batch_sequences=known.batch_sequences), known.steps
    dividing, layouts = _searched(alike, gpus, most_gpus)
    (steps,) = yield [StepsAsk(key=key, wanted=Wanted(job=dividing, layouts=layouts, rows=rows))]
    return replace(job, batch_sequences=dividing.batch_sequences), steps


@lru_cache(maxsize=8)
def _searched(job: Job, gpus: int | None, most_gpus: int) -> tuple[Job, Layouts]:
    """Questions that ask alike come one after another."""
    return searched_layouts(job, gpus=gpus, most_gpus=most_gpus)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetAsk(Ask):
    """How long a job takes with each of its steps, and the fleets that are worth having."""

    job: Job
    steps: Steps
    table: HardwareTable

    @property
    def alike(self) -> Hashable:
        """The catalog, and the judgement on what is lost of the hours."""
        return self.table, self.job.reliability

    @property
    def size(self) -> int:
        """As many rows of serving as are the same work."""
        return 1 + self.steps.gpus.size // _LIKE_ONE_ROW

    def answers(self, asks: Sequence["FleetAsk"]) -> list[Fleet]:
        """Of each."""
        return fleets_of([ask.job for ask in asks], [ask.steps for ask in asks], self.table)
