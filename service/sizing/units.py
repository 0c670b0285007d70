"""The only place a power of ten or two may appear: human units at rest, SI in flight."""

KILO = 1e3
MEGA = 1e6

MB = 1e6
GB = 1e9
"""Bytes in a decimal gigabyte."""
TB = 1e12
GIB = 2.0**30
"""Bytes in a binary gibibyte."""

GB_S = 1e9
"""Bytes per second in 1 GB/s."""
TB_S = 1e12
GBIT_S = 1e9 / 8.0
"""Bytes per second in 1 Gbit/s."""

TFLOP_S = 1e12
"""FLOP per second in 1 TFLOPS."""
BILLION = 1e9

NS = 1e-9
US = 1e-6
MS = 1e-3
MINUTE_S = 60.0
HOUR_S = 3600.0
DAY_S = 86_400.0

KW = 1e3
YEAR_H = 365.25 * 24.0
"""Hours in a mean year."""
