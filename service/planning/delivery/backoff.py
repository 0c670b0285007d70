"""When a delivery that failed is tried again: later each time, never all at the same moment, and not for ever."""

import random
from collections.abc import Callable
from datetime import datetime, timedelta

from service.settings import Settings

LONGEST_S = 6 * 3600.0
# A webhook that fails is left alone for a while, however many deliveries wait for it; then one of them tries.
_LONGEST_PAUSE_S = 300.0
_SPREAD = 0.25


def next_due(
    settings: Settings,
    *,
    attempts: int,
    created_at: datetime,
    now: datetime,
    spread: Callable[[float, float], float] = random.uniform,
) -> datetime | None:
    """When to try again after so many attempts; the last time as the window ends, and None after it.

    The first pause doubles up to LONGEST_S, each of them a quarter shorter or longer by chance.
    """
    end = created_at + timedelta(seconds=settings.webhook_retry_window_s)
    if now >= end:
        return None
    pause_s = _doubled(settings, attempts, longest_s=LONGEST_S) * spread(1 - _SPREAD, 1 + _SPREAD)
    return min(now + timedelta(seconds=pause_s), end)


def resume_at(settings: Settings, *, failures: int, now: datetime) -> datetime:
    """When a webhook is tried again after so many failures in a row."""
    return now + timedelta(seconds=_doubled(settings, failures, longest_s=_LONGEST_PAUSE_S))


def _doubled(settings: Settings, times: int, *, longest_s: float) -> float:
    # Beyond this a power of two is above any limit, and soon above what a float holds.
    return min(settings.webhook_retry_first_s * 2.0 ** min(times - 1, 30), longest_s)
