"""Refused calls are told together, none is lost, and none is told twice."""

import pytest
from structlog.testing import capture_logs

from service.edge.refused_calls import Refused, RefusedCalls
from tests.plain_logs import log_plainly

ACME = Refused(tenant_id="ten_a", key_id="key_a", kind="reads")
BOLT = Refused(tenant_id="ten_b", key_id="key_b", kind="writes")


class Timers:
    def __init__(self):
        self.due = []

    def __call__(self, seconds, work):
        assert seconds == 1.0
        self.due.append(work)


@pytest.fixture
def timers() -> Timers:
    log_plainly()
    return Timers()


def test_each_key_is_told_once_with_its_number(timers):
    calls = RefusedCalls(timers)
    for n in range(3):
        calls.add(ACME, f"req-{n}")
    calls.add(BOLT, "req-b")
    assert len(timers.due) == 1
    with capture_logs() as lines:
        timers.due.pop()()
    assert [(line["event"], line["tenant_id"], line["count"], line["request_id"]) for line in lines] == [
        ("calls_refused", "ten_a", 3, "req-2"),
        ("calls_refused", "ten_b", 1, "req-b"),
    ]


def test_what_comes_later_is_told_later(timers):
    calls = RefusedCalls(timers)
    calls.add(ACME, "req-1")
    with capture_logs() as lines:
        timers.due.pop()()
        calls.add(ACME, "req-2")
        timers.due.pop()()
    assert [(line["count"], line["request_id"]) for line in lines] == [(1, "req-1"), (1, "req-2")]


def test_without_a_thread_nothing_is_lost(timers):
    no_thread = [True]

    def later(seconds, work):
        if no_thread:
            no_thread.pop()
            raise RuntimeError("can't start new thread")
        timers(seconds, work)

    calls = RefusedCalls(later)
    calls.add(ACME, "req-1")
    calls.add(ACME, "req-2")
    with capture_logs() as lines:
        timers.due.pop()()
    assert [line["count"] for line in lines] == [2]
