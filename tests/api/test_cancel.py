"""POST /v1/runs/{id}/cancel, over HTTP."""

from service.planning.sweep import sweep
from tests.api.conftest import Speaker
from tests.fakes import ListQueue
from tests.schemas.requests import SMALL_CHAT, changed


def test_a_run_is_cancelled_once_and_for_good(acme: Speaker, check, work):
    posted = acme.post("/v1/workloads", SMALL_CHAT).json
    answer = acme.client.post(f"/v1/runs/{posted['id']}/cancel", headers={"Authorization": f"Bearer {acme.token}"})
    assert answer.status_code == 200
    ended = check(answer)
    assert (ended["status"], ended["result"], ended["feasible"], ended["error"]) == ("cancelled", None, None, None)
    assert ended["finished_at"]
    assert acme.post(f"/v1/runs/{posted['id']}/cancel").json == ended
    assert work() == 0
    assert acme.get(f"/v1/runs/{posted['id']}").json == ended
    refused = acme.get(f"/v1/runs/{posted['id']}/options/1/working")
    assert refused.status_code == 409
    assert "Retry-After" not in refused.headers


def test_what_has_ended_is_a_conflict_that_says_so(acme: Speaker, check, work):
    posted = acme.post("/v1/workloads", SMALL_CHAT).json
    work()
    answer = acme.post(f"/v1/runs/{posted['id']}/cancel")
    assert answer.status_code == 409
    assert check(answer)["type"] == "/problems/conflict"
    assert "is done already" in answer.json["detail"]
    assert "Retry-After" not in answer.headers
    assert acme.get(f"/v1/runs/{posted['id']}").json["status"] == "done"


def test_runs_of_others_and_of_nobody_are_not_there(acme: Speaker, rival: Speaker, check):
    posted = acme.post("/v1/workloads", SMALL_CHAT).json
    for answer in (rival.post(f"/v1/runs/{posted['id']}/cancel"), acme.post("/v1/runs/run_0/cancel")):
        assert answer.status_code == 404
        check(answer)
    assert acme.get(f"/v1/runs/{posted['id']}").json["status"] == "queued"


def test_whoever_asked_the_same_is_not_sent_away(acme: Speaker, runtime, queue: ListQueue):
    first, second = (acme.post("/v1/workloads", changed(SMALL_CHAT, "name", name)).json for name in ("one", "two"))
    queue.sent.clear()
    acme.post(f"/v1/runs/{first['id']}/cancel")
    assert queue.sent == [("size_workload", (second["id"],))]
    assert sweep(runtime).settled == 0
