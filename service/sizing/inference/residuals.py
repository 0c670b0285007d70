"""How measured served runs differ from predicted ones: the median, which corrects a point, and the scatter."""

import math
from dataclasses import dataclass
from functools import lru_cache

from service.sizing.calibration import Calibration, ResidualBand
from service.sizing.evidence import has_evidence
from service.sizing.interval import Spread, spread_of

_QUANTITIES = {"ttft": "ttft_ms", "tpot": "tpot_ms", "rate": "output_tokens_s"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Medians:
    """Median of measured over predicted: factors that every point carries, before anything is shown, solved or judged.

    That of the rate corrects requests/s, the others TTFT and TPOT, their tails included.
    """

    ttft_factor: float
    tpot_factor: float
    rate_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spreads:
    """How measured scatters around the corrected point, for the three quantities that everything else follows from."""

    ttft: Spread
    tpot: Spread
    rate: Spread


def medians_of(label: str, calibration: Calibration, *, disaggregated: bool) -> Medians:
    """The medians of a kind of model (`ModelLoad.label`) and mode."""
    bands = _bands(label, calibration, disaggregated=disaggregated)
    return Medians(**{f"{name}_factor": math.exp(band.q50) for name, band in bands.items()})


@lru_cache(maxsize=1000)
def spreads_of(label: str, calibration: Calibration, *, gpu: str, disaggregated: bool) -> Spreads:
    """Residual bands of a kind of model and mode about the medians.

    Wider where the GPU has no measured run.
    """
    known = has_evidence(calibration, kind="inference", gpu=gpu)
    widen = 1.0 if known else calibration.assumption("interval.extrapolation_factor")
    floor = calibration.assumption("interval.floor_fraction")
    bands = _bands(label, calibration, disaggregated=disaggregated)
    return Spreads(**{name: spread_of(band, widen=widen, floor=floor).centred() for name, band in bands.items()})


def _bands(label: str, calibration: Calibration, *, disaggregated: bool) -> dict[str, ResidualBand]:
    """The most specific band of each quantity: mode and kind of model, mode, kind of model, all."""
    mode = "disaggregated" if disaggregated else "aggregated"
    regimes = [f"{mode}/{label}", mode, label]
    return {name: calibration.residual(f"inference.{metric}", *regimes) for name, metric in _QUANTITIES.items()}
