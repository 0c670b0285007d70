"""POST and GET of workloads and runs: the walk of a question, over HTTP."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from sqlalchemy import event
from werkzeug.test import create_environ

from service.edge.context import attach
from service.edge.places import worked_for
from service.edge.waiting import WaitingRoom, preferred_wait_s
from service.kept import Kept
from service.schemas.result import VERSION_FIELDS, PricedOptionSchema, ResultSchema
from tests.api.conftest import Speaker
from tests.fakes import ListQueue
from tests.schemas.requests import ALL, CHAT, SMALL_CHAT, changed


def test_a_new_question_is_accepted_and_later_answered(acme: Speaker, work):
    posted = acme.post("/v1/workloads", SMALL_CHAT)
    assert posted.status_code == 202
    run = posted.json
    assert posted.headers["Location"] == f"/v1/runs/{run['id']}"
    assert posted.headers["Retry-After"] == "1"
    assert (run["status"], run["cached"], run["result"]) == ("queued", False, None)

    waiting = acme.get(posted.headers["Location"])
    assert waiting.status_code == 200
    assert waiting.headers["Retry-After"] == "1"
    assert waiting.json == run

    assert work() == 1
    done = acme.get(posted.headers["Location"])
    assert done.status_code == 200
    assert "Retry-After" not in done.headers
    assert done.json["status"] == "done"
    assert done.json["feasible"] is True
    assert done.json["result"]["options"][0]["servers"] >= 1


@pytest.mark.parametrize("name", ALL)
def test_each_kind_is_answered_with_intervals_and_versions(name, acme: Speaker, work):
    posted = acme.post("/v1/workloads", ALL[name])
    assert posted.status_code == 202, posted.text
    work()
    run = acme.get(posted.headers["Location"]).json
    assert run["status"] == "done", run["error"]
    result = run["result"]
    assert result["digest"] == run["digest"]
    assert result["catalog_version"] == run["versions"]["catalog"]
    assert result["calibration_version"] == run["versions"]["calibration"]
    assert result["engine_version"] == run["versions"]["engine"]
    assert result["feasible"] == bool(result["options"])
    for option in result["options"]:
        assert "working" not in option
        assert option["cost"]["price_book_date"]
        for metric in option["metrics"].values():
            assert metric["p10"] <= metric["p50"] <= metric["p90"]


def test_the_same_question_in_another_dress_is_answered_from_what_is_known(acme: Speaker, work, queue: ListQueue):
    first = acme.post("/v1/workloads", SMALL_CHAT)
    work()
    body = json.dumps(
        {
            "constraints": {"min_confidence_fraction": 0.80, "cooling": None},
            "name": "in another dress",
            "workload": {
                "osl_tokens": 2e2,
                "demand": {"concurrency": 16.0},
                "isl_tokens": {"mean": 1.0e3},
                "serving": "auto",
                "model": "llama-3.1-8b",
                "kind": "inference",
            },
        },
        indent=3,
    )
    again = acme.post("/v1/workloads", data=body.encode())
    assert again.status_code == 200
    assert again.json["cached"] is True
    assert again.json["id"] != first.json["id"]
    assert queue.sent == []
    assert again.json["result"] == acme.get(first.headers["Location"]).json["result"]


def test_an_alias_is_the_same_question(acme: Speaker, work, app):
    aliases = app.extensions["headroom"].catalog.aliases
    alias = next(name for name, model in aliases.items() if model == "llama-3.1-8b" and name != model)
    acme.post("/v1/workloads", SMALL_CHAT)
    work()
    assert acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.model", alias)).json["cached"] is True


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("llama-3.3-70b", "llama-3.3-70b"),
        ("meta-llama/Llama-3.3-70B-Instruct", "llama-3.3-70b"),
        ("Llama 3.1 70B", "llama-3.1-70b"),
    ],
)
def test_a_model_is_told_by_the_name_that_was_asked_for(acme: Speaker, asked: str, told: str):
    """Though its architecture goes by another, and the question is the same one."""
    body = changed(SMALL_CHAT, "workload.model", asked)
    run = acme.post("/v1/workloads", body).json
    kept = acme.get(f"/v1/workloads/{run['workload_id']}").json
    assert kept["workload"]["model"] == told
    assert (
        run["digest"]
        == acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.model", "llama-3.1-70b")).json["digest"]
    )


def test_nothing_fits_is_an_answer(acme: Speaker, work):
    impossible = changed(SMALL_CHAT, "workload.slo", {"ttft_ms": 1, "tpot_ms": 0.1})
    posted = acme.post("/v1/workloads", impossible)
    work()
    run = acme.get(posted.headers["Location"]).json
    assert (run["status"], run["feasible"]) == ("done", False)
    assert run["result"]["options"] == []
    assert run["result"]["shortfall"]["relaxation"]


def test_the_kept_answer_reads_back_into_what_it_was(acme: Speaker, work, runtime):
    for body in ALL.values():
        acme.post("/v1/workloads", body)
    work()
    schema, without_versions = ResultSchema(), ResultSchema(exclude=VERSION_FIELDS)
    for run in acme.get("/v1/runs").json["items"]:
        kept = json.loads(runtime.cache.get(acme.tenant_id, run["digest"]))
        priced = schema.load(kept)
        assert priced.result.options
        versions = {name: kept[name] for name in VERSION_FIELDS}
        assert without_versions.dump(priced) | versions == kept
        assert set(kept["options"][0]) == set(PricedOptionSchema().fields)


def test_an_unknown_model_names_the_field_and_the_nearest(acme: Speaker):
    answer = acme.post("/v1/workloads", changed(CHAT, "workload.model", "lama-3-70b"))
    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/unknown-reference"
    (error,) = answer.json["errors"]
    assert error["field"] == "workload.model"
    assert "llama-3-70b" in error["did_you_mean"]


@pytest.mark.parametrize(
    ("path", "value", "near"),
    [
        ("constraints.allowed_servers", ["poweredge-xe9870"], "poweredge-xe9680"),
        ("constraints.allowed_gpus", ["b200-smx"], "b200-sxm"),
        ("workload.application", "gromax", "gromacs"),
    ],
)
def test_an_unknown_name_is_422(path, value, near, acme: Speaker):
    body = ALL["dynamics"] if "application" in path else CHAT
    answer = acme.post("/v1/workloads", changed(body, path, value))
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"].startswith(path)
    assert any(name.startswith(near) for name in answer.json["errors"][0]["did_you_mean"])


def test_every_unknown_name_is_told_in_one_answer(acme: Speaker):
    body = changed(CHAT, "workload.model", "lama-3-70b")
    body = changed(body, "constraints.allowed_servers", ["poweredge-xe9780-b200", "poweredge-xe9870"])
    answer = acme.post("/v1/workloads", changed(body, "constraints.allowed_gpus", ["b200-smx"]))
    assert (answer.status_code, answer.json["type"]) == (422, "/problems/unknown-reference")
    assert [error["field"] for error in answer.json["errors"]] == [
        "workload.model",
        "constraints.allowed_gpus.0",
        # The names are a set, which is kept sorted.
        "constraints.allowed_servers.1",
    ]
    assert all(error["value"] and error["did_you_mean"] for error in answer.json["errors"])
    assert answer.json["detail"].endswith("And 2 more; see errors.")


def test_every_wrong_field_is_named(acme: Speaker):
    body = changed(changed(CHAT, "workload.isl_tokens", 0), "workload.demand", {"users": 1, "requests_s": 1})
    answer = acme.post("/v1/workloads", changed(body, "workload.sreving", "auto"))
    assert answer.status_code == 422
    assert answer.json["type"] == "/problems/invalid-request"
    assert {error["field"] for error in answer.json["errors"]} == {
        "workload.isl_tokens",
        "workload.demand",
        "workload.sreving",
    }


def test_refused_requests_leave_nothing_behind(acme: Speaker, queue: ListQueue):
    acme.post("/v1/workloads", changed(CHAT, "workload.model", "lama-3-70b"))
    acme.post("/v1/workloads", changed(CHAT, "workload.isl_tokens", 0))
    assert acme.get("/v1/workloads").json == {"items": []}
    assert acme.get("/v1/runs").json == {"items": []}
    assert queue.sent == []


def test_a_workload_is_read_back_spelled_out(acme: Speaker):
    posted = acme.post("/v1/workloads", CHAT).json
    workload = acme.get(f"/v1/workloads/{posted['workload_id']}").json
    assert workload["name"] == "support-chat"
    assert workload["labels"] == {"team": "care"}
    assert workload["constraints"]["allowed_servers"] == ["poweredge-xe7745", "poweredge-xe9780"]
    assert workload["constraints"]["max_racks"] is None
    runs = acme.get(f"/v1/workloads/{posted['workload_id']}/runs").json
    assert [run["id"] for run in runs["items"]] == [posted["id"]]
    # What is read can be posted again and is the same question.
    again = {name: workload[name] for name in ("name", "labels", "workload", "constraints")}
    assert acme.post("/v1/workloads", again).json["digest"] == posted["digest"]


def ids_of_all_pages(speaker: Speaker, path: str, limit: int) -> list[str]:
    found: list[str] = []
    cursor: Any = ""
    while cursor is not None:
        page = speaker.get(f"{path}?limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json
        assert len(page["items"]) <= limit
        found += [item["id"] for item in page["items"]]
        cursor = page.get("next_cursor")
    return found


@pytest.mark.parametrize("limit", [1, 2, 5, 500])
@pytest.mark.parametrize("path", ["/v1/runs", "/v1/workloads"])
def test_pages_show_each_once_newest_first(path, limit, acme: Speaker):
    posted = [acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.isl_tokens", n)).json for n in range(1, 6)]
    expected = [run["id" if path == "/v1/runs" else "workload_id"] for run in posted]
    assert sorted(ids_of_all_pages(acme, path, limit)) == sorted(expected)
    assert ids_of_all_pages(acme, path, limit) == sorted(expected, reverse=True)


def test_runs_can_be_filtered(acme: Speaker, work):
    done = acme.post("/v1/workloads", SMALL_CHAT).json
    work()
    queued = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.isl_tokens", 7)).json
    assert [run["id"] for run in acme.get("/v1/runs?status=done").json["items"]] == [done["id"]]
    filtered = acme.get(f"/v1/runs?workload_id={queued['workload_id']}").json["items"]
    assert [run["id"] for run in filtered] == [queued["id"]]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "limit=-1", "limit=1e1", "cursor=!!", "cursor=%00", "status=finished",
     "lmit=5", "cursor=" + "a" * 300, "offset=3"],
)  # fmt: skip
def test_a_wrong_query_is_422(query, acme: Speaker):
    answer = acme.get(f"/v1/runs?{query}")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["field"] == query.split("=")[0]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=10", 10),
        ("wait=99", 30),
        ("respond-async, wait=5", 5),
        ("WAIT = 7", 7),
        ('wait="3"', 3),
        ("wait=2; foo=bar", 2),
        ("wait=0", 0),
        ("wait=-5", 0),
        ("wait=soon", 0),
        ("", 0),
        ("wait=99999999999999999999", 0),
    ],
)
def test_the_preferred_wait(header, seconds):
    assert preferred_wait_s(header, most_s=30) == seconds


@pytest.fixture
def worker(work) -> Iterator[threading.Event]:
    """Does the work as it comes, once the event is set."""
    begun, stop = threading.Event(), threading.Event()

    def go_on() -> None:
        begun.wait()
        while not stop.wait(0.02):
            work()

    thread = threading.Thread(target=go_on)
    thread.start()
    yield begun
    stop.set()
    begun.set()
    thread.join()


def test_waiting_gives_the_answer_in_one_request(acme: Speaker, worker):
    worker.set()
    answer = acme.post("/v1/workloads", SMALL_CHAT, Prefer="wait=20")
    assert answer.status_code == 200
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert answer.json["status"] == "done"
    assert answer.json["cached"] is False
    assert answer.headers["Location"] == f"/v1/runs/{answer.json['id']}"


def test_whoever_waits_for_a_worker_is_known_to_have_had_one(acme: Speaker, app, worker):
    worker.set()
    headers = {"Authorization": f"Bearer {acme.token}", "Prefer": "wait=20"}

    def known_after(method: str, place: str, body: object = None) -> bool:
        environ = create_environ(place, method=method, json=body, headers=headers)
        assert b'"done"' in b"".join(app.wsgi_app(environ, lambda *_: None))
        return worked_for(environ)

    assert known_after("POST", "/v1/workloads", SMALL_CHAT)
    assert not known_after("POST", "/v1/workloads", SMALL_CHAT)
    place = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.isl_tokens", 501)).headers["Location"]
    assert not known_after("GET", place)


def test_a_run_can_be_waited_for_when_it_is_read(acme: Speaker, worker):
    place = acme.post("/v1/workloads", SMALL_CHAT).headers["Location"]
    early = acme.get(place, Prefer="wait=1")
    assert (early.json["status"], early.headers["Preference-Applied"]) == ("queued", "wait=1")
    assert early.headers["Retry-After"] == "1"
    threading.Timer(0.2, worker.set).start()
    # A tag of the state before ends no wait: what counts is the state afterwards.
    done = acme.get(place, Prefer="wait=20", If_None_Match=early.headers["ETag"])
    assert (done.status_code, done.json["status"], done.headers["Preference-Applied"]) == (200, "done", "wait=20")
    assert "Retry-After" not in done.headers
    again = acme.get(place, Prefer="wait=20")
    assert (again.data, again.headers["ETag"]) == (done.data, done.headers["ETag"])
    assert "Preference-Applied" not in again.headers


def test_waiting_ends_without_an_answer(acme: Speaker):
    answer = acme.post("/v1/workloads", SMALL_CHAT, Prefer="wait=1")
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert answer.json["status"] == "queued"


def test_no_more_than_half_of_the_threads_wait(app, acme: Speaker):
    app.extensions["headroom-waiting-room"] = room = WaitingRoom(1)
    with room.seat() as seated:
        assert seated
        answer = acme.post("/v1/workloads", SMALL_CHAT, Prefer="wait=30")
        read = acme.get(answer.headers["Location"], Prefer="wait=30")
    assert answer.status_code == 202
    assert (read.status_code, read.json["status"]) == (200, "queued")
    for each in (answer, read):
        assert "Preference-Applied" not in each.headers
    with room.seat() as free_again:
        assert free_again


def test_a_broker_that_is_down_does_not_matter_to_the_caller(acme: Speaker, queue: ListQueue):
    queue.up = False
    answer = acme.post("/v1/workloads", SMALL_CHAT)
    assert answer.status_code == 202
    assert queue.refused == 1


def test_a_run_has_a_tag_for_each_state_and_304_for_who_has_it(acme: Speaker, rival: Speaker, work):
    place = acme.post("/v1/workloads", SMALL_CHAT).headers["Location"]
    waiting = acme.get(place)
    tag = waiting.headers["ETag"]
    same = acme.get(place, If_None_Match=tag)
    assert (same.status_code, same.data, same.headers["ETag"]) == (304, b"", tag)
    work()
    done = acme.get(place, If_None_Match=tag)
    assert done.status_code == 200
    assert done.headers["ETag"] != tag
    for known in (done.headers["ETag"], f'"other", W/{done.headers["ETag"]}', "*"):
        assert acme.get(place, If_None_Match=known).status_code == 304
    assert rival.get(place, If_None_Match=done.headers["ETag"]).status_code == 404


def test_a_done_run_is_the_same_to_the_byte_however_it_is_read(acme: Speaker, work, runtime, app):
    place = acme.post("/v1/workloads", SMALL_CHAT).headers["Location"]
    work()
    read = acme.get(place)
    again = acme.post("/v1/workloads", SMALL_CHAT)
    assert acme.get(place).data == read.data
    assert acme.get(again.headers["Location"]).data == again.data
    attach(app, replace(runtime, kept=Kept(most_bytes=1)))
    assert acme.get(place).data == read.data
    assert orjson.loads(read.data) == read.json


def test_the_second_reading_of_a_done_run_asks_the_store_for_the_key_at_most(acme: Speaker, work, runtime):
    place = acme.post("/v1/workloads", SMALL_CHAT).headers["Location"]
    work()
    acme.get(place)
    asked: list[str] = []
    event.listen(runtime.sessions.kw["bind"], "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert acme.get(place).status_code == 200
    assert [query for query in asked if "SELECT" in query and "api_keys" not in query] == []
