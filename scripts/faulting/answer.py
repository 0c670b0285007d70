"""What came back of a call, and what is found wrong of it or of anything else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Violation:
    """What does not hold: the invariant's name, and what shows it."""

    invariant: str
    words: str

    def __str__(self) -> str:
        """As the checker prints it."""
        return f"{self.invariant}: {self.words}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; without a status nothing complete did."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes
    took_s: float

    def json(self) -> Any:
        """The body's value; None where it is no JSON."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    @property
    def is_success(self) -> bool:
        """A complete 2xx."""
        return self.status is not None and 200 <= self.status < 300
