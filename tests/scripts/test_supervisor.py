"""The supervisor starts again what crashed, says so, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from config.environment import ROOT
from scripts import supervisor as supervising
from scripts.children import free_port, port_is_free, start, stop
from scripts.supervisor import Child, Supervisor
from tests.e2e.conftest import alive

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)

NOTING = """
import signal, sys, time
def note(*_):
    open("ended", "a").write(sys.argv[1])
    sys.exit(0)
signal.signal(signal.SIGTERM, note)
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def said():
    return []


@pytest.fixture
def supervisor(said):
    supervisor = Supervisor(say=said.append)
    yield supervisor
    supervisor.stop()


def child(tmp_path: Path, code: str, name: str = "web") -> Child:
    return Child(name=name, command=(sys.executable, "-c", code), cwd=tmp_path, log=tmp_path / "logs" / f"{name}.log")


def wait_for(happened, within_s=10.0):
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_crashed_child_is_started_again_and_it_is_said(supervisor, said, tmp_path):
    crashing = child(tmp_path, "import sys; print('going down'); sys.exit(3)")
    supervisor.add(crashing)
    first = crashing.process.pid
    wait_for(lambda: supervisor.tick() or crashing.crashes == 1)
    assert said == [f"web ended with exit code 3; starting it again in 0.5 s (see {crashing.log})."]
    wait_for(lambda: supervisor.tick() or crashing.crashes == 2)
    assert crashing.process.pid != first
    assert "in 1 s" in said[1]
    assert crashing.log.read_text().count("going down") == 2


def test_pauses_double_and_end(tmp_path):
    crashing = child(tmp_path, "")
    pauses = []
    for crashing.crashes in range(1, 12):
        pauses.append(crashing.pause_s())
    assert pauses[:4] == [0.5, 1, 2, 4]
    assert pauses[-1] == supervising.LONGEST_PAUSE_S


def test_what_a_crashed_child_left_behind_is_ended(supervisor, said, tmp_path):
    parent = child(tmp_path, FAMILY)
    supervisor.add(parent)
    wait_for(lambda: parent.log.read_text().strip())
    grandchild = int(parent.log.read_text())
    os.kill(parent.process.pid, signal.SIGKILL)
    wait_for(lambda: supervisor.tick() or said)
    assert "was ended by SIGKILL" in said[0]
    wait_for(lambda: not alive({grandchild}))


def test_stop_ends_whole_families(tmp_path, said):
    supervisor = Supervisor(say=said.append)
    parent = child(tmp_path, FAMILY)
    supervisor.add(parent)
    wait_for(lambda: parent.log.read_text().strip())
    grandchild = int(parent.log.read_text())
    supervisor.stop()
    wait_for(lambda: not alive({grandchild, parent.process.pid}))
    assert not said


def test_servers_outlive_those_that_use_them(tmp_path, said):
    supervisor = Supervisor(say=said.append)
    for name in ("broker", "web"):
        running = child(tmp_path, NOTING, name)
        running.command = (*running.command, f"{name} ")
        supervisor.add(running)
        wait_for(lambda running=running: "up" in running.log.read_text())
    supervisor.stop()
    assert (tmp_path / "ended").read_text() == "web broker "


def test_one_that_will_not_end_is_killed(tmp_path):
    log = tmp_path / "log"
    with log.open("ab") as output:
        process = start([sys.executable, "-c", STUBBORN], cwd=tmp_path, output=output)
    wait_for(lambda: "up" in log.read_text())
    stop(process, within_s=0.3)
    assert process.returncode == -signal.SIGKILL


def test_children_end_with_a_parent_that_is_killed(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from scripts.children import start\n"
        "p = start([sys.executable, '-c', 'import time; time.sleep(600)'], cwd=Path('.'), output=-3)\n"
        "print(p.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    orphan = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_for(lambda: not alive({orphan}))


def test_a_large_log_is_set_aside(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr(supervising, "LOG_LIMIT_BYTES", 10)
    talking = child(tmp_path, "print('fresh')")
    talking.log.parent.mkdir()
    talking.log.write_text("x" * 11)
    supervisor.add(talking)
    wait_for(lambda: "fresh" in talking.log.read_text())
    assert talking.log.with_suffix(".log.1").read_text() == "x" * 11


def test_ports_are_told_apart():
    port = free_port()
    assert port_is_free("127.0.0.1", port)
