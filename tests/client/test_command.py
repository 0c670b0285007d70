"""What every command does about usage, keys and servers that are away or busy."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from config.environment import ROOT
from scripts.setup_env import add_command
from service.access import Role
from service.client.command import cli
from service.client.ending import MEANINGS, Ending

PRICES = ("price-books", "price-books upload", "price-books activate")
STEPS = (
    "create",
    "change",
    "submit",
    "approve",
    "reject",
    "issue",
    "accept",
    "decline",
    "withdraw",
    "revise",
    "diff",
    "save",
)
QUOTES = ("quotes", "quotes diff", "quotes save", *(f"quotes {step}" for step in STEPS))
BATCHES = ("batch", "batches", "batches cancel")
HOOK_VERBS = ("", "add", "enable", "disable", "rotate", "delete", "ping", "replay", "deliveries")
HOOKS = tuple(f"webhooks {verb}".strip() for verb in HOOK_VERBS)
OF_SCHEDULES = ("create", "change", "preview", "run", "pause", "resume", "remove")
SCHEDULES = ("schedules", *(f"schedules {step}" for step in OF_SCHEDULES), "occurrences")
OLDER = ("working", "workloads", "workloads archive", "audit", "accuracy")
NEWER = (*BATCHES, *SCHEDULES, *OLDER, *PRICES, *QUOTES, *HOOKS)


@pytest.mark.parametrize(
    "arguments",
    [["runs", "run_nothing"], ["runs", "cancel", "run_nothing"], ["diff", "run_a", "run_b"], ["runs", "../catalog"]],
)
def test_what_is_not_there_is_told_in_the_server_s_words(command, arguments):
    done = command(*arguments)
    assert done.code == Ending.REFUSED
    assert "(HTTP 404)" in done.err
    assert command(*arguments, "--json").json["status"] == 404


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["catalog", "gpu"], "'gpus'"),
        (["size"], "FILE"),
        (["sise", "x"], "sise"),
        (["runs", "--limit", "0"], "--limit"),
        (["runs", "--label", "team"], "KEY:VALUE"),
        (["runs", "--label", "a:1", "--label", "a:2"], "given twice"),
        (["runs", "--since", "yesterday"], "is no time; give a day, such as 2026-11-01"),
        (["runs", "--kind", "cooking"], "'science'"),
        (["runs", "--colour"], "--colour"),
        (["completion", "csh"], "'bash'"),
        (["working"], "RUN"),
        (["working", "run_1", "0"], "x>=1"),
        (["working", "run_1", "best"], "not a valid integer"),
        (["workloads", "--versions"], "headroom workloads ID --versions"),
        (["workloads", "--archived", "yes"], "'any'"),
        (["workloads", "archive"], "ID"),
        (["audit", "--since", "yesterday"], "--since"),
        (["runs", "--url", "ftp://x"], "http://"),
        (["runs", "--url", "http://"], "name a host"),
        (["runs", "--url", "http://[::1"], "cannot be read"),
        (["runs", "--url", "http://me:hush@127.0.0.1"], "no user"),
        (["runs", "--key", "two words"], "copy it again"),
        (["runs", "--key", "hr_0123_wrong"], "HTTP 401"),
    ],
)
def test_wrong_usage_is_told_and_ends_with_2(command, arguments, words):
    done = command(*arguments)
    assert done.code == Ending.REFUSED
    assert words in done.err
    assert "hush" not in done.err
    assert done.out == ""


def test_a_missing_key_is_told_with_where_to_get_one(command, monkeypatch):
    monkeypatch.delenv("HEADROOM_KEY")
    done = command("runs")
    assert done.code == Ending.REFUSED
    assert "HEADROOM_KEY" in done.err
    assert "scripts/run" in done.err


def test_a_role_that_may_not_is_refused(command, served):
    done = command("runs", "--key", served.keys[Role.OPERATOR])
    assert done.code == Ending.REFUSED
    assert "operator" in done.err


def test_a_server_that_is_not_there_is_told_with_the_way_out(command):
    with socket.socket() as taken:
        # Bound and not listening: nobody else can take the port meanwhile.
        taken.bind(("127.0.0.1", 0))
        done = command("runs", "--url", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert done.code == Ending.UNAVAILABLE
    assert "Nobody answers at http://127.0.0.1:" in done.err
    assert "HEADROOM_URL" in done.err
    assert done.err.count("Trying again") == 1


def test_a_server_that_is_not_ready_is_told(command, served):
    problem = {"title": "A part of the service is down", "detail": "The database does not answer.", "status": 503}
    served.gate.refuse(503, body=problem, Retry_After="3600")
    done = command("runs", "--json")
    assert done.code == Ending.UNAVAILABLE
    assert "The database does not answer." in done.err
    assert "try again in 3600 s" in done.err
    assert done.json == problem


def test_a_busy_server_is_asked_again_when_it_says(command, served):
    served.gate.refuse(429, body={"title": "Too many requests"}, Retry_After="1")
    started = time.monotonic()
    done = command("runs")
    assert done.code == Ending.DONE
    assert time.monotonic() - started >= 1
    assert "Too many requests (HTTP 429)" in done.err


def test_a_fault_of_the_server_is_told_with_the_request_to_quote(command, served):
    served.gate.refuse(500, body={"title": "Something broke on our side", "request_id": "abc123"})
    done = command("runs")
    assert done.code == Ending.UNAVAILABLE
    assert "quote request abc123" in done.err


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 200, "body": "<html>hello</html>"}, "not JSON"),
        ({"status": 200, "body": [1]}, "is that a Headroom?"),
        ({"status": 200, "body": {"items": 3}}, "not as this client knows lists"),
        ({"status": 404, "body": "<html>hello</html>"}, "without a problem document"),
        ({"status": 502, "body": "bad gateway"}, "HTTP 502"),
        ({"status": 301, "Location": "https://elsewhere.example/v1/runs"}, "moved to https://elsewhere.example"),
    ],
)
def test_what_is_no_headroom_is_recognised(command, served, answer, words):
    served.gate.refuse(**answer)
    done = command("runs")
    assert done.code in {Ending.UNAVAILABLE, Ending.REFUSED}
    assert words in done.err


def test_an_answer_of_another_version_is_one_sentence(command, served):
    run = {"id": "run_1", "workload_id": "w", "status": "done", "kind": "science", "cached": True, "feasible": True}
    run |= {"attempts": 1, "progress_fraction": 1, "created_at": "2026-11-20T12:00:00Z", "started_at": None}
    run |= {"finished_at": None, "error": None, "result": {"answer": 42}}
    served.gate.refuse(200, body=run)
    done = command("runs", "run_1")
    assert done.code == Ending.FAULT
    assert "--json" in done.err
    served.gate.refuse(200, body=run)
    assert command("runs", "run_1", "--json").json == run
    served.gate.refuse(200, body=run | {"status": "dreaming"})
    assert command("runs", "run_1").code == Ending.UNAVAILABLE


def test_help_tells_every_exit_code_and_every_command_takes_json(command):
    for name in ("size", "estimate", "runs", "runs cancel", "diff", "catalog", *NEWER):
        done = command(*name.split(), "--help")
        assert done.code == Ending.DONE
        for words in ("--json", "--url", "--key", "HEADROOM_URL", "HEADROOM_KEY", *MEANINGS.values()):
            assert words in done.out, name
    first = {"size", "estimate", "runs", "diff", "catalog", "completion"}
    assert set(cli.commands) == first | {name.split()[0] for name in NEWER}
    assert all(f"{code:>3}  " in command("--help").out for code in Ending)


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        ("runs", "headroom runs [OPTIONS] [ID]"),
        ("runs show", "headroom runs show [OPTIONS] [ID]"),
        ("runs cancel", "headroom runs cancel [OPTIONS] ID"),
        ("workloads", "headroom workloads [OPTIONS] [ID]"),
        ("workloads archive", "headroom workloads archive [OPTIONS] ID"),
    ],
)
def test_the_usage_is_what_was_typed(command, words, usage):
    assert command(*words.split(), "--help").out.startswith(f"Usage: {usage}\n")
    refused = command(*words.split(), "--nothing")
    assert refused.err.startswith(f"Usage: {usage}\nTry 'headroom {words} --help'")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_completion(command, shell):
    done = command("completion", shell)
    assert done.code == Ending.DONE
    assert "_HEADROOM_COMPLETE" in done.out


def complete(command, monkeypatch, capsys, *words):
    monkeypatch.setenv("_HEADROOM_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", " ".join(("headroom", *words)))
    monkeypatch.setenv("COMP_CWORD", str(len(words)))
    with pytest.raises(SystemExit):
        command()
    return capsys.readouterr().out.split()


def test_completion_knows_commands_kinds_and_the_server_s_ids(command, question, file, monkeypatch, capsys):
    run = command("size", file(question()), "--json").json
    run_id, workload_id = run["id"], run["workload_id"]
    assert "plain,estimate" in complete(command, monkeypatch, capsys, "est")
    assert "plain,gpus" in complete(command, monkeypatch, capsys, "catalog", "gp")
    assert "plain,b200-sxm" in complete(command, monkeypatch, capsys, "catalog", "gpus", "b200")
    assert f"plain,{run_id}" in complete(command, monkeypatch, capsys, "runs", "run_")
    assert f"plain,{run_id}" in complete(command, monkeypatch, capsys, "working", "run_")
    assert f"plain,{workload_id}" in complete(command, monkeypatch, capsys, "workloads", "wkl_")
    assert f"plain,{workload_id}" in complete(command, monkeypatch, capsys, "workloads", "archive", workload_id[:9])
    monkeypatch.setenv("HEADROOM_URL", "http://127.0.0.1:1")
    assert complete(command, monkeypatch, capsys, "runs", "run_") == []


# --- as an installed command


@pytest.fixture
def installed(tmp_path):
    """The command as a starter installs it, in a folder with a blank, beside a Python."""
    python = tmp_path / "an environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    add_command(python)
    return python.with_name("headroom")


def test_the_installed_command_starts_from_any_folder(installed, served, tmp_path):
    # Neither of these is the product.
    (tmp_path / "service").mkdir()
    (tmp_path / "service" / "__init__.py").write_text("raise ImportError")
    environ = {**os.environ, "HEADROOM_URL": served.url, "HEADROOM_KEY": served.key, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [installed, "catalog", "racks"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == Ending.DONE, done.stderr
    assert "ir7000" in done.stdout
    before = installed.stat().st_ino
    add_command(installed.with_name("python"))
    assert installed.stat().st_ino == before, "what is right is not written again"


def _heed_ctrl_c():
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(*arguments) -> tuple[str, str]:
    """The line in which a command names its run, and what it tells when Ctrl-C follows at once."""
    with subprocess.Popen(
        [sys.executable, "-m", "service.client", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background ignores Ctrl-C, and so would everything that it starts.
        preexec_fn=_heed_ctrl_c,  # noqa: PLW1509 - between fork and exec it sets one signal and takes no lock
    ) as process:
        named = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        try:
            told = process.communicate(timeout=20)[1]
        finally:
            process.kill()
        assert process.returncode == Ending.INTERRUPTED, named + told
    return named, told


@pytest.mark.parametrize("sizing", [True, False])
def test_ctrl_c_is_one_sentence_and_says_that_the_run_goes_on(command, served, question, file, sizing):
    served.held.set()
    path = file(question())
    if sizing:
        named, told = interrupted("size", str(path))
        run_id = command("runs", "--limit", "1", "--json").json["items"][0]["id"]
    else:
        run_id = command("size", path, "--no-wait", "--json").json["id"]
        named, told = interrupted("runs", run_id, "--wait")
    assert named == f"run {run_id}: queued\n"
    assert f"headroom runs {run_id} --wait" in told
    assert f"headroom runs cancel {run_id}" in told
    assert "interrupted" in told
    assert "Traceback" not in told


def unread(command: list[str], *, errors_too: bool) -> subprocess.CompletedProcess[str]:
    """A command whose output nobody reads: whoever should have has left already."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        stderr = writer if errors_too else subprocess.PIPE
        return subprocess.run(command, cwd=ROOT, stdout=writer, stderr=stderr, text=True, check=False, timeout=60)
    finally:
        os.close(writer)


