"""headroom batch and headroom batches: progress, results, resuming, and an exit code for each ending."""

import json
import re

import pytest

from config.environment import ROOT
from service.client.batch import media_type_of
from service.client.batch_calls import BatchCalls
from service.client.ending import Ending
from service.client.headroom import Headroom
from service.client.patience import Patience
from service.client.problem import ProblemError


@pytest.fixture
def upload(tmp_path):
    """A file of workloads, one per line."""

    def write(*items, name="workloads.ndjson"):
        path = tmp_path / name
        path.write_text("".join(json.dumps(item) + "\n" for item in items))
        return path

    return write


def test_results_are_on_standard_output_and_progress_beside_it(command, upload, question):
    done = command("batch", upload(question(), question()), "--name", "nightly")
    assert done.code == Ending.DONE, done.err
    assert [json.loads(line)["state"] for line in done.out.splitlines()] == ["done", "done"]
    assert re.search(r"batch bat_\w+: \d of 2 items", done.err)
    assert "of 2 items 2 fit" in done.err
    assert "nightly" in command("batches").out


def test_a_wrong_item_is_told_and_the_others_are_answered(command, upload, question, tmp_path):
    out = tmp_path / "results.csv"
    done = command("batch", upload(question(), question(model="lama-3.1-8b")), "--out", out)
    assert done.code == Ending.FAILED
    assert done.out == ""
    heading, first, second = out.read_text().splitlines()
    assert heading.startswith("line,")
    assert first.split(",")[2] == "done"
    assert "refused" in second
    assert not list(tmp_path.glob("*.part"))


def test_a_dry_run_names_lines(command, upload, question):
    path = upload(question(), question(model="lama-3.1-8b"))
    done = command("batch", path, "--dry-run")
    assert done.code == command("batch", path).code == Ending.FAILED
    assert "Of 2 items 1 would be sized." in done.out
    assert "line 2: workload.model" in done.out
    assert command("batch", upload(question()), "--dry-run").code == Ending.DONE


def test_standard_input_is_a_batch(command, question):
    done = command("batch", "-", stdin=json.dumps([question()]).encode())
    assert done.code == Ending.DONE
    assert json.loads(done.out)["line"] == 1


def test_a_batch_that_is_waited_for_too_long_goes_on(command, served, upload, question):
    served.held.set()
    done = command("batch", upload(question()), "--within", "0.2")
    assert done.code == Ending.UNAVAILABLE
    batch_id = re.search(r"headroom batches (bat_\w+) --wait", done.err)[1]
    shown = command("batches", batch_id)
    assert "is accepted: of 1 item 1 queued" in shown.out
    served.held.clear()
    followed = command("batches", batch_id, "--wait", "--results", "csv")
    assert followed.code == Ending.DONE
    assert followed.out.splitlines()[1].startswith("1,")
    again = command("batches", batch_id, "--results", "ndjson")
    assert json.loads(again.out)["state"] == "done"


def test_a_batch_is_cancelled(command, served, upload, question):
    served.held.set()
    posted = command("batch", upload(question()), "--no-wait", "--json").json
    assert "1 cancelled" in command("batches", "cancel", posted["id"]).out
    assert command("batches", posted["id"]).code == Ending.FAILED
    assert command("batches", "--status", "cancelled", "--json").json["items"][0]["id"] == posted["id"]


def test_the_same_key_is_the_same_batch(command, upload, question):
    path = upload(question())
    ids = {command("batch", path, "--no-wait", "--json", "--idempotency-key", "k").json["id"] for _ in range(2)}
    assert len(ids) == 1


