"""Chance that comes again: a case draws the same under a seed, whatever was run before it, beside it, or how fast."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chance:
    """What a seed gives to one place: the case of that number, or what is made for all of them.

    Each purpose has a stream of its own, so how often one is asked, by which thread and when, moves no other.
    """

    seed: int
    place: int

    def stream(self, *purpose: object) -> random.Random:
        """The numbers of a purpose, from the first on."""
        return random.Random(":".join(map(str, (self.seed, self.place, *purpose))))  # noqa: S311 - to be replayed
