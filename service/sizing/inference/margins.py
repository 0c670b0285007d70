"""Margins of an inference: what a prediction is multiplied by so that a bound holds at the asked confidence."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.columns import Columns
from service.sizing.inference.residuals import spreads_of
from service.sizing.inference.serving import Bench
from service.sizing.table import FloatArray, HardwareTable, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Margins(Columns):
    """Per candidate, factors on predictions that make a bound hold at the asked confidence; `rate` lowers capacity."""

    ttft: FloatArray
    tpot: FloatArray
    rate: FloatArray


def margins_of(
    bench: Bench, server: IntArray, *, table: HardwareTable, calibration: Calibration, confidence: float
) -> Margins:
    """Quantile factors by the GPU of each candidate."""
    regime = bench.load.label, bench.disaggregated
    ttft, tpot, rate = _factors(table, calibration, confidence, regime=regime)[:, server]
    return Margins(ttft=ttft, tpot=tpot, rate=rate)


@lru_cache(maxsize=256)
def _factors(
    table: HardwareTable, calibration: Calibration, confidence: float, *, regime: tuple[str, bool]
) -> FloatArray:
    """Factors on TTFT, TPOT and rate of every server."""
    label, disaggregated = regime
    each = [spreads_of(label, calibration, gpu=gpu.id, disaggregated=disaggregated) for gpu in table.gpus]
    factors = [
        (
            spreads.ttft.quantile_factor(confidence),
            spreads.tpot.quantile_factor(confidence),
            # Capacity is only ever lowered: who is content with little confidence may not buy less than the median.
            min(1.0, spreads.rate.quantile_factor(1.0 - confidence)),
        )
        for spreads in each
    ]
    return np.array(factors, dtype=np.float64).T
