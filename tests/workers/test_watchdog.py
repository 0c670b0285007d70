"""A worker that takes no message ends itself; one that is busy, idle or cut off does not."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.planning.health import readiness
from service.planning.submit import submit
from service.queue import SIZING_QUEUES, QueueName
from tests.planning.conftest import caller_of, chat
from tests.workers.conftest import eventually, hasty_limits
from workers.watchdog import Watchdog, waiting


def watched(depth: int | None, *, deaf_after_s: float = 10.0, end: Callable[[], None] = lambda: None) -> Watchdog:
    return Watchdog(waiting=lambda: depth, deaf_after_s=deaf_after_s, end=end)


def looks(dog: Watchdog, times: int) -> list[bool]:
    return [dog.look() for _ in range(times)]


def test_messages_that_wait_for_too_long_are_noticed():
    """There are ten looks in the time that it may be deaf."""
    assert looks(watched(3), 11) == [False] * 10 + [True]


def test_a_message_that_came_in_starts_the_time_anew():
    dog = watched(3)
    looks(dog, 9)
    dog.heard()
    assert not any(looks(dog, 10))
    assert dog.look()


@pytest.mark.parametrize("depth", [0, None])
def test_an_empty_queue_and_a_broker_that_is_away_are_no_reason(depth):
    dog = watched(depth)
    assert not any(looks(dog, 100))
    dog.waiting = lambda: 1
    assert not any(looks(dog, 10))


def test_time_that_passes_while_the_whole_worker_is_frozen_does_not_count():
    dog = watched(3, deaf_after_s=0.1)
    time.sleep(0.3)
    assert not dog.look()


def test_it_ends_the_worker_after_the_time_that_it_may_be_deaf():
    ended, began_s = [], time.monotonic()
    watched(3, deaf_after_s=0.5, end=lambda: ended.append(time.monotonic() - began_s)).run()
    assert ended[0] >= 0.5


def test_what_waits_is_counted_over_the_queues_that_are_listened_to(web):
    assert waiting(web.queue, QueueName) == 0
    submit(web, caller_of(web, "acme"), chat(), request_id="req_1")
    assert waiting(web.queue, SIZING_QUEUES) == 1
    assert waiting(web.queue, [QueueName.WEBHOOKS]) == 0


@pytest.mark.slow
@hasty_limits
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_deaf_worker_ends_and_takes_its_processes_along(web, processes):
    processes.environment["HEADROOM_WORKER_DEAF_AFTER_S"] = "4"
    worker = processes.worker("tests.workers.deaf_app")
    eventually(
        lambda: all(check.ok for check in readiness(web).checks if check.name == "worker"),
        say=lambda: processes.log("worker"),
    )
    submit(web, caller_of(web, "acme"), chat(), request_id="req_1")
    assert worker.wait(15) == os.EX_SOFTWARE, processes.log("worker")[-3000:]
    assert '"worker_deaf"' in processes.log("worker")
    eventually(lambda: not group_members(worker.pid), within_s=5)


def group_members(group: int) -> set[int]:
    """Living processes of the group; a zombie does not live."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, pgrp = stat.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(pgrp) == group and state not in {"Z", "X"}:
            found.add(int(stat.parent.name))
    return found
