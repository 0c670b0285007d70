"""Chance: nobody gets what somebody else got, in any thread or process."""

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

from service.chance import chance

_FETCH_BYTES = 4096


def test_gives_as_many_bytes_as_asked_for() -> None:
    """More than is fetched at once too."""
    assert [len(chance(count)) for count in (0, 1, 16, _FETCH_BYTES, 3 * _FETCH_BYTES, 5)] == [
        0,
        1,
        16,
        _FETCH_BYTES,
        3 * _FETCH_BYTES,
        5,
    ]


def test_nothing_is_given_twice_to_threads() -> None:
    """Whoever fetches and whoever takes come at once."""
    with ThreadPoolExecutor(8) as threads:
        given = list(chain.from_iterable(threads.map(lambda _: [chance(16) for _ in range(500)], range(16))))
    assert len(set(given)) == len(given) == 8000


def test_a_forked_process_gives_others() -> None:
    """What was fetched before belongs to the parent alone."""
    chance(1)
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writable, chance(16))
        os._exit(0)
    os.waitpid(child, 0)
    with os.fdopen(readable, "rb") as pipe:
        os.close(writable)
        assert pipe.read() != chance(16)
