"""Which candidates fit their GPU, each under the lightest recompute that does."""

from dataclasses import dataclass

import numpy as np

from service.sizing.columns import Columns
from service.sizing.table import BoolArray, FloatArray
from service.sizing.training.job import Job
from service.sizing.training.layouts import Layouts

_NONE, _SELECTIVE, _FULL = 0, 1, 2
# Full recompute takes whole layers: so many steps from none to all of them.
_STEPS = 16.0
# A share so small that it costs only the layer that is being rebuilt.
_FIRST = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RecomputeMemory(Columns):
    """Bytes per GPU of every candidate: no recompute, selective, full of hardly a layer, full of all."""

    none: FloatArray
    selective: FloatArray
    first: FloatArray
    full: FloatArray

    def at(self, fraction: FloatArray) -> FloatArray:
        """Full recompute of a share of the layers: what it saves grows with them."""
        return self.first - fraction * (self.first - self.full)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """Each candidate under the lightest recompute that fits its GPU; `fits` is False where even full does not."""

    layouts: Layouts
    used_bytes: FloatArray
    fits: BoolArray

    def take(self, rows: BoolArray) -> "Fitted":
        """The rows that a mask selects."""
        return Fitted(layouts=self.layouts.take(rows), used_bytes=self.used_bytes[rows], fits=self.fits[rows])


def memory_by_recompute(job: Job, layouts: Layouts) -> RecomputeMemory:
    """Total bytes per GPU of every candidate under each recompute mode."""

    def under(level: int, fraction: float = 1.0) -> FloatArray:
        size = len(layouts)
        return job.memory(
            layouts.with_recompute(np.full(size, level, dtype=np.int64), np.full(size, fraction, dtype=np.float64))
        ).total

    return RecomputeMemory(
        none=under(_NONE), selective=under(_SELECTIVE), first=under(_FULL, _FIRST), full=under(_FULL)
    )


def lightest_recompute(layouts: Layouts, used: RecomputeMemory, usable_bytes: FloatArray) -> Fitted:
    """Every candidate under none, selective, or full recompute of as few layers as fit; of all where nothing does.

    Less recompute is never slower with everything else equal, so nothing is lost by not trying the others.
    """
    light = np.where(used.none <= usable_bytes, _NONE, _SELECTIVE)
    level = np.where((used.none <= usable_bytes) | (used.selective <= usable_bytes), light, _FULL)
    saved = np.maximum(used.first - used.full, 1.0)
    share = np.clip(np.ceil((used.first - usable_bytes) / saved * _STEPS), 1.0, _STEPS) / _STEPS
    fraction = np.where(level == _FULL, share, 1.0)
    taken = np.choose(level, (used.none, used.selective, used.at(fraction)))
    return Fitted(
        layouts=layouts.with_recompute(level, fraction),
        used_bytes=taken,
        fits=np.asarray((level < _FULL) | (used.full <= usable_bytes)),
    )


def fitted(job: Job, layouts: Layouts, *, usable_bytes: FloatArray) -> Fitted:
    """Candidates with their lightest recompute."""
    return lightest_recompute(layouts, memory_by_recompute(job, layouts), usable_bytes)
