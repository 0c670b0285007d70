"""However often somebody asks whether the service is ready, the parts are looked at once a second."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.edge.recent_readiness import RecentReadiness
from service.planning.health import Check, Readiness


class Parts:
    """Parts that count how often somebody looks; each look finds something else, and takes `look_s`."""

    def __init__(self):
        self.now_s = 100.0
        self.looks = 0
        self.look_s = 0.0
        self.broken = False

    def clock(self) -> float:
        return self.now_s

    def look(self) -> Readiness:
        self.looks += 1
        self.now_s += self.look_s
        if self.broken:
            raise RuntimeError("the look broke")
        return Readiness(checks=(Check(name="database", ok=True, reason=str(self.looks)),))


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
def recent(parts) -> RecentReadiness:
    return RecentReadiness(parts.look, monotonic=parts.clock)


def test_it_is_kept_for_a_second_after_the_look(parts, recent):
    parts.look_s = 3.0
    first = recent()
    parts.now_s += 0.999
    assert recent() is first
    parts.now_s += 0.001
    assert recent() != first
    assert parts.looks == 2


def test_many_at_once_look_once(parts, recent):
    barrier = threading.Barrier(8)

    def ask(_):
        barrier.wait(10)
        return recent()

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert parts.looks == 1
    assert all(each is found[0] for each in found)


def test_a_look_that_breaks_is_not_kept(parts, recent):
    parts.broken = True
    with pytest.raises(RuntimeError):
        recent()
    parts.broken = False
    assert recent().ready
