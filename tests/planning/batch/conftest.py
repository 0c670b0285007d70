"""Batches of a few workloads, received and worked on in this process."""

import copy
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from service.access import Caller
from service.planning.batch.asking import Asked
from service.planning.batch.brief import sized
from service.planning.batch.calls import Solve
from service.planning.batch.cancel import cancel
from service.planning.batch.chunk import size_chunk
from service.planning.batch.reading import results
from service.planning.batch.receive import receive
from service.planning.batch.view import BatchView
from service.queue import TaskName
from service.runtime import Runtime
from service.schemas.uploaded import NDJSON, uploaded
from service.schemas.uploaded_item import Uploaded
from tests.fakes import ListQueue
from tests.planning.conftest import CHAT
from tests.schemas.requests import FOLDING

FOLD: dict[str, Any] = {"name": "fold", **FOLDING}


def asking(name: str, **workload: Any) -> dict[str, Any]:
    """The example under a name, with some fields of its workload changed."""
    body = copy.deepcopy(CHAT)
    body["name"] = name
    body["workload"] |= workload
    return body


def distinct(count: int, *, first: int = 300) -> list[dict[str, Any]]:
    """So many, each another question, named by their numbers."""
    return [asking(f"{n}", osl_tokens=first + n) for n in range(count)]


def lines(*items: Any) -> bytes:
    """NDJSON of values, or of bytes as they are."""
    return b"".join((item if isinstance(item, bytes) else json.dumps(item).encode()) + b"\n" for item in items)


def post(runtime: Runtime, caller: Caller, *items: Any, **more: Any) -> BatchView:
    """Receive a batch of these items."""

    def found() -> Iterator[Uploaded]:
        return uploaded(io.BytesIO(lines(*items)), NDJSON, most_bytes=1000_000)

    return receive(runtime, caller, found, **{"name": None, "request_id": "req_1", **more})


def states(runtime: Runtime, caller: Caller, batch_id: str) -> list[str]:
    """How each item of a batch ended, or stands."""
    return [item.state.value for item in results(runtime, caller, batch_id)]


def cancel_it(runtime: Runtime, caller: Caller, batch_id: str) -> BatchView:
    """Cancel a batch."""
    return cancel(runtime, caller, batch_id, request_id="req_3")


def rung(queue: ListQueue) -> tuple[str, int]:
    """The next chunk that is rung for."""
    _, (batch_id, number) = queue.sent.pop(0)
    return batch_id, int(number)


def counting(calls: list[int]) -> Solve:
    """Sizes, and notes of each call of the engine how many questions it has."""

    def solve(runtime: Runtime, asked: Sequence[Asked], *rest: Any) -> Any:
        calls.append(len(asked))
        return sized(runtime, asked, *rest)

    return solve


class DiedError(BaseException):
    """What a worker's death looks like from within."""


@pytest.fixture
def work(runtime: Runtime, queue: ListQueue) -> Callable[[], int]:
    """Does what workers would, until no bell is left."""

    def run() -> int:
        done = 0
        while queue.sent:
            task, (batch_id, number) = queue.sent.pop(0)
            assert task is TaskName.SIZE_CHUNK
            done += size_chunk(runtime, batch_id, int(number))
        return done

    return run


@pytest.fixture
def patient(runtime: Runtime) -> Runtime:
    """A slice that takes long ends early, and a machine may be slow."""
    return replace(runtime, settings=replace(runtime.settings, task_soft_limit_s=60, task_hard_limit_s=90))
