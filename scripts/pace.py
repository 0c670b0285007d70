"""How slow this machine is now beside an idle core: a limit of CPU time grows with it."""

import time

_ROUNDS, _ROUND_S = 2_000_000, 0.075
"""Additions, and what so many took on an idle core (0.071 to 0.074 s on 2026-11-30, AMD EPYC, Python 3.11)."""


def slowness() -> float:
    """CPU time of the same work over what it took there, one at least: shared and throttled cores take longer."""
    began_s, total = time.thread_time(), 0
    for number in range(_ROUNDS):
        total += number
    return max(1.0, (time.thread_time() - began_s) / _ROUND_S)
