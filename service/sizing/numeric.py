"""Numeric: what a formula takes, an array or one number."""

import numpy as np

from service.sizing.table import FloatArray, IntArray

Numeric = FloatArray | IntArray | np.float64 | float
