"""The nearest measured runs of a prediction, and what that says about its basis."""

import math
from functools import lru_cache

from service.sizing.calibration import Calibration, EvidencePoint
from service.sizing.interval import Basis

# A size more than this factor away from every measured one is not "measured".
_SAME_SIZE = 1.25
_NEAREST = 3
_DECIMALS = 6


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
) -> tuple[Basis, tuple[str, ...]]:
    """Basis and ids of the nearest runs of the same subject and GPU; `size` is the kind's own measure of a run.

    Measured: a run of the same subject, GPU, precision and GPU count, within 25 % of the size and the sequence length.
    Calibrated: the GPU has runs of this kind. Extrapolated: it has none.
    """
    places = calibration.evidence.by_place
    same = places.get((kind, subject, gpu), ())

    def distance(point: EvidencePoint) -> tuple[float, str]:
        steps = _octaves(point.gpus, gpus) + _octaves(point.size, size) + _octaves(point.length_tokens, length_tokens)
        # Rounded, so that equal distances are ties, which the id breaks, however the size was computed.
        return round((point.precision != precision) + steps, _DECIMALS), point.id

    ids = tuple(p.id for p in sorted(same, key=distance)[:_NEAREST])
    limit = math.log2(_SAME_SIZE)
    for point in same:
        alike = point.precision == precision and point.gpus == gpus
        if alike and max(_octaves(point.size, size), _octaves(point.length_tokens, length_tokens)) <= limit:
            return Basis.MEASURED, ids
    if (kind, "", gpu) in places:
        return Basis.CALIBRATED, ids
    return Basis.EXTRAPOLATED, ids


def _octaves(one: float, other: float) -> float:
    """How many doublings lie between two sizes; far where only one of them is known."""
    if one <= 0.0 or other <= 0.0:
        return 0.0 if one == other else 8.0
    return abs(math.log2(one / other))
