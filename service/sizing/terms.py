"""What all questions of one call are sized with, whatever their kind."""

import math
from dataclasses import dataclass

from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.table import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """The facts, and what options are ranked by.

    `weight` is aligned with `hardware.servers` (indicative USD per server, NaN without a price), `beside_weight` that
    of a server without GPUs. `best_only` asks for the first of the options alone, without working and sensitivity.
    """

    hardware: Hardware
    calibration: Calibration
    weight: FloatArray
    beside_weight: float = math.nan
    best_only: bool = False
