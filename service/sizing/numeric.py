"""Numeric: what a formula takes, an array or one number."""

import numpy as np

from service.sizing.table import FloatArray, IntArray

Numeric = FloatArray | IntArray | np.float64 | float

# What sums and products of short decimals are off by: 3.42 kW are within 3.42 kW.
NOISE = 1e-12
