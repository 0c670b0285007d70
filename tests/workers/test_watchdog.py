"""A worker that takes no message ends itself; one that is busy, idle or cut off does not."""

import os
from pathlib import Path

import pytest

from service.planning.health import readiness
from service.planning.submit import submit
from service.queue import SIZING_QUEUES, QueueName
from tests.planning.conftest import caller_of, chat
from tests.workers.conftest import eventually, hasty_limits
from workers.watchdog import Watchdog, waiting


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watched(clock: Clock, depth: int | None) -> Watchdog:
    return Watchdog(waiting=lambda: depth, deaf_after_s=10.0, end=lambda: None, clock=clock)


def test_messages_that_wait_for_too_long_are_noticed(clock):
    dog = watched(clock, 3)
    clock.now_s += 10.0
    assert not dog.look()
    clock.now_s += 0.1
    assert dog.look()


def test_a_message_that_came_in_starts_the_time_anew(clock):
    dog = watched(clock, 3)
    clock.now_s += 9.0
    dog.heard()
    clock.now_s += 9.0
    assert not dog.look()


@pytest.mark.parametrize("depth", [0, None])
def test_an_empty_queue_and_a_broker_that_is_away_are_no_reason(clock, depth):
    dog = watched(clock, depth)
    clock.now_s += 1000.0
    assert not dog.look()
    dog.waiting = lambda: 1
    clock.now_s += 9.0
    assert not dog.look()


def test_what_waits_is_counted_over_the_queues_that_are_listened_to(web):
    assert waiting(web.queue, QueueName) == 0
    submit(web, caller_of(web, "acme"), chat(), request_id="req_1")
    assert waiting(web.queue, SIZING_QUEUES) == 1
    assert waiting(web.queue, [QueueName.WEBHOOKS]) == 0


@pytest.mark.slow
@hasty_limits
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_deaf_worker_ends_and_takes_its_processes_along(web, processes):
    processes.environment["HEADROOM_WORKER_DEAF_AFTER_S"] = "2.5"
    worker = processes.worker("tests.workers.deaf_app")
    eventually(lambda: all(check.ok for check in readiness(web).checks if check.name == "worker"))
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