def test_a_program_reads_items(served, upload, question):
    with Headroom(served.url, served.key) as headroom:
        posted = headroom.batches.submit(upload(question()).read_bytes())
        ended = headroom.batches.wait(posted, within_s=30)
        assert (ended.progress_fraction, ended.counts["done"]) == (1, 1)
        page = headroom.batches.items(posted.id, state="done")
        assert page.items[0]["answer"]["feasible"] is True
        with pytest.raises(ProblemError, match="no batch"):
            list(headroom.batches.results("bat_1"))


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        ("a.ndjson", b"x", "application/x-ndjson"),
        ("a.CSV", b"{", "text/csv"),
        ("a.json", b" [1]", "application/json"),
        ("a.json", b'\xef\xbb\xbf{"a": 1}', "application/x-ndjson"),
        ("-", b"name,workload.kind", "text/csv"),
    ],
)
def test_what_an_upload_is(name, body, expected):
    assert media_type_of(name, body) == expected


def test_one_workload_over_several_lines_is_no_batch(command, served, question, tmp_path):
    path = tmp_path / "one.json"
    path.write_text(json.dumps(question(), indent=2))
    done = command("batch", path, "--dry-run")
    assert done.code == Ending.REFUSED
    assert f"headroom size {path}" in done.err
    assert served.gate.seen == []
    path.write_text(json.dumps(question()) + "\n")
    assert command("batch", path, "--dry-run").code == Ending.DONE


def test_the_table_of_the_readme_is_a_batch(command, tmp_path):
    text = (ROOT / "README.md").read_text()
    table = re.search(r"printf '%s\\n' '([^']*)' \\\n\s+'([^']*)' '([^']*)' > workloads.csv", text)
    path = tmp_path / "workloads.csv"
    path.write_text("\n".join(table.groups()) + "\n")
    assert "Of 2 items 2 would be sized." in command("batch", path, "--dry-run").out
    done = command("batch", path, "--out", tmp_path / "results.csv")
    assert done.code == Ending.DONE, done.err
    assert [row.split(",")[1] for row in (tmp_path / "results.csv").read_text().splitlines()] == [
        "name",
        "care",
        "search",
    ]


def test_one_item_that_does_not_fit_is_told_as_one(command, upload, question):
    alone = question() | {"constraints": {"max_budget_usd": "1.00"}}
    done = command("batch", upload(question(), alone))
    assert "1 fits, 1 does not fit" in done.err


def test_one_item_is_told_as_one(command, upload, question):
    assert "Of 1 item 1 would be sized." in command("batch", upload(question()), "--dry-run").out
    done = command("batch", upload(question(), name="again.ndjson"))
    assert re.search(r"batch bat_\w+: 1 of 1 item\n|batch bat_\w+: 1 of 1 item,", done.err)
    assert "is done: of 1 item 1 fits" in done.err


def test_a_connection_that_breaks_before_the_answer_leaves_a_way_to_the_batch(command, served, upload, question):
    path = upload(question())
    for _ in range(20):
        served.gate.cut()
    lost = command("batch", path)
    served.gate.refusals.clear()
    assert lost.code == Ending.UNAVAILABLE
    assert "may have been accepted" in lost.err
    key = re.search(r"--idempotency-key (\S+) finds it", lost.err)[1]
    assert {head["Idempotency-Key"] for method, _, head in served.gate.seen if method == "POST"} == {key}
    assert "headroom batches lists yours" in lost.err


def test_where_nobody_listens_no_batch_was_accepted(command, upload, monkeypatch):
    monkeypatch.setenv("HEADROOM_URL", "http://127.0.0.1:9")
    lost = command("batch", upload({}))
    assert lost.code == Ending.UNAVAILABLE
    assert "may have been accepted" not in lost.err
    assert lost.err.count("Trying again") == 1


def test_a_server_that_is_too_busy_after_a_broken_connection_may_have_accepted_it(
    command, served, upload, question, monkeypatch
):
    monkeypatch.setattr("service.client.connection.Patience", lambda: Patience(busy_s=0.5))
    served.gate.cut()
    served.gate.refuse(503, times=20)
    lost = command("batch", upload(question()))
    assert lost.code == Ending.UNAVAILABLE
    assert "may have been accepted" in lost.err
    served.gate.refusals.clear()
    served.gate.refuse(503, times=20)
    assert "may have been accepted" not in command("batch", upload(question())).err


