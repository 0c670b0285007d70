"""A member of the rig under a supervisor: whatever ends is started again."""

import os
import subprocess
import time

import pytest

from config.environment import ROOT
from scripts.faulting.member import Member, supervised
from scripts.processes import Process


def test_a_process_that_ends_under_a_supervisor_is_started_again(tmp_path):
    asleep = Process(name="asleep", arguments=("-c", "import time; time.sleep(60)"))
    member = Member(asleep, os.environ, ROOT, tmp_path / "asleep.log")
    member.start()
    try:
        with supervised([member]):
            first = member.running
            first.kill()
            for _ in range(100):
                if member.running is not first and member.running.poll() is None:
                    break
                time.sleep(0.1)
            assert member.running.pid != first.pid
            assert member.running.poll() is None
        # It must live on when whoever has started it again is gone.
        with pytest.raises(subprocess.TimeoutExpired):
            member.running.wait(1.0)
    finally:
        member.kill()


def test_a_supervisor_that_stops_is_told_of_at_the_end_of_its_block(tmp_path):
    nothing = Process(name="nothing", arguments=("-c", "pass"))
    lost = Member(nothing, os.environ, tmp_path / "no such folder", tmp_path / "nothing.log")
    with pytest.raises(RuntimeError, match="nothing was started again") as told, supervised([lost]):
        time.sleep(1.0)
    assert isinstance(told.value.__cause__, FileNotFoundError)
