"""What a case does not give back is found: memory, files, sessions, messages, processes."""

import dataclasses
import os
import subprocess
import sys
from itertools import pairwise

import pytest

from scripts.faulting.bounds import Held, _beyond_either, beyond, computing

HELD = Held(
    memory_mib={"web-1": 100.0},
    files={"web-1": 40},
    sessions=10,
    broker_bytes=1_000_000,
    cache_bytes=1_000_000,
    cache_limit_bytes=2_000_000,
    messages={"interactive": 0},
    orphans=(),
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"memory_mib": {"web-1": 130.0, "worker-1": 500.0}, "files": {"web-1": 50}, "sessions": 12}, []),
        ({"memory_mib": {"web-1": 300.0}}, ["memory of web-1 [MiB]: 100 before the case, 300 after it"]),
        # One that was started a while ago had opened next to none of its pools before.
        ({"files": {"web-1": 70}}, []),
        ({"files": {"web-1": 90}}, ["open files of web-1: 40 before the case, 90 after it"]),
        ({"sessions": 100}, ["database sessions: 10 before the case, 100 after it"]),
        ({"broker_bytes": 50_000_000}, ["bytes of the broker: 1000000 before the case, 50000000 after it"]),
        ({"cache_bytes": 3_000_000}, ["bytes of the cache: 2000000 before the case, 3000000 after it"]),
        ({"messages": {"interactive": 40}}, ["messages in interactive: 0 before the case, 40 after it"]),
        ({"orphans": ("celery",)}, ["a process is left over: celery"]),
    ],
)
def test_what_is_not_given_back_is_found(changes, words):
    assert list(beyond(HELD, dataclasses.replace(HELD, **changes))) == words


def test_what_piles_up_over_the_cases_is_found():
    grown = [dataclasses.replace(HELD, memory_mib={"web-1": 100.0 + 40 * cases}) for cases in range(4)]
    assert [list(beyond(before, after)) for before, after in pairwise(grown)] == [[], [], []]
    told = _beyond_either(grown[2], grown[3], HELD)
    assert told == ["memory of web-1 [MiB]: 100 before the first case, 220 after it"]
    opened = [dataclasses.replace(HELD, files={"web-1": 40 + 30 * cases}) for cases in range(3)]
    told = _beyond_either(opened[1], opened[2], HELD)
    assert told == ["open files of web-1: 40 before the first case, 100 after it"]


def test_who_goes_round_in_circles_is_found():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        try:
            while not (told := list(computing({"worker-1": [busy.pid], "worker-2": [os.getppid()]}))):
                assert busy.poll() is None
        finally:
            busy.kill()
    assert [words.split(" uses ")[0] for words in told] == ["worker-1"]
