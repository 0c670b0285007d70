"""What each process of the installation holds, before anything was asked of it and after the load."""

from dataclasses import dataclass

import httpx

from scripts.benchmark import procfs
from scripts.benchmark.installation import Installation, pids
from scripts.benchmark.procfs import Memory
from scripts.benchmark.questions import SIZED, estimate_body

_OWN_LOAD_ROUNDS = 20
_JSON = {"Content-Type": "application/json", "Prefer": "wait=30"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One process: its name, numbered where a parent has several children, and its memory."""

    name: str
    memory: Memory


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryFigures:
    """Every process at both moments, and what lay between them."""

    idle: list[Held]
    after: list[Held]
    load: str


def look(installation: Installation) -> list[Held]:
    """The product's processes now; parents before their children."""
    held = []
    for child in installation.product:
        for place, pid in enumerate(pids(child)):
            memory = procfs.memory(pid)
            if memory is not None:
                held.append(Held(name=child.name if not place else f"{child.name}, child {place}", memory=memory))
    return held


def own_load(installation: Installation) -> str:
    """A small load for a run that measures no other: every kind sized, read and estimated a few times."""
    with installation.client() as client:
        for number in range(_OWN_LOAD_ROUNDS):
            for example in SIZED:
                _checked(client.post("/v1/workloads", content=example.body(), headers=_JSON))
            _checked(client.post("/v1/estimates", content=estimate_body(), headers=_JSON))
            _checked(client.get("/v1/runs", params={"limit": 1 + number}))
    return f"{_OWN_LOAD_ROUNDS * (len(SIZED) + 2)} requests"


def _checked(answer: httpx.Response) -> None:
    answer.raise_for_status()
