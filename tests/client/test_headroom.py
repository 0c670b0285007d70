"""The client as other programs use it: typed runs, problems as exceptions, retries that make nothing twice."""

import json
import threading
import time
from datetime import UTC, datetime

import pytest

from service.client.headroom import Headroom
from service.client.patience import Patience, retry_after_s
from service.client.problem import ProblemError, UnfinishedError, UnreachableError
from service.client.run import RunStatus

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def headroom(served):
    with Headroom(served.url, served.key) as headroom:
        yield headroom


def posts(served):
    return [headers for method, path, headers in served.gate.seen if (method, path) == ("POST", "/v1/workloads")]


def test_a_workload_is_sized(headroom, question):
    run = headroom.size(question())
    assert (run.status, run.feasible, run.open, run.error) == (RunStatus.DONE, True, False, None)
    assert run.created_at.tzinfo is not None
    assert run.result["options"][0]["servers"] == 1
    assert headroom.run(run.id).result == run.result
    assert headroom.workload(run.workload_id)["name"] == "a small one"


def test_a_run_can_be_watched_while_it_is_waited_for(headroom, served, question):
    served.held.set()
    run = headroom.submit(question())
    assert (run.status, run.result) == (RunStatus.QUEUED, None)
    seen = []

    def watch(run):
        seen.append(run.status)
        threading.Timer(0.2, served.held.clear).start()

    assert headroom.wait(run, watch=watch).status == RunStatus.DONE
    assert seen[0] == RunStatus.QUEUED


def test_waiting_ends_when_it_should(headroom, served, question):
    served.held.set()
    run = headroom.submit(question())
    with pytest.raises(UnfinishedError, match=run.id):
        headroom.wait(run, within_s=0.2)


def test_a_server_where_too_many_wait_is_asked_again_when_it_says(headroom, served, question):
    served.held.set()
    run = headroom.submit(question())
    # Without Preference-Applied nobody has waited.
    served.gate.refuse(200, body=run.document, Retry_After="1")
    threading.Timer(0.1, served.held.clear).start()
    started = time.monotonic()
    assert headroom.wait(run).status == RunStatus.DONE
    assert time.monotonic() - started >= 1
    assert [path for method, path, _ in served.gate.seen if method == "GET"] == [f"/v1/runs/{run.id}"] * 2


def test_sizing_ends_within_its_time_and_gives_its_answer_in_one_request(headroom, served, question):
    assert headroom.size(question()).status == RunStatus.DONE
    assert len(served.gate.seen) == 1
    served.held.set()
    started = time.monotonic()
    with pytest.raises(UnfinishedError, match=r"after 1\.2 s"):
        headroom.size(question(), within_s=1.2)
    assert time.monotonic() - started < 2.2


def test_a_problem_is_an_exception_with_its_fields(headroom, question):
    with pytest.raises(ProblemError, match="wrong field") as raised:
        headroom.submit(question(colour="red"))
    problem = raised.value
    assert (problem.status, problem.type, problem.refused) == (422, "/problems/invalid-request", True)
    assert [error.field for error in problem.errors] == ["workload.colour"]
    assert problem.request_id
    assert problem.document["instance"] == "/v1/workloads"


def test_pages_and_records_are_read(headroom, question):
    ids = {headroom.size(question()).id for _ in range(2)}
    first = headroom.runs(limit=1)
    second = headroom.runs(limit=1, cursor=first.next_cursor)
    assert {first.items[0]["id"], second.items[0]["id"]} == ids
    assert headroom.catalog_record("gpus", "b200-sxm")["facts"]
    assert len(headroom.catalog("racks", limit=2).items) == 2


@pytest.mark.parametrize("status", [429, 503])
def test_a_post_is_tried_again_under_the_same_key(headroom, served, question, status):
    served.gate.refuse(status, times=2, body={"title": "busy"}, Retry_After="0")
    run = headroom.size(question())
    assert run.status == RunStatus.DONE
    keys = [headers["Idempotency-Key"] for headers in posts(served)]
    assert len(keys) == 3
    assert len(set(keys)) == 1
    headroom.size(question())
    assert posts(served)[-1]["Idempotency-Key"] != keys[0]


def test_a_key_of_the_caller_s_own_is_sent(headroom, served, question):
    headroom.submit(question(), idempotency_key="order-7")
    assert posts(served)[-1]["Idempotency-Key"] == "order-7"


def test_a_key_that_is_sent_again_is_the_same_run_and_the_server_is_asked_until_it_tells(served, question):
    served.held.set()
    body, runs, told = question(), [], []

    def pause(problem, _):
        told.append((problem.status, problem.type, problem.retry_after_s))
        served.held.clear()

    def submit():
        with Headroom(served.url, served.key, on_pause=pause) as headroom:
            runs.append(headroom.submit(body, wait_s=20, idempotency_key="order-8"))

    first = threading.Thread(target=submit)
    first.start()
    while not served.queue.sent:
        first.join(0.01)
    submit()
    first.join()
    assert runs[0] == runs[1]
    assert runs[0].status == RunStatus.DONE
    assert set(told) == {(409, "/problems/idempotency-in-progress", 1.0)}
    with Headroom(served.url, served.key) as headroom, pytest.raises(ProblemError) as raised:
        headroom.submit(question(), idempotency_key="order-8")
    assert (raised.value.status, raised.value.refused) == (422, True)


def test_a_broken_connection_is_tried_again(headroom, served, question):
    served.gate.cut()
    assert headroom.size(question()).status == RunStatus.DONE
    assert len({headers["Idempotency-Key"] for headers in posts(served)}) == 1


def test_an_answer_that_is_still_being_made_is_asked_for_again(headroom, served, question):
    served.gate.refuse(409, body={"title": "The first request is still running"}, Retry_After="0")
    assert headroom.size(question()).status == RunStatus.DONE
    served.gate.refuse(409, body={"title": "The run has ended"})
    with pytest.raises(ProblemError, match="has ended"):
        headroom.runs()


def test_a_refusal_is_not_tried_again(headroom, served, question):
    with pytest.raises(ProblemError):
        headroom.submit(question(colour="red"))
    assert len(posts(served)) == 1


def test_patience_ends(served):
    pauses = []
    patience = Patience(unreachable_s=0.5, busy_s=0.5)

    def on_pause(_, pause_s):
        pauses.append(pause_s)

    with Headroom(served.url, served.key, patience=patience, on_pause=on_pause) as headroom:
        served.gate.refuse(503, times=9, body={"title": "down"})
        with pytest.raises(ProblemError, match="down"):
            headroom.runs()
    assert pauses == [0.2]
    with (
        Headroom("http://127.0.0.1:1", "hr_x", patience=patience) as nowhere,
        pytest.raises(UnreachableError, match="Nobody answers"),
    ):
        nowhere.runs()


def test_the_key_goes_to_no_other_address(headroom, served):
    served.gate.refuse(302, body="", Location=f"{served.url}/v1/catalog/racks")
    with pytest.raises(ProblemError, match="moved to"):
        headroom.runs()
    assert len(served.gate.seen) == 1


def test_bytes_are_sent_as_they_are(headroom, question):
    body = question()
    assert headroom.submit(json.dumps(body, indent=9).encode()).kind == "training"
    with pytest.raises(ProblemError) as raised:
        headroom.submit(b'{"workload": {}, "workload": {}}')
    assert raised.value.status == 400


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7),
        ("0", 0),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header, seconds):
    assert retry_after_s(header, now=NOON) == seconds
