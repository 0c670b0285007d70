"""Ids: a prefix that says what it is, the time, then chance; so they sort as they were made and cannot be guessed."""

import secrets
from datetime import datetime

_RANDOM_BYTES = 10


def new_id(prefix: str, now: datetime) -> str:
    """`run_019a0c3e5b7f4c1d...`: twelve hexadecimal digits of milliseconds, twenty of chance."""
    return f"{prefix}_{int(now.timestamp() * 1000):012x}{secrets.token_hex(_RANDOM_BYTES)}"
