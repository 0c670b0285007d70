"""One item of an uploaded batch, before anybody reads it."""

from dataclasses import dataclass
from typing import NamedTuple


class Cut(NamedTuple):
    """An item as it stands in the upload; without its text where that is too long."""

    number: int
    text: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """One item: where it stood, and its JSON text; or what is wrong with it before anybody reads it as JSON.

    `line` counts from 1: the line on which an item of NDJSON or CSV begins, the place in a JSON list.
    """

    line: int
    asked: str = ""
    wrong: str | None = None


def too_long(most_bytes: int) -> str:
    """What is wrong with an item of more bytes."""
    return f"One item may have at most {most_bytes} bytes."
