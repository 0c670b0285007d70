"""headroom size: an answer as a table or as JSON, progress while it waits, and an exit code for each ending."""

import json
import re
import threading
import time

import pytest

from service.client.ending import Ending
from tests.client.conftest import CHAT, EXAMPLES

# For a machine that is busy with other tests; the two seconds that were once added are more.
ROOM_S = 1.0


def named(err: str) -> str:
    """The run that a command has named, and told nothing else but how far it is."""
    told = re.fullmatch(r"run (run_\w+): queued\n(?:run \1: running.*\n)*", err)
    assert told, err
    return told[1]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_example_is_shown_as_a_table(command, path):
    done = command("size", path)
    assert done.code == Ending.DONE, done.err
    for words in (json.loads(path.read_bytes())["name"], "option 1 (recommended)", "PowerEdge", "indicative", "run_"):
        assert words in done.out
    assert named(done.err) in done.out


@pytest.mark.parametrize(
    ("name", "unit"), [("science-folding-boltz-2", "per target"), ("science-dynamics-gromacs", "per ns")]
)
def test_the_cost_of_science_is_that_of_its_unit_of_work(command, name, unit):
    out = command("size", EXAMPLES / f"{name}.json").out
    assert re.search(rf"\$[\d.,]+ {unit}\b", out)
    assert "per item" not in out


def test_where_no_server_is_left_no_figures_are_made_up(command, file):
    body = json.loads(CHAT.read_bytes())
    body["constraints"] = {"allowed_gpus": ["b300-sxm"], "allowed_servers": ["poweredge-xe7740"]}
    done = command("size", file(body))
    assert done.code == Ending.NOTHING_FITS
    assert "gpu_not_carried leaves no server." in done.out
    assert "does not carry b300-sxm; poweredge-xe7740 carries" in done.out


def test_a_run_is_named_before_it_is_waited_for(command, served, question, file):
    path = file(question())
    run_id = named(command("size", path).err)
    assert command("runs", run_id, "--json").json["status"] == "done"
    # What was answered before is not waited for.
    assert command("size", path).err == ""
    waits = [headers.get("Prefer") for _, _, headers in served.gate.seen[:2]]
    assert waits == [None, "wait=2"]


def test_standard_input_is_a_file_too(command):
    done = command("size", "-", "--top", "1", stdin=CHAT.read_bytes())
    assert done.code == Ending.DONE
    assert "support chat" in done.out
    assert "option 2" not in done.out


def test_a_body_without_a_name_is_called_by_its_file(command, question, file):
    body = question()
    del body["name"]
    assert "body.json" in command("size", file(body)).out
    assert "standard input" in command("size", "-", stdin=json.dumps(body).encode()).out


def test_json_is_the_run_with_its_result(command, question, file):
    done = command("size", file(question()), "--json")
    assert (done.code, named(done.err)) == (Ending.DONE, done.json["id"])
    assert done.json["status"] == "done"
    assert done.json["result"]["options"]
    assert command("runs", done.json["id"], "--json").json == done.json


def test_the_same_question_again_comes_from_the_cache(command, question, file):
    path = file(question())
    command("size", path)
    assert "answered from the cache" in command("size", path).out


def test_nothing_fits_has_its_own_ending(command, question, file):
    path = file(question(constraints={"max_facility_kw": 1}))
    done = command("size", path)
    assert done.code == Ending.NOTHING_FITS
    assert "Nothing fits." in done.out
    assert "Cheapest change:" in done.out
    assert command("size", path, "--json").code == Ending.NOTHING_FITS


@pytest.mark.parametrize(("limit", "share"), [({"max_facility_kw": 1}, True), ({"max_budget_usd": "100.00"}, False)])
def test_how_far_off_it_is_is_told_as_a_share_while_that_says_something(command, question, file, limit, share):
    done = command("size", file(question(constraints=limit)))
    missed = command("size", file(question(constraints=limit)), "--json").json["result"]["shortfall"]
    assert (missed["distance_fraction"] <= 10) is share
    assert (" away." in done.out.replace("\n", " ")) is share


