"""The nearest measured runs of a prediction, and what that says about its basis."""

import math

from service.sizing.calibration import Calibration, EvidencePoint
from service.sizing.interval import Basis

# A size more than this factor away from every measured one is not "measured".
_SAME_SIZE = 1.25
_NEAREST = 3


def has_evidence(calibration: Calibration, *, kind: str, gpu: str) -> bool:
    """Whether any measured run of this kind was made on the GPU."""
    return (kind, "", gpu) in calibration.evidence.by_place


def nearest_evidence(
    calibration: Calibration, *, kind: str, subject: str, gpu: str, precision: str, gpus: int, size: float
) -> tuple[Basis, tuple[str, ...]]:
    """Basis and ids of the nearest runs of the same subject and GPU; `size` is the kind's own measure of a run.

    Measured: a run of the same subject, GPU, precision and GPU count within 25 % of the size. Calibrated: the GPU has
    runs of this kind. Extrapolated: it has none.
    """
    places = calibration.evidence.by_place
    same = places.get((kind, subject, gpu), ())

    def distance(point: EvidencePoint) -> tuple[float, str]:
        steps = abs(math.log2(max(point.gpus, 1) / max(gpus, 1)))
        sizes = abs(math.log2(max(point.size, 1e-9) / max(size, 1e-9)))
        return (point.precision != precision) + steps + sizes, point.id

    ids = tuple(p.id for p in sorted(same, key=distance)[:_NEAREST])
    for point in same:
        ratio = max(point.size, 1e-9) / max(size, 1e-9)
        if point.precision == precision and point.gpus == gpus and 1 / _SAME_SIZE <= ratio <= _SAME_SIZE:
            return Basis.MEASURED, ids
    if (kind, "", gpu) in places:
        return Basis.CALIBRATED, ids
    return Basis.EXTRAPOLATED, ids
