"""The working of an option: stored steps in their order, one tenant's own, and only once the run is done."""

from typing import Any

import orjson
import pytest

from service.planning.execute import execute
from service.store import results
from tests.api.conftest import Speaker
from tests.schemas.requests import ALL, SMALL_CHAT, changed


def broken(*_: Any) -> Any:
    raise RuntimeError("the engine broke")


def working_of(run_id: str, rank: object = 1) -> str:
    return f"/v1/runs/{run_id}/options/{rank}/working"


@pytest.mark.parametrize("name", ALL)
def test_each_option_shows_the_steps_that_were_stored(name, acme: Speaker, runtime, work, check):
    posted = acme.post("/v1/workloads", ALL[name])
    work()
    run = acme.get(posted.headers["Location"]).json
    with runtime.sessions() as session:
        kept = orjson.loads(results.working(session, acme.tenant_id, run["digest"]))
    assert run["result"]["options"]
    assert {str(option["rank"]) for option in run["result"]["options"]} == set(kept)
    for option in run["result"]["options"]:
        shown = check(acme.get(working_of(run["id"], option["rank"])))
        assert shown["steps"] == kept[str(option["rank"])]
        assert all(step["formula"] and step["source"] for step in shown["steps"])
        assert (shown["run_id"], shown["rank"], shown["server"]) == (run["id"], option["rank"], option["server"])
        assert (shown["versions"], shown["digest"]) == (run["versions"], run["digest"])


@pytest.mark.parametrize("rank", ["0", "999", "-1", "01", "1.0", "x", "1" * 5000])
def test_an_unknown_option_is_404(rank, acme: Speaker, work, check):
    run = acme.post("/v1/workloads", SMALL_CHAT).json
    work()
    answer = acme.get(working_of(run["id"], rank))
    assert answer.status_code == 404
    assert "ranked 1 to" in check(answer)["detail"]


def test_where_nothing_fits_there_is_no_option(acme: Speaker, work):
    run = acme.post("/v1/workloads", changed(SMALL_CHAT, "workload.slo", {"ttft_ms": 1, "tpot_ms": 0.1})).json
    work()
    assert "nothing fits" in acme.get(working_of(run["id"])).json["detail"]


def test_another_tenants_working_looks_like_none(acme: Speaker, rival: Speaker, work):
    run = acme.post("/v1/workloads", SMALL_CHAT).json
    assert rival.get(working_of(run["id"])).status_code == 404
    work()
    for rank in (1, 999):
        foreign, none = rival.get(working_of(run["id"], rank)), rival.get(working_of("run_0", rank))
        assert (foreign.status_code, none.status_code) == (404, 404)
        assert foreign.json["detail"].replace(run["id"], "run_0") == none.json["detail"]


def test_before_the_run_is_done_it_is_a_conflict(acme: Speaker, work, check):
    run = acme.post("/v1/workloads", SMALL_CHAT).json
    answer = acme.get(working_of(run["id"]))
    assert answer.status_code == 409
    assert check(answer)["type"] == "/problems/conflict"
    assert "queued" in answer.json["detail"]
    assert answer.headers["Retry-After"] == "1"
    work()
    assert acme.get(working_of(run["id"])).status_code == 200


def test_a_run_without_an_answer_stays_a_conflict(acme: Speaker, runtime, queue):
    run = acme.post("/v1/workloads", SMALL_CHAT).json
    execute(runtime, queue.take(), solve=broken)
    answer = acme.get(working_of(run["id"]))
    assert answer.status_code == 409
    assert "failed" in answer.json["detail"]
    assert "Retry-After" not in answer.headers


def test_who_has_it_already_is_told_so(acme: Speaker, work, check):
    run = acme.post("/v1/workloads", SMALL_CHAT).json
    work()
    first = acme.get(working_of(run["id"]))
    again = acme.get(working_of(run["id"]), If_None_Match=first.headers["ETag"])
    assert again.status_code == 304
    check(again)
    assert acme.get(working_of(run["id"], 2)).headers["ETag"] != first.headers["ETag"]
