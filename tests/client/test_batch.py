"""headroom batch and headroom batches: progress, results, resuming, and an exit code for each ending."""

import json
import re

import pytest

from config.environment import ROOT
from service.client.batch import media_type_of
from service.client.ending import Ending
from service.client.headroom import Headroom
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
    done = command("batch", upload(question(), question(model="lama-3.1-8b")), "--dry-run")
    assert done.code == Ending.REFUSED
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
    assert "is accepted: of 1 items 1 queued" in shown.out
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