def test_a_failed_run_has_its_own_ending(command, served, question, file):
    served.breaking.set()
    done = command("size", file(question()))
    assert done.code == Ending.FAILED
    assert re.fullmatch(r"run (run_\w+): queued\nheadroom: Run \1 failed: engine_error: .*\n", done.err)
    assert done.out == ""
    served.breaking.set()
    assert command("size", file(question()), "--json").json["error"]["code"] == "engine_error"


def test_what_the_server_refuses_is_told_field_by_field(command, question, file):
    done = command("size", file(question(colour="red", model=7, tokens=-1)))
    assert done.code == Ending.REFUSED
    for name in ("colour", "model", "tokens"):
        assert re.search(rf"^headroom: workload\.{name}: ", done.err, re.MULTILINE), done.err
    assert done.out == ""


def test_a_typo_comes_with_what_was_meant(command, question, file):
    done = command("size", file(question(model="lama-3.1-8b")))
    assert done.code == Ending.REFUSED
    assert done.err.count("Did you mean llama-3.1-8b") == 1


def test_a_program_gets_the_problem_document(command, question, file):
    done = command("size", file(question(colour="red")), "--json")
    assert done.code == Ending.REFUSED
    assert done.json["errors"][0]["field"] == "workload.colour"
    assert "workload.colour" in done.err


@pytest.mark.parametrize(
    "text", ["", "no json", '{"workload": {}, "workload": {}}', '{"workload": NaN}', "[" * 100_000]
)
def test_the_server_judges_what_stands_in_the_file(command, file, text):
    done = command("size", file(text))
    assert done.code == Ending.REFUSED
    assert "The body " in done.err
    assert "(HTTP 400)" in done.err


@pytest.mark.parametrize("name", ["no-such-file.json", ".", "/proc/self/mem"])
def test_a_file_that_cannot_be_read_is_one_sentence(command, name):
    done = command("size", name)
    assert done.code == Ending.REFUSED
    assert done.err.count("\n") == 1


def test_no_wait_prints_the_run_and_runs_wait_follows_it(command, served, question, file):
    served.held.set()
    done = command("size", file(question()), "--no-wait")
    assert done.code == Ending.DONE
    run_id = re.search(r"run_\w+", done.out)[0]
    assert "is queued" in done.out
    threading.Timer(0.3, served.held.clear).start()
    done = command("runs", run_id, "--wait")
    assert done.code == Ending.DONE
    assert done.err == f"run {run_id}: queued\n"
    assert "a small one" in done.out


def test_who_waits_no_longer_is_told_how_to_come_back(command, served, question, file):
    served.held.set()
    run_id = command("size", file(question()), "--no-wait", "--json").json["id"]
    done = command("runs", run_id, "--wait", "--within", "0.1")
    assert done.code == Ending.UNAVAILABLE
    assert f"headroom runs {run_id} --wait" in done.err
    assert "still queued after 0.1 s" in done.err


@pytest.mark.parametrize("within_s", [0.0, 0.7, 1.5])
def test_nobody_waits_longer_than_within(command, served, question, file, within_s):
    served.held.set()
    started = time.monotonic()
    done = command("size", file(question()), "--within", str(within_s))
    took_s = time.monotonic() - started
    assert done.code == Ending.UNAVAILABLE
    assert f"still queued after {within_s:g} s" in done.err
    assert re.match(r"run (run_\w+): queued\n(?s:.)*headroom runs \1 --wait", done.err)
    assert within_s <= took_s < within_s + ROOM_S


def test_nor_where_the_server_hangs_or_is_busy(command, served, question, file):
    served.held.set()
    run_id = command("size", file(question()), "--no-wait", "--json").json["id"]
    read = served.gate.app

    def hang(environ, start_response):
        if "HTTP_PREFER" in environ:
            time.sleep(3)
        return read(environ, start_response)

    served.gate.app = hang
    try:
        started = time.monotonic()
        assert command("runs", run_id, "--wait", "--within", "1.3").code == Ending.UNAVAILABLE
        assert time.monotonic() - started < 1.3 + ROOM_S
    finally:
        served.gate.app = read
    served.gate.refuse(429, body={"title": "Too many requests"}, Retry_After="2")
    started = time.monotonic()
    assert command("size", file(question()), "--within", "0.5").code == Ending.UNAVAILABLE
    assert time.monotonic() - started < 0.5 + ROOM_S
