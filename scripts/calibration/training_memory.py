"""Measured peaks of memory -> how far the engine's formula, which has nothing fitted on steps, lies from them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import orjson

from scripts.calibration.training_runs import TrainingPlace, place_of
from service.catalog.catalog import Catalog
from service.errors import PlannerError
from service.planning.accuracy import widening_of
from service.planning.rerun.training import evaluate_training
from service.schemas.coordinates import coordinates
from service.schemas.evidence import read_measured
from service.schemas.measured import MeasuredTraining

_PEAK = "peak_memory_gb"
# Parts that the formulas of what is allocated do not hold.
_OUTSIDE = frozenset({"fragmentation", "reserve", "measured_correction"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryRun:
    """One measured peak: ln(predicted / measured), and by what its interval is stretched for what it leaves unsaid."""

    place: TrainingPlace
    log_error: float
    widening: float


def memory_runs(catalog: Catalog, path: Path, say: Callable[[str], None]) -> list[MemoryRun]:
    """The runs of a file whose split is calibration and whose peak was measured."""
    found = []
    for line in path.read_bytes().splitlines():
        raw = orjson.loads(line)
        run = read_measured(raw)
        if raw.get("split") != "calibration" or not isinstance(run, MeasuredTraining):
            continue
        measured = run.measured.get(_PEAK)
        if not isinstance(measured, int | float):
            continue
        try:
            evaluated = evaluate_training(catalog, run)
        except PlannerError:
            continue
        point = sum(part.gb for part in evaluated.estimate.memory_gb_gpu if part.part not in _OUTSIDE)
        if run.memory_statistic == "reserved":
            point *= 1.0 + catalog.calibration.assumption("training.fragmentation_fraction")
        widening = widening_of(catalog.calibration, evaluated.rerun, _PEAK)
        place = place_of(evaluated, catalog, run.id, coordinates(raw).group)
        found.append(MemoryRun(place=place, log_error=float(np.log(point / measured)), widening=widening))
    say(f"compared {len(found)} peaks of memory")
    return found
