"""The nearest measured runs of a prediction, and what that says about its basis."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from service.sizing.calibration import Calibration, Evidence
from service.sizing.interval import Basis
from service.sizing.table import FloatArray, IntArray

# A size more than this factor away from every measured one is not "measured".
_SAME_SIZE = 1.25
_NEAREST = 3
_DECIMALS = 6
# Doublings between a figure and one that nobody published.
_FAR = 8.0


def has_evidence(calibration: Calibration, *, kind: str, gpu: str) -> bool:
    """Whether any measured run of this kind was made on the GPU."""
    return (kind, "", gpu) in calibration.evidence.by_place


@lru_cache(maxsize=4096)
def nearest_evidence(
    calibration: Calibration,
    *,
    kind: str,
    subject: str,
    gpu: str,
    precision: str,
    gpus: int,
    size: float,
    length_tokens: float = 0.0,
    output_tokens: float = 0.0,
) -> tuple[Basis, tuple[str, ...]]:
    """Basis and ids of the nearest runs; `size` is the kind's own measure of a run.

    The runs are those of the same subject on this GPU, else of the same subject on others, else of others on this GPU.
    Measured: a run of the same subject, GPU, precision and GPU count, within 25 % of the size and of the
    sequence's length and of what of that is generated: reading and writing are different work.
    Calibrated: the GPU has runs of this kind. Extrapolated: it has none.
    """
    evidence = calibration.evidence
    places = ((kind, subject, gpu), (kind, subject, ""), (kind, "", gpu))
    place = next((place for place in places if place in evidence.by_place), None)
    known = Basis.CALIBRATED if has_evidence(calibration, kind=kind, gpu=gpu) else Basis.EXTRAPOLATED
    if place is None:
        return known, ()
    runs = _runs(evidence, place)
    other = runs.precision != precision
    shape = [
        _octaves(runs.size, size),
        _octaves(runs.length_tokens, length_tokens),
        _octaves(runs.output_tokens, output_tokens),
    ]
    # Rounded, so that equal distances are ties, which the id breaks, however the size was computed.
    distance = np.round(other + (_octaves(runs.gpus, gpus) + shape[0] + shape[1] + shape[2]), _DECIMALS)
    ids = tuple(runs.ids[np.lexsort((runs.place, distance))[:_NEAREST]].tolist())
    alike = ~other & (runs.gpus == gpus) & (np.max(shape, axis=0) <= math.log2(_SAME_SIZE))
    return Basis.MEASURED if place == places[0] and alike.any() else known, ids


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Runs:
    """The runs of one place as columns."""

    ids: NDArray[np.str_]
    # That of the id among all of them.
    place: IntArray
    precision: NDArray[np.str_]
    gpus: FloatArray
    size: FloatArray
    length_tokens: FloatArray
    output_tokens: FloatArray


@lru_cache(maxsize=1000)
def _runs(evidence: Evidence, place: tuple[str, str, str]) -> _Runs:
    points = evidence.by_place[place]
    ids = np.array([point.id for point in points])
    return _Runs(
        ids=ids,
        place=np.unique(ids, return_inverse=True)[1].astype(np.int64),
        precision=np.array([point.precision for point in points]),
        gpus=np.array([float(point.gpus) for point in points]),
        size=np.array([point.size for point in points]),
        length_tokens=np.array([point.length_tokens for point in points]),
        output_tokens=np.array([point.output_tokens for point in points]),
    )


def _octaves(measured: FloatArray, asked: float) -> FloatArray:
    """How many doublings lie between two sizes; far where only one of them is known."""
    if asked <= 0.0:
        return np.where(measured == asked, 0.0, _FAR)
    known = measured > 0.0
    return np.where(known, np.abs(np.log2(np.where(known, measured, 1.0) / asked)), _FAR)
