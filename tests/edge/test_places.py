"""Places and turns, without a server: who is worked on next."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from service.edge.gate import MOST_WAITING
from service.edge.places import Place, Places, has_place, most_each, stepped_aside


class Clock:
    """Seconds that pass when a test says so."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def lined_up(places: Places, *lines: str) -> list[str]:
    """Who has begun, in the order in which they did; told anew whenever somebody does."""
    begun: list[str] = []
    for line in lines:
        places.line_up(line, lambda line=line: begun.append(line))
    return begun


def test_there_are_as_many_places_as_were_asked_for():
    places = Places(2)
    assert [places.take_at_once(line) for line in ("a", "b", "c")] == [True, True, False]
    places.give("a")
    assert places.take_at_once("c")
    assert not places.take_at_once("a")


def test_one_place_is_for_everybody():
    places = Places(1)
    assert [places.take_at_once(line) for line in ("a", "b")] == [True, False]
    places.give("a")
    assert places.take_at_once("b")


def test_whoever_is_alone_has_more_of_them_though_not_all():
    clock = Clock()
    places = Places(8, monotonic=clock)
    assert lined_up(places, *"a" * 10) == ["a"] * 6
    # Others find room at once, and from then on everybody has a quarter.
    assert lined_up(places, *"bbb") == ["b"] * 2
    for _ in range(5):
        places.give("a")
    assert (places.waiting("a"), places.waiting("b")) == (3, 1)
    # Who asks every second is still about.
    clock.now_s += 1.5
    places.give("b")
    assert (places.waiting("a"), places.waiting("b")) == (3, 0)
    clock.now_s += 1.5
    places.give("b")
    assert (places.waiting("a"), places.waiting("b")) == (0, 0)


def test_a_line_rests_between_its_calls_while_others_ask():
    clock = Clock()
    places = Places(8, monotonic=clock)
    lined_up(places, *"aa")
    place = Place(places, "a")
    assert place.rest_s(0.01) == 0.0
    lined_up(places, "b")
    assert place.rest_s(0.01) == pytest.approx(0.24)
    # Whoever computes for long is not made to wait for ever.
    assert place.rest_s(30.0) == 0.5
    # That others asked a while ago, or that it asks itself, is no reason.
    clock.now_s += 0.1
    assert place.rest_s(0.01) == 0.0
    lined_up(places, "a")
    assert place.rest_s(0.01) == 0.0


def test_nobody_in_a_long_line_waits_for_rests_until_its_client_has_gone():
    places = Places(8)
    lined_up(places, *"aa", "b")
    place = Place(places, "a")
    lined_up(places, *"a" * MOST_WAITING)
    lined_up(places, "b")
    waiting, each = places.waiting("a"), most_each(8)
    assert waiting > MOST_WAITING - each
    assert place.rest_s(30.0) * waiting / each == pytest.approx(25.0)


def test_a_place_is_given_and_taken_again_once():
    """Who watches a body gives it away, and so does who waits for its run."""
    for again, free in ((False, 6), (True, 5)):
        places = Places(8)
        assert places.take_at_once("a")
        place = Place(places, "a")
        place.give()
        place.give()
        if again:
            place.take_again()
            place.take_again()
        assert len(lined_up(places, *"a" * 7)) == free


def test_none_of_a_line_overtakes_another():
    clock = Clock()
    places = Places(8, monotonic=clock)
    lined_up(places, "b")
    assert lined_up(places, *"aaa") == ["a"] * 2
    clock.now_s += 2
    assert not places.take_at_once("a")


def test_a_place_is_for_whoever_has_fewest_however_many_wait():
    places = Places(2)
    places.take("x")
    begun = lined_up(places, *"aaa", "b", "c")
    assert begun == ["a"]
    for line in ("x", "a", "b"):
        places.give(line)
    assert begun == ["a", "b", "a", "c"]


def test_of_equals_it_is_whoever_was_served_longest_ago():
    places = Places(1)
    begun = lined_up(places, "x", "a", "a", "b", "b")
    for _ in range(4):
        places.give(begun[-1])
    assert begun == ["x", "a", "b", "a", "b"]


def test_what_has_begun_goes_on_before_what_has_not():
    places = Places(1)
    environ: dict[str, object] = {}
    assert places.take_at_once("a")
    has_place(environ, Place(places, "a"))
    aside, back = threading.Event(), threading.Event()

    def waits() -> None:
        with stepped_aside(environ):
            aside.set()
            assert back.wait(20)

    with ThreadPoolExecutor(1) as threads:
        gone = threads.submit(waits)
        assert aside.wait(20)
        begun = lined_up(places, "a", "a")
        assert begun == ["a"]
        back.set()
        while places.waiting("a") < 2:
            assert not gone.done()
        places.give("a")
        gone.result(20)
        assert begun == ["a"]
    places.give("a")
    assert begun == ["a", "a"]


def test_who_has_no_place_has_none_to_give():
    with stepped_aside({}):
        pass


def test_many_threads_lose_no_place_and_make_none():
    places = Places(3)
    inside, most = [0], [0]
    lock = threading.Lock()

    def work(number: int) -> None:
        line = "ab"[number % 2]
        places.take(line)
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        with lock:
            inside[0] -= 1
        places.give(line)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(2000)))
    assert 1 <= most[0] <= 3
    assert [places.take_at_once(line) for line in "abcd"] == [True, True, True, False]


@pytest.mark.parametrize("line", ["a", "b"])
def test_a_line_that_is_over_is_forgotten(line):
    places = Places(1)
    places.take("x")
    lined_up(places, line)
    places.give("x")
    places.give(line)
    assert (places._waiting, dict(places._held)) == ({}, {})
