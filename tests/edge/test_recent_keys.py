import pytest

from service.access import Caller, Role
from service.edge import recent_keys
from service.edge.recent_keys import RecentKeys
from service.errors import UnauthenticatedError

ANN = Caller(tenant_id="ten_a", principal="ann", role=Role.REQUESTER, key_id="key_a")
BOB = Caller(tenant_id="ten_b", principal="bob", role=Role.REQUESTER, key_id="key_b")


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_key_is_looked_up_once_in_a_moment_and_again_after_it():
    clock, asked = Clock(), []
    recent = RecentKeys(0.25, monotonic=clock)

    def look_up() -> Caller:
        asked.append(clock.now)
        return ANN

    assert [recent.caller("hr_a", look_up) for _ in range(3)] == [ANN] * 3
    clock.now += 0.2
    recent.caller("hr_a", look_up)
    clock.now += 0.06
    recent.caller("hr_a", look_up)
    assert asked == [100.0, pytest.approx(100.26)]


def test_another_key_is_another_caller():
    recent = RecentKeys(60)
    assert recent.caller("hr_a", lambda: ANN) == ANN
    assert recent.caller("hr_b", lambda: BOB) == BOB


def test_who_held_a_key_last_is_known_for_longer_than_it_is_trusted_but_not_after_a_refusal():
    clock = Clock()
    recent = RecentKeys(0.25, monotonic=clock)
    assert recent.last_holder("hr_a") is None
    recent.caller("hr_a", lambda: ANN)
    clock.now += 10

    def refuse() -> Caller:
        raise UnauthenticatedError("no")

    assert recent.last_holder("hr_a") == ANN
    with pytest.raises(UnauthenticatedError):
        recent.caller("hr_a", refuse)
    assert recent.last_holder("hr_a") is None


def test_a_refusal_is_not_remembered():
    recent = RecentKeys(60)

    def refuse() -> Caller:
        raise UnauthenticatedError("no")

    with pytest.raises(UnauthenticatedError):
        recent.caller("hr_a", refuse)
    assert recent.caller("hr_a", lambda: ANN) == ANN


def test_of_those_who_know_a_key_one_renews_it_in_time():
    clock, asked = Clock(), []
    recent = RecentKeys(0.25, monotonic=clock)

    def look_up() -> Caller:
        asked.append(clock.now)
        # Whoever comes meanwhile goes on with what is known.
        assert len(asked) == 1 or recent.known("hr_a", look_up) == ANN
        return ANN

    assert recent.known("hr_a", look_up) is None
    recent.caller("hr_a", look_up)
    for _ in range(20):
        clock.now += 0.05
        assert [recent.known("hr_a", look_up) for _ in range(3)] == [ANN] * 3
    assert 4 <= len(asked) <= 10
    clock.now += 0.26
    assert recent.known("hr_a", look_up) is None


def test_a_key_that_is_refused_when_it_is_renewed_is_forgotten():
    clock = Clock()
    recent = RecentKeys(0.25, monotonic=clock)

    def refuse() -> Caller:
        raise UnauthenticatedError("no")

    recent.caller("hr_a", lambda: ANN)
    clock.now += 0.2
    with pytest.raises(UnauthenticatedError):
        recent.known("hr_a", refuse)
    assert recent.known("hr_a", lambda: ANN) is None


def test_no_flood_of_keys_fills_the_memory(monkeypatch):
    monkeypatch.setattr(recent_keys, "_MOST_KEYS", 3)
    clock = Clock()
    recent = RecentKeys(0.25, monotonic=clock)
    for number in range(5):
        assert recent.caller(f"hr_{number}", lambda: ANN) == ANN
    assert [recent.known(f"hr_{number}", lambda: ANN) for number in range(5)] == [ANN] * 3 + [None] * 2
    clock.now += 0.3
    recent.caller("hr_new", lambda: BOB)
    assert [recent.known(f"hr_{number}", lambda: ANN) for number in range(5)] == [None] * 5
    assert recent.known("hr_new", lambda: BOB) == BOB
