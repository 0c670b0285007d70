"""Counting alone and together: slots, processes that die, and values that the next process takes over."""

import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from config.environment import ROOT
from service.metrics import Answered, Lookup, Mended, Metrics, shared_metrics
from service.slots import Slots

# A process that counts, says so, and waits to be told how to end.
COUNTER = """
import os, sys
from pathlib import Path
from service.metrics import Answered, shared_metrics
metrics = shared_metrics(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    metrics.submitted(Answered.QUEUED)
metrics.sized("inference", outcome="feasible", seconds=0.02)
child = os.fork()
if not child:
    metrics.submitted(Answered.QUEUED)
    os._exit(0)
os.waitpid(child, 0)
print("counted", flush=True)
sys.stdin.readline()
"""
READER = """
import sys
from pathlib import Path
from prometheus_client import generate_latest
from service.metrics import shared_metrics
sys.stdout.buffer.write(generate_latest(shared_metrics(Path(sys.argv[1])).collected()))
"""


def value(text: str, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def start(folder: Path, times: int) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", COUNTER, str(folder), str(times)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "counted\n"
    return process


def read(folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", READER, str(folder)], cwd=ROOT, capture_output=True, check=True)
    return done.stdout.decode()


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_processes_count_together_and_the_dead_are_not_forgotten(tmp_path):
    first, second = start(tmp_path, 3), start(tmp_path, 5)
    queued = {"answer": "queued"}
    # Each of the two had a child that counted once.
    assert value(read(tmp_path), "headroom_runs_submitted_total", **queued) == 3 + 5 + 2
    end(first)
    assert value(read(tmp_path), "headroom_runs_submitted_total", **queued) == 10
    files = set(tmp_path.glob("*.db"))
    # As it is for a moment when a process begins to count.
    (tmp_path / "counter_99.db").touch()
    third = start(tmp_path, 7)
    text = read(tmp_path)
    assert value(text, "headroom_runs_submitted_total", **queued) == 10 + 7 + 1
    assert value(text, "headroom_sizing_duration_seconds_count", kind="inference") == 3
    assert value(text, "headroom_sizing_duration_seconds_bucket", kind="inference", le="0.01") == 0
    assert value(text, "headroom_sizing_duration_seconds_bucket", kind="inference", le="0.025") == 3
    # The successor counts on in the files of the one that was killed.
    assert set(tmp_path.glob("*.db")) == files | {tmp_path / "counter_99.db"}
    end(second)
    end(third)


def test_a_slot_is_held_by_one_process_and_free_when_it_ends(tmp_path):
    mine = Slots(tmp_path)
    assert mine.mine() == mine.mine() == 0
    assert Slots(tmp_path).mine() == 1
    process = start(tmp_path, 1)
    assert Slots(tmp_path).mine() > 2
    end(process)
    assert Slots(tmp_path).mine() == 2


def test_alone_every_metrics_counts_for_itself():
    mine, other = Metrics(), Metrics()
    mine.submitted(Answered.JOINED)
    mine.looked_up(Lookup.HIT)
    mine.mended(Mended.POISONED, 2)
    mine.claimed("training", attempt=1, waited_s=0.3)
    mine.claimed("training", attempt=2, waited_s=9.0)
    text = generate_latest(mine.collected()).decode()
    assert value(text, "headroom_runs_submitted_total", answer="joined") == 1
    assert value(text, "headroom_runs_submitted_total", answer="queued") == 0
    assert value(text, "headroom_result_cache_lookups_total", result="hit") == 1
    assert value(text, "headroom_mended_total", what="poisoned") == 2
    assert value(text, "headroom_run_claims_total", kind="training", attempt="again") == 1
    # Only the first worker ended the waiting.
    assert value(text, "headroom_run_waiting_seconds_count", kind="training") == 1
    assert value(generate_latest(other.collected()).decode(), "headroom_runs_submitted_total", answer="joined") == 0


@pytest.mark.parametrize("folder", [None, Path("/proc/nowhere")], ids=["none", "unusable"])
def test_without_a_folder_a_process_counts_alone(folder):
    metrics = shared_metrics(folder)
    metrics.submitted(Answered.QUEUED)
    assert value(generate_latest(metrics.collected()).decode(), "headroom_runs_submitted_total", answer="queued") == 1
