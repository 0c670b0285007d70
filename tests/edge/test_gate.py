"""The gate: places, seats and the right to answer, without a server."""

import io
import threading

import pytest

from service.edge.gate import Seats, Watch
from service.errors import RateLimitedError, UnavailableError


def test_a_tenant_has_half_of_the_seats_and_gets_them_back():
    seats = Seats(most=4, most_tenant=2)
    with seats.taken("acme"), seats.taken("acme"):
        with pytest.raises(RateLimitedError) as refused, seats.taken("acme"):
            pytest.fail("a third seat")
        assert refused.value.detail.retry_after_s == 1
        with seats.taken("rival"):
            pass
    with seats.taken("acme"), seats.taken("acme"):
        pass


def test_all_tenants_together_have_all_of_them():
    seats = Seats(most=3, most_tenant=2)
    with seats.taken("a"), seats.taken("a"), seats.taken("b"):
        with pytest.raises(UnavailableError) as refused, seats.taken("c"):
            pytest.fail("a fourth seat")
        assert refused.value.detail.retry_after_s == 1


def test_a_seat_is_free_again_whatever_happened():
    seats = Seats(most=2, most_tenant=1)
    with pytest.raises(OSError, match="gone"), seats.taken("a"):
        raise OSError("gone")
    with seats.taken("a"):
        pass


def test_whoever_reads_in_time_answers_itself():
    answered: list[object] = []
    watch = Watch(answered.append, within_s=60)
    with watch.over({}, io.BytesIO()) as reading:
        pass
    assert reading.take_right()
    assert answered == []


def test_whoever_reads_too_long_is_answered_for_once():
    answered, told = [], threading.Event()

    def answer(reading) -> None:
        answered.append(reading)
        told.set()

    watch = Watch(answer, within_s=0.01)
    with watch.over({}, io.BytesIO()) as reading:
        assert told.wait(30)
        assert not reading.take_right()
    assert answered == [reading]


def test_an_answer_that_fails_ends_no_watch():
    told: list[object] = []
    both = threading.Event()

    def fail(reading) -> None:
        told.append(reading)
        if len(told) == 2:
            both.set()
        raise OSError("gone")

    watch = Watch(fail, within_s=0.01)
    with watch.over({}, io.BytesIO()), watch.over({}, io.BytesIO()):
        assert both.wait(30)
