"""Web processes that keep to a core of their own, as real processes of this host do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from service.cores import keep_to
from service.settings import Cores

# Says where it may run, and where threads of its do, and stays until it is told to go.
_PROCESS = """
import os, sys, threading
from pathlib import Path
from service.cores import keep_to
from service.settings import Cores
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:3])
keep_to(Cores(sys.argv[1]), folder=Path(sys.argv[2]))
seen = []
thread = threading.Thread(target=lambda: seen.extend(os.sched_getaffinity(0)))
thread.start(); thread.join()
print(*sorted(os.sched_getaffinity(0)), "|", *sorted(seen), flush=True)
sys.stdin.read()
"""


def _started(cores: Cores, folder: Path) -> tuple[subprocess.Popen[str], str]:
    command = (sys.executable, "-c", _PROCESS, cores, str(folder))
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _allowed() -> list[int]:
    return sorted(os.sched_getaffinity(0))[:3]


def _cores_of(count: int, cores: Cores, folder: Path) -> list[str]:
    started = [_started(cores, folder) for _ in range(count)]
    for process, _ in started:
        process.communicate("")
    return [said for _, said in started]


def test_processes_share_the_cores_out(tmp_path):
    allowed = _allowed()
    *said, again = _cores_of(len(allowed) + 1, Cores.OWN, tmp_path)
    assert sorted(said) == sorted(f"{core} | {core}" for core in allowed)
    assert again == said[0]


def test_the_core_of_a_process_that_ended_is_free_again(tmp_path):
    assert _cores_of(1, Cores.OWN, tmp_path) == _cores_of(1, Cores.OWN, tmp_path)


def test_any_core_is_the_default(tmp_path):
    allowed = " ".join(map(str, _allowed()))
    assert _cores_of(1, Cores.ANY, tmp_path) == [f"{allowed} | {allowed}"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["link", "file"])
def test_a_folder_that_is_not_ones_own_changes_nothing(tmp_path, kind):
    folder = tmp_path / "cores"
    if kind == "link":
        folder.symlink_to(tmp_path)
    else:
        folder.write_text("")
    before = os.sched_getaffinity(0)
    keep_to(Cores.OWN, folder=folder)
    assert os.sched_getaffinity(0) == before
    assert [path.name for path in tmp_path.iterdir()] == ["cores"]
