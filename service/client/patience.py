"""How long a call is tried again before its failure is the caller's, and how long it pauses in between."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Self

# Nobody is asked again without a pause, whatever the server says.
LEAST_PAUSE_S = 0.1
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Seconds to keep trying: where nobody listens, and where the server says that it cannot just now."""

    unreachable_s: float = 2.0
    busy_s: float = 60.0

    def within(self, seconds: float) -> Self:
        """The same, and no longer than so many seconds."""
        return replace(self, unreachable_s=min(self.unreachable_s, seconds), busy_s=min(self.busy_s, seconds))


def pauses_s() -> Iterator[float]:
    """Pauses between tries, each twice the one before."""
    pause_s = _FIRST_PAUSE_S
    while True:
        yield pause_s
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def retry_after_s(header: str | None, *, now: datetime | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or as a date (RFC 9110); None without a readable one."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())
