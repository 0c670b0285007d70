"""headroom working, workloads and audit: what was computed, what was asked, and who changed what."""

import json
import re
import threading

import httpx
import pytest

from service.access import Role
from service.client.ending import Ending


@pytest.fixture
def asked(command, question, file):
    """A run of a workload with a label, and the body that asked for it."""
    body = question() | {"labels": {"team": "browse", "tier": "gold:1"}}
    return command("size", file(body), "--json").json, body


def changed(served, workload_id, body) -> None:
    """The workload's next version."""
    headers = {"Authorization": f"Bearer {served.key}", "If-Match": "*"}
    place = f"{served.url}/v1/workloads/{workload_id}"
    httpx.put(place, json=body, headers=headers, trust_env=False).raise_for_status()


def test_the_working_of_an_option_is_told_step_by_step(command, asked):
    run, _ = asked
    document = command("working", run["id"], "--json").json
    assert (document["run_id"], document["rank"]) == (run["id"], 1)
    done = command("working", run["id"])
    assert (done.code, done.err) == (Ending.DONE, "")
    assert f"option 1 of {run['id']}: {document['server']}" in done.out
    assert f"{len(document['steps'])} steps; engine {document['versions']['engine']}" in done.out
    shown = re.sub(r"\s", "", done.out)
    for step in document["steps"]:
        assert step["name"] in done.out
        assert all(name in shown for name, value in step["inputs"].items() if value is not None)
    second = command("working", run["id"], "2", "--json").json
    assert second["server"] == run["result"]["options"][1]["server"]


def test_an_option_or_a_run_that_is_not_there_is_told(command, asked):
    done = command("working", asked[0]["id"], "999")
    assert done.code == Ending.REFUSED
    assert "its options are ranked 1 to" in done.err
    assert command("working", "run_nothing", "--json").json["status"] == 404


def test_the_working_of_a_run_that_is_open_is_asked_for_again(command, served, question, file):
    served.held.set()
    queued = command("size", file(question()), "--no-wait", "--json").json["id"]
    threading.Timer(0.5, served.held.clear).start()
    done = command("working", queued)
    assert done.code == Ending.DONE
    assert "(HTTP 409)" in done.err
    assert "Trying again" in done.err


def test_workloads_are_listed_narrowed_and_paged(command, question, file):
    bodies = [question() | {"name": f"listed {n}", "labels": {"list": "L", "n": str(n)}} for n in range(3)]
    ids = [command("size", file(body), "--json").json["workload_id"] for body in bodies]
    done = command("workloads", "--label", "list:L")
    assert re.findall(r"^wkl_\w+", done.out, re.MULTILINE) == ids[::-1]
    assert "list:L, n:1" in done.out

    def listed(*arguments):
        answer = command("workloads", "--label", "list:L", *arguments, "--json")
        assert answer.code == Ending.DONE, answer.err
        return [item["id"] for item in answer.json["items"]]

    assert listed("--name", "listed 1") == listed("--label", "n:1") == [ids[1]]
    assert listed("--kind", "training", "--since", "2026-01-01") == ids[::-1]
    assert listed("--kind", "science") == listed("--before", "2026-01-01") == listed("--archived", "true") == []
    first = command("workloads", "--label", "list:L", "--limit", "2")
    cursor = re.search(r"--cursor (\S+)", first.out)[1]
    assert listed("--cursor", cursor) == ids[:1]
    assert command("workloads", "--name", "nobody's").out == "There are no such workloads.\n"


def test_one_workload_is_shown_with_what_was_asked(command, asked):
    run, body = asked
    done = command("workloads", run["workload_id"])
    assert (done.code, done.err) == (Ending.DONE, "")
    for words in ("a small one", "team:browse, tier:gold:1"):
        assert words in done.out
    assert re.search(rf"workload\.tokens +{body['workload']['tokens']:,}", done.out)
    assert re.search(r"constraints\.min_confidence_fraction +0\.8", done.out)
    assert command("workloads", run["workload_id"], "--json").json["workload"]["target"]["gpus"] == 8


