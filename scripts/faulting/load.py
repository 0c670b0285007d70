"""The load: jobs of several tenants in mixed sizes, some asked twice under their key, some with another's question."""

import itertools
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from scripts.faulting.chance import Chance
from scripts.faulting.driver import TENANTS, Driver, Person
from scripts.faulting.ledger import Job

_SAME_KEY_FRACTION = 0.2
_SAME_QUESTION_FRACTION = 0.2
_CLIENTS = 8


def inference(isl_tokens: int, model: str = "llama-3.1-8b", *, osl_tokens: int = 200) -> dict[str, Any]:
    """A small question of serving; another length is another question."""
    return {
        "kind": "inference",
        "model": model,
        "isl_tokens": isl_tokens,
        "osl_tokens": osl_tokens,
        "demand": {"concurrency": 16},
    }


def training(tokens: int) -> dict[str, Any]:
    """A question of training."""
    return {
        "kind": "training",
        "model": "llama-3.1-8b",
        "method": "sft",
        "tokens": tokens,
        "seq_len_tokens": 4096,
        "target": {"gpus": 8},
    }


def science(targets_day: int, tokens: int = 900) -> dict[str, Any]:
    """A question of science."""
    return {"kind": "science", "application": "boltz-2", "targets_day": targets_day, "tokens": tokens}


# So many questions of training one place may ask.
_OF_A_PLACE = 100_000


@dataclass(slots=True)
class Questions:
    """Questions that nobody has asked before, one after the other; thread-safe. No two places ask the same."""

    chance: Chance
    rng: random.Random = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _keys: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _made: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """What the load draws from."""
        self.rng = self.chance.stream("load")

    def fresh(self) -> dict[str, Any]:
        """A question of any kind: the same for its number, whoever draws it."""
        n, place = next(self._numbers), self.chance.place
        rng = self.chance.stream("question", n)
        kind = rng.choice((inference, inference, inference, training, science))
        if kind is training:
            return training(1_000_000 + place * _OF_A_PLACE + n)
        if kind is science:
            return science(1000 + n, 900 + place)
        model = rng.choice(("llama-3.1-8b", "llama-3.3-70b", "gpt-oss-120b"))
        return inference(500 + n, model, osl_tokens=201 + place)

    def key(self) -> str:
        """A key that nobody has used."""
        return f"key-{self.chance.place}-{next(self._keys)}"

    def mixed(self) -> dict[str, Any]:
        """A question that is fresh, or one that was asked before in its place."""
        if self._made and self.rng.random() < _SAME_QUESTION_FRACTION:
            return self.rng.choice(self._made)
        self._made.append(self.fresh())
        return self._made[-1]


def body_of(person: Person, key: str, question: dict[str, Any]) -> dict[str, Any]:
    """A workload whose name tells its key, with the tenant's canary wherever a caller may write."""
    return {"name": f"job {person.canary} {key}", "labels": {"canary": person.canary}, "workload": question}


@dataclass(slots=True)
class Load:
    """Jobs that are posted by several clients at once, while the case does its worst."""

    driver: Driver
    questions: Questions
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_CLIENTS, "load"))
    _posted: list[Any] = field(default_factory=list)

    def post(self, count: int, *, question: Callable[[], dict[str, Any]] | None = None) -> None:
        """Begin to post so many jobs of all tenants."""
        for _ in range(count):
            person = self.driver.person(self.questions.rng.choice(TENANTS))
            key = self.questions.key()
            body = body_of(person, key, (question or self.questions.mixed)())
            twice = self.questions.rng.random() < _SAME_KEY_FRACTION
            for _ in range(1 + twice):
                self._posted.append(self._pool.submit(self.driver.submit, person, key, body))

    def acknowledged(self) -> list[Job]:
        """Wait until every post has been answered or given up; the jobs that were acknowledged."""
        found = [posted.result() for posted in self._posted]
        self._posted.clear()
        return list({(job.tenant, job.key): job for job in found if job is not None}.values())

    def close(self) -> None:
        """No more posts."""
        self._pool.shutdown()
