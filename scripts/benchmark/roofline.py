"""The engine's limit: a bare NumPy loop that takes as many candidates through a roofline of 60 operations."""

from dataclasses import dataclass

import numpy as np

from service.sizing.table import FloatArray

# Blocks whose temporaries stay in the cache of a core.
BLOCK = 16_384
_STAGES = 10
OPERATIONS = 6 * _STAGES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """Made-up inputs, one row per candidate."""

    flop: FloatArray
    traffic: FloatArray
    flop_s: FloatArray
    bytes_s: FloatArray
    limit: FloatArray


def candidates(count: int) -> Candidates:
    """The same inputs every time."""
    columns = np.random.default_rng(1).uniform(0.5, 2.0, size=(5, count))
    return Candidates(flop=columns[0], traffic=columns[1], flop_s=columns[2], bytes_s=columns[3], limit=columns[4])


def roofline(given: Candidates) -> FloatArray:
    """Float64 through multiply, divide, max and where: 60 array operations for each block of candidates."""
    total = np.empty_like(given.flop)
    for start in range(0, total.size, BLOCK):
        block = slice(start, start + BLOCK)
        flop_s, bytes_s, limit = given.flop_s[block], given.bytes_s[block], given.limit[block]
        load, moved = given.flop[block], given.traffic[block]
        for _ in range(_STAGES):
            step = np.maximum(load / flop_s, moved / bytes_s)
            load = np.where(step > limit, limit, step * flop_s)
        total[block] = load
    return total
