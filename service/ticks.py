"""When a schedule is due: cron expressions in a named zone; pure.

Five fields as Debian's cron reads them, with L, LW, MON#1 and 5L beside. Local time that jumps is handled as there:
what names an hour runs at the end of a gap where the clock jumps over it, and once, the first time, where an hour
comes twice; what runs every hour or more often goes by the time that passes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_FIELDS = ("minute", "hour", "day of the month", "month", "day of the week")
# Ticks lie at least this far apart.
_SHORTEST = timedelta(minutes=1)


class NotCronError(ValueError):
    """An expression or a zone that means nothing, in words that name what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """An expression and the zone whose clock it goes by."""

    expression: str
    time_zone: str = "UTC"

    def following(self, after: datetime) -> datetime | None:
        """The first tick after a moment, in UTC; None when there is none within 50 years."""
        for tick in self._from(after):
            # Where an hour comes twice, the first one may lie before a moment in the second.
            if tick > after:
                return tick
        return None

    def ticks(self, after: datetime) -> Iterator[datetime]:
        """All ticks after a moment, in UTC."""
        tick = self.following(after)
        while tick is not None:
            yield tick
            tick = self.following(tick)

    def next(self, after: datetime, count: int) -> tuple[datetime, ...]:
        """So many ticks after a moment."""
        return tuple(islice(self.ticks(after), count))

    def latest(self, since: datetime, until: datetime) -> datetime | None:
        """The last tick after `since` that is not after `until`; None when there is none."""
        found = self.following(since)
        if found is None or found > until:
            return None
        # An outage may have missed a million of them, so what may hold later ones is halved again and again.
        high = until
        while high - found >= _SHORTEST:
            middle = found + (high - found) / 2
            tick = self.following(middle)
            if tick is None or tick > until:
                high = middle
            else:
                found = tick
        return found

    def in_words(self) -> str:
        """The expression as a sentence, with its zone."""
        try:
            words = CronSim(self.expression, datetime(2026, 1, 1, tzinfo=UTC)).explain()
        except (CronSimError, AssertionError, LookupError, TypeError, ValueError):
            words = self.expression
        return f"{words}, {self.time_zone}"

    def _from(self, moment: datetime) -> Iterator[datetime]:
        start = moment.astimezone(UTC if self.time_zone == "UTC" else ZoneInfo(self.time_zone))
        for tick in CronSim(self.expression, start):
            yield tick.astimezone(UTC)


def read_cron(expression: str, time_zone: str) -> Cron:
    """The ticks of an expression in a zone; NotCronError with the reason."""
    cron = Cron(expression=" ".join(expression.split()), time_zone=read_zone(time_zone))
    _check_count(cron.expression)
    try:
        first = cron.following(datetime.now(UTC))
    except (CronSimError, AssertionError, LookupError, TypeError, ValueError) as error:
        reason = str(error) if isinstance(error, CronSimError) else "Not understood"
        raise NotCronError(f"{reason}; such as 0 2 * * MON-FRI: 02:00 from Monday to Friday.") from error
    if first is None:
        raise NotCronError("Such a day never comes.")
    return cron


def _check_count(expression: str) -> None:
    """Who writes too few has left out the last ones; who writes six comes from a cron that counts seconds or years."""
    given = expression.split()
    if len(given) == len(_FIELDS):
        return
    if len(given) < len(_FIELDS):
        told = f"{', '.join(_FIELDS[len(given) :])} {'is' if len(given) == len(_FIELDS) - 1 else 'are'} missing"
    else:
        told = f"{', '.join(given[len(_FIELDS) :])} {'is' if len(given) == len(_FIELDS) + 1 else 'are'} too much"
        told += "; seconds and years have no field"
    raise NotCronError(
        f"Must have five fields: {', '.join(_FIELDS)}; this has {len(given)}: as it is read, {told}. "
        "Such as 0 2 * * MON-FRI: 02:00 from Monday to Friday."
    )


def read_zone(name: str) -> str:
    """The name of a zone of the IANA database; NotCronError for any other."""
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise NotCronError("Must be UTC or a zone of the IANA database, such as Europe/Berlin.") from error
