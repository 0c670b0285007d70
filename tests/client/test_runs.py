"""`headroom runs`: listed, narrowed, shown and cancelled."""

import re

from service.client.ending import Ending


def test_runs_are_listed_newest_first_and_page_by_page(command, question, file):
    ids = [command("size", file(question()), "--json").json["id"] for _ in range(3)]
    done = command("runs", "--limit", "2")
    assert re.findall(r"^run_\w+", done.out, re.MULTILINE) == ids[:0:-1]
    assert "fits" in done.out
    cursor = re.search(r"--cursor (\S+)", done.out)[1]
    older = command("runs", "--limit", "1", "--cursor", cursor, "--json").json
    assert [run["id"] for run in older["items"]] == ids[:1]
    workload = older["items"][0]["workload_id"]
    assert [run["id"] for run in command("runs", "--workload", workload, "--json").json["items"]] == ids[:1]
    assert command("runs", "--workload", "wkl_nothing").out == "There are no such runs.\n"


def test_a_list_is_narrowed(command, question, file):
    body = question() | {"labels": {"team": "narrow", "tier": "gold:1"}}
    run_id = command("size", file(body), "--json").json["id"]
    cached = command("size", file(body), "--json").json["id"]

    def listed(*arguments):
        done = command("runs", "--label", "team:narrow", *arguments, "--json")
        assert done.code == Ending.DONE, done.err
        return {run["id"] for run in done.json["items"]}

    assert listed() == listed("--label", "tier:gold:1", "--kind", "training", "--feasible") == {run_id, cached}
    assert listed("--computed", "--status", "done") == {run_id}
    assert listed("--cached") == {cached}
    assert listed("--infeasible") == listed("--label", "tier:gold") == listed("--kind", "science") == set()
    assert listed("--since", "2026-01-01", "--before", "2126-01-01T00:00:00+0100") == {run_id, cached}
    assert listed("--before", "2026-01-01T00:00:00") == set()


def test_one_run_is_shown_under_the_name_of_its_workload(command, question, file):
    run_id = command("size", file(question()), "--json").json["id"]
    done = command("runs", run_id)
    assert done.code == Ending.DONE
    assert "a small one" in done.out
    assert "sized in" in done.out


def test_a_queued_run_is_cancelled_and_again_and_stays_so(command, served, question, file):
    served.held.set()
    run_id = command("size", file(question()), "--no-wait", "--json").json["id"]
    done = command("runs", "cancel", run_id)
    assert (done.code, done.out) == (Ending.DONE, f"Run {run_id} is cancelled.\n")
    again = command("runs", "cancel", run_id, "--json")
    assert (again.code, again.json["status"], again.json["result"]) == (Ending.DONE, "cancelled", None)
    assert command("runs", run_id).code == Ending.FAILED
    assert run_id in command("runs", "--status", "cancelled").out


def test_a_run_that_is_done_is_not_cancelled(command, question, file):
    run_id = command("size", file(question()), "--json").json["id"]
    done = command("runs", "cancel", run_id)
    assert (done.code, done.out) == (Ending.REFUSED, "")
    assert f"Run {run_id} is done already" in done.err
    assert "(HTTP 409)" in done.err
    assert command("runs", "cancel", run_id, "--json").json["status"] == 409


def test_when_is_asked_for_in_words(command):
    told = command("runs", "--help").out
    assert "--since TIME" in told
    assert "%Y" not in told