@pytest.mark.parametrize("errors_too", [False, True])
@pytest.mark.parametrize(
    "arguments",
    [["runs"], ["runs", "--json"], ["catalog", "models"], ["catalog", "models", "--json"], ["--help"],
     ["completion", "bash"]],
    ids=" ".join,
)  # fmt: skip
def test_a_reader_that_leaves_early_is_no_fault(command, arguments, errors_too):
    done = unread([sys.executable, "-m", "service.client", *arguments], errors_too=errors_too)
    assert (done.returncode, done.stderr or "") == (Ending.UNREAD, "")


def test_a_complaint_that_nobody_reads_is_no_fault_either(command):
    arguments = ["runs", "run_nothing"]
    done = unread([sys.executable, "-m", "service.client", *arguments], errors_too=True)
    assert done.returncode == Ending.UNREAD
    assert command(*arguments).code == Ending.REFUSED


def test_head_reads_as_much_as_it_wants(installed, served):
    environ = {**os.environ, "HEADROOM_URL": served.url, "HEADROOM_KEY": served.key}
    command = '{ "$0" catalog models; echo "ended with $?" >&2; } | head -n 1'
    done = subprocess.run(["sh", "-c", command, installed], env=environ, capture_output=True, text=True, check=False)
    assert done.stderr in {"ended with 141\n", "ended with 0\n"}, "what fits into the pipe is written all the same"
    assert len(done.stdout.splitlines()) == 1