def test_ctrl_c_before_the_answer_names_the_key_under_which_the_batch_is_found(
    command, served, upload, question, monkeypatch
):
    path, answered = upload(question()), []
    submit = BatchCalls.submit

    def interrupted(self, *asked, **how):
        """The server has taken it, and nobody reads what it says."""
        answered.append(submit(self, *asked, **how))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(BatchCalls, "submit", interrupted)
        lost = command("batch", path)
    assert lost.code == Ending.INTERRUPTED
    key = re.search(r"--idempotency-key (\S+) finds it", lost.err)[1]
    found = command("batch", path, "--idempotency-key", key)
    assert found.code == Ending.DONE
    assert f"Batch {answered[0].id} is done" in found.err
    # It is told as it is by now, not as it was when it was accepted.
    again = command("batch", path, "--no-wait", "--idempotency-key", key)
    assert f"Batch {answered[0].id} is done" in again.out


def test_what_the_server_refuses_was_not_accepted(command, upload):
    refused = command("batch", upload(name="none.ndjson"))
    assert refused.code == Ending.REFUSED
    assert "may have been accepted" not in refused.err


@pytest.mark.parametrize("asked", [["batches", "--wait"], ["batches", "--out", "x.csv"], ["runs", "--wait"]])
def test_what_is_of_one_is_not_asked_of_a_list(command, asked):
    done = command(*asked)
    assert done.code == Ending.REFUSED
    assert f"headroom {asked[0]} ID --wait" in done.err


@pytest.mark.parametrize("out", ["nowhere/results.csv", "."])
def test_a_place_that_cannot_be_written_is_told_before_anything_is_sent(command, served, upload, tmp_path, out):
    done = command("batch", upload({}), "--out", tmp_path / out)
    assert done.code == Ending.REFUSED
    assert re.search(r"cannot be written|is a directory", done.err)
    assert not [method for method, *_ in served.gate.seen if method == "POST"]


def test_results_do_not_take_the_place_of_the_workloads(command, served, upload, question):
    path = upload(question())
    before = path.read_bytes()
    assert command("batch", path, "--out", path).code == Ending.REFUSED
    assert path.read_bytes() == before
    assert served.gate.seen == []


def test_results_go_to_standard_output_for_a_dash(command, upload, question, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("batch", upload(question()), "--out", "-", "--results", "csv")
    assert done.code == Ending.DONE
    assert done.out.startswith("line,")
    assert not (tmp_path / "-").exists()


def test_from_standard_input_to_standard_output(command, question, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = command("batch", "-", "--out", "-", stdin=json.dumps([question()]).encode())
    assert done.code == Ending.DONE, done.err
    assert json.loads(done.out)["state"] == "done"
    assert list(tmp_path.iterdir()) == []


def test_results_that_break_off_leave_the_file_as_it_was(command, served, upload, question, tmp_path):
    out = tmp_path / "results.ndjson"
    out.write_text("before")
    assert command("batch", upload(question())).code == Ending.DONE
    batch_id = command("batches", "--json").json["items"][0]["id"]
    known = command("batches", batch_id, "--json").json
    # The first answer tells how far it is; the second one, of the results, breaks off.
    served.gate.refuse(200, body=known, Content_Type="application/json")
    served.gate.cut()
    done = command("batches", batch_id, "--out", out)
    assert done.code == Ending.UNAVAILABLE
    assert out.read_text() == "before"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("way", ["--dry-run", "--no-wait"])
def test_where_there_are_no_results_none_are_written(command, served, upload, way):
    done = command("batch", upload({}), way, "--out", "results.csv")
    assert done.code == Ending.REFUSED
    assert "no results" in done.err
    assert served.gate.seen == []
