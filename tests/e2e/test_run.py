"""scripts/run from the outside: examples, a restart, Ctrl-C, a killed parent, and trouble told in one sentence."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from config.environment import ROOT
from scripts.probe import ROLES
from tests.e2e.conftest import READY_WITHIN_S, STOPPED_WITHIN_S, alive, children, descendants, running, starter_environ

pytestmark = pytest.mark.slow

BODY = {
    "workload": {"kind": "training", "model": "llama-3.1-8b", "method": "sft", "tokens": 1e9, "target": {"gpus": 8}}
}


def run_to_the_end(*options, cwd, **environ):
    return subprocess.run(
        [str(ROOT / "scripts" / "run"), *options],
        cwd=cwd,
        env=starter_environ(**environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_every_example_is_answered_and_shown_and_what_was_done_survives(tmp_path):
    folder = tmp_path / "data"
    done = run_to_the_end("--data-dir", "data", "--port", free_port(), "--exit-after-examples", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    names = [json.loads(path.read_bytes())["name"] for path in (ROOT / "config" / "examples").glob("*.json")]
    assert len(names) >= 5
    for name in names:
        assert name in done.stdout
    assert done.stdout.count("option 1 (recommended)") == len(names), "an example fits nothing"
    for words in ("PowerEdge", "layout", "what binds", "power", "racks", "indicative", "confidence", "option 2"):
        assert words in done.stdout
    assert "requester  hr_" in done.stdout
    keys = folder / "keys.json"
    assert keys.stat().st_mode & 0o777 == 0o600
    before = keys.read_bytes()
    with running(folder, "--no-examples") as started:
        started.wait_until(started.ready, within_s=READY_WITHIN_S, what="ready")
        assert keys.read_bytes() == before
        with started.client() as client:
            runs = client.get("/v1/runs").json()["items"]
            assert {run["status"] for run in runs} == {"done"}
            assert len(runs) == len(names)
            for run in runs:
                assert client.get(f"/v1/runs/{run['id']}").json()["result"]["feasible"]
        children_of = descendants(started.process.pid)
        assert len(children_of) >= 6
        # Ctrl-C stops everything.
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(STOPPED_WITHIN_S) == 0
        assert not alive(children_of)


def module(name, *arguments, environ):
    """python -m on the product's modules, as an operator uses them."""
    return subprocess.run(
        [sys.executable, "-m", name, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def test_servers_that_exist_are_used_and_an_operator_makes_the_first_key(
    tmp_path, postgresql_url, broker_url, cache_url
):
    # As hosting platforms spell it, without the driver.
    addresses = {
        "DATABASE_URL": postgresql_url.replace("+psycopg", ""),
        "BROKER_URL": broker_url,
        "CACHE_URL": cache_url,
    }
    with running(tmp_path / "data", "--no-examples", **addresses) as started:
        started.wait_until(started.ready, within_s=READY_WITHIN_S, what="ready")
        assert not any("valkey" in command for _, command, _ in children(started))
        assert not (started.folder / "headroom.db").exists()
        assert not (started.folder / "keys.json").exists(), "nobody asked for a demo tenant in this database"
        environ = starter_environ(**addresses, HEADROOM_PORT=str(started.port))
        made = module("scripts.make_key", "acme", "ada", "requester", environ=environ)
        assert made.returncode == 0, made.stderr
        key = made.stdout.strip()
        with httpx.Client(base_url=started.address, headers={"Authorization": f"Bearer {key}"}, timeout=40) as client:
            run = client.post("/v1/workloads", json=BODY, headers={"Prefer": "wait=20"}).json()
        assert run["status"] == "done", run
        for role in ROLES:
            # The one that delivers keeps nobody from being ready, and may come last.
            started.wait_until(
                lambda role=role: module("scripts.probe", role, environ=environ).returncode == 0,
                within_s=READY_WITHIN_S,
                what=role,
            )
        assert module("scripts.probe", "nobody", environ=environ).returncode == 2
        # A parent that is killed takes its children with it.
        children_of = descendants(started.process.pid)
        assert len(children_of) >= 4
        os.kill(started.process.pid, signal.SIGKILL)
        started.process.wait()
        deadline = time.monotonic() + STOPPED_WITHIN_S
        while left := alive(children_of):
            assert time.monotonic() < deadline, left
            time.sleep(0.2)
    assert module("scripts.probe", "web", environ=environ).returncode == 1
    assert module("scripts.make_key", "acme", "ada", "king", environ=environ).returncode == 2


def test_a_busy_port_is_one_sentence(tmp_path):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        done = run_to_the_end("--data-dir", "data", "--port", str(port), cwd=tmp_path)
    assert done.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use" in done.stdout
    assert "--port" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def test_a_data_folder_that_is_a_file_is_one_sentence(tmp_path):
    (tmp_path / "data").write_text("")
    done = run_to_the_end("--data-dir", "data", cwd=tmp_path)
    assert done.returncode == 1
    # Where the line is broken hangs on how long the folder's name is.
    assert "is not a folder" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.xdist_group("product")
def test_a_second_start_on_the_same_folder_is_one_sentence(product, tmp_path):
    done = run_to_the_end("--data-dir", str(product.folder), "--port", free_port(), cwd=tmp_path)
    assert done.returncode == 1
    assert "Another scripts/run is using" in done.stdout
    assert product.ready()


def test_a_wrong_variable_is_one_sentence(tmp_path):
    done = run_to_the_end("--data-dir", "data", cwd=tmp_path, DATABASE_URL="mysql://root:hush@db/headroom")
    assert done.returncode == 1
    assert "DATABASE_URL must be" in done.stdout
    assert "hush" not in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