def test_the_versions_of_a_workload_are_listed(command, served, asked):
    run, body = asked
    changed(served, run["workload_id"], body | {"name": "a changed one"})
    done = command("workloads", run["workload_id"], "--versions")
    assert re.findall(rf"^{run['workload_id']} +(\d) +(a \w+ one)", done.out, re.MULTILINE) == [
        ("2", "a changed one"),
        ("1", "a small one"),
    ]
    page = command("workloads", run["workload_id"], "--versions", "--limit", "1", "--json").json
    assert [item["version"] for item in page["items"]] == [2]
    older = command("workloads", run["workload_id"], "--versions", "--cursor", page["next_cursor"], "--json").json
    assert [item["version"] for item in older["items"]] == [1]
    assert command("workloads", "wkl_nothing", "--versions").code == Ending.REFUSED


def test_a_workload_is_archived_and_again_and_stays_to_be_read(command, asked):
    workload_id = asked[0]["workload_id"]
    done = command("workloads", "archive", workload_id)
    assert done.code == Ending.DONE, done.err
    assert done.out.startswith(f"Workload {workload_id} is archived since 2")
    again = command("workloads", "archive", workload_id, "--json")
    assert (again.code, again.json["id"]) == (Ending.DONE, workload_id)
    assert again.json["archived_at"] == command("workloads", workload_id, "--json").json["archived_at"]
    assert workload_id not in command("workloads", "--label", "team:browse").out
    assert "(archived)" in command("workloads", "--label", "team:browse", "--archived", "any").out
    assert "archived_at" in command("workloads", workload_id).out
    assert command("workloads", "archive", "wkl_nothing").code == Ending.REFUSED


def test_an_archiving_over_a_newer_version_is_refused(command, served, asked):
    """Somebody changes the workload after it was read."""
    run, body = asked
    asking = served.gate.app

    def change_first(environ, start_response):
        if environ["REQUEST_METHOD"] == "DELETE":
            served.gate.app = asking
            changed(served, run["workload_id"], body | {"name": "newer"})
        return asking(environ, start_response)

    served.gate.app = change_first
    done = command("workloads", "archive", run["workload_id"])
    assert done.code == Ending.REFUSED
    assert "(HTTP 412)" in done.err
    assert command("workloads", run["workload_id"], "--json").json["archived_at"] is None


def test_who_changed_what_is_told_to_administrators(command, served, asked, monkeypatch):
    run, _ = asked
    workload_id = run["workload_id"]
    command("workloads", "archive", workload_id)
    admin = ("--key", served.keys[Role.ADMIN])
    done = command("audit", "--resource", workload_id, *admin)
    assert (done.code, done.err) == (Ending.DONE, "")
    told = re.findall(r"^\d{4}-\d\d-\d\d \S+ +(\S+) +(\S+) *\n +(\S+)", done.out, re.MULTILINE)
    assert told == [("requester", action, workload_id) for action in ("workload.archived", "workload.created")]

    def listed(*arguments):
        answer = command("audit", "--resource", workload_id, *arguments, "--json", *admin)
        assert answer.code == Ending.DONE, answer.err
        return [event["action"] for event in answer.json["items"]]

    assert listed("--action", "workload.archived", "--since", "2026-01-01") == ["workload.archived"]
    assert listed("--resource-kind", "workload", "--principal", "requester") == [action for _, action, _ in told]
    assert listed("--principal", "nobody") == listed("--before", "2026-01-01") == []
    # The longest lines of a terminal of eighty characters: nobody and nothing is cut.
    monkeypatch.setattr("service.client.answers.WIDTH", 80)
    narrow = command("audit", "--resource", workload_id, *admin).out
    assert narrow.count("requester") == 2
    assert "workload.archived" in narrow
    first = command("audit", "--resource", workload_id, "--limit", "1", *admin)
    cursor = re.search(r"--cursor (\S+)", first.out)[1]
    assert listed("--cursor", cursor) == ["workload.created"]
    assert command("audit", "--principal", "nobody", *admin).out == "There are no such events.\n"


def test_the_audit_is_for_administrators_and_wrong_words_are_told(command, served):
    done = command("audit")
    assert done.code == Ending.REFUSED
    assert "(HTTP 403)" in done.err
    done = command("audit", "--action", "workload.made", "--key", served.keys[Role.ADMIN])
    assert done.code == Ending.REFUSED
    assert "headroom: action: " in done.err
    assert json.loads(command("audit", "--json").out)["status"] == 403
