"""Ids: a prefix that says what it is, the time, then chance; so they sort as they were made and cannot be guessed."""

from datetime import datetime

from service.chance import chance

_RANDOM_BYTES = 10


def new_id(prefix: str, now: datetime) -> str:
    """`run_019a0c3e5b7f4c1d...`: twelve hexadecimal digits of milliseconds, twenty of chance."""
    [made] = new_ids(now, prefix)
    return made


def new_ids(now: datetime, *prefixes: str) -> list[str]:
    """One id for each prefix; time and chance are asked once."""
    moment, drawn = f"{int(now.timestamp() * 1000):012x}", chance(_RANDOM_BYTES * len(prefixes)).hex()
    return [
        f"{prefix}_{moment}{drawn[start : start + 2 * _RANDOM_BYTES]}"
        for prefix, start in zip(prefixes, range(0, len(drawn), 2 * _RANDOM_BYTES), strict=True)
    ]


def first_id(prefix: str, moment: datetime) -> str:
    """No id that was made before this moment sorts behind it, none that was made later before it."""
    return f"{prefix}_{int(moment.timestamp() * 1000):012x}"
