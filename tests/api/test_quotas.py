"""Quotas of a tenant: calls per window and open runs; one tenant's are nobody else's."""

from dataclasses import replace

import pytest

from service.access import Quota, Role
from service.edge.authentication import remember_keys
from service.edge.context import attach
from service.edge.limits import limit_rates
from service.planning.execute import _Failure, execute
from service.planning.quotas import set_quota
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT, changed


@pytest.fixture(autouse=True)
def _one_long_window(app, runtime):
    """Nobody is remembered, and no window ends in the middle of a test."""
    remember_keys(app, memory_s=0.0)
    limit_rates(app, replace(runtime.settings, rate_window_s=86_400))


def question(n: int):
    return changed(SMALL_CHAT, "workload.isl_tokens", 500 + n)


def test_a_tenant_reads_and_writes_as_often_as_its_quota_says(acme: Speaker, rival: Speaker, runtime):
    set_quota(runtime, acme.tenant_id, Quota(reads=5, writes=2))
    answers = [acme.get("/v1/runs") for _ in range(7)]
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 2
    assert answers[0].headers["RateLimit-Limit"] == "5"
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert "5 calls that read" in refused.json["detail"]
    assert sorted(acme.post("/v1/workloads", question(n)).status_code for n in range(3)) == [202, 202, 429]
    assert rival.get("/v1/runs").headers["RateLimit-Limit"] == str(runtime.settings.rate_limit_reads)


def test_runs_that_wait_are_counted_and_known_answers_are_not(acme: Speaker, rival: Speaker, runtime, work):
    done = acme.post("/v1/workloads", question(0)).json
    work()
    set_quota(runtime, acme.tenant_id, Quota(open_runs=2))
    assert [acme.post("/v1/workloads", question(n)).status_code for n in (1, 2, 3)] == [202, 202, 429]
    refused = acme.post("/v1/workloads", question(3), Idempotency_Key="k")
    assert (refused.status_code, "2 open runs" in refused.json["detail"]) == (429, True)
    assert refused.headers["Retry-After"]
    # A question that is known, or being answered, makes nobody wait.
    assert acme.post("/v1/workloads", question(0)).json["cached"]
    assert acme.post("/v1/workloads", question(1)).status_code == 202
    assert rival.post("/v1/workloads", question(3)).status_code == 202
    work()
    assert acme.post("/v1/workloads", question(3), Idempotency_Key="k").status_code == 202
    assert done["id"]


def test_the_installation_bounds_everybody(app, acme: Speaker, runtime):
    attach(app, replace(runtime, settings=replace(runtime.settings, open_runs_max=1)))
    assert [acme.post("/v1/workloads", question(n)).status_code for n in (1, 2)] == [202, 429]


def test_an_administrator_reads_the_quotas_and_what_is_used(speaker, runtime):
    admin = speaker("acme", Role.ADMIN)
    told = admin.get("/v1/tenant").json
    assert (told["name"], told["reads_max"], told["open_runs"]) == ("acme", runtime.settings.rate_limit_reads, 0)
    set_quota(runtime, admin.tenant_id, Quota(open_runs=7))
    admin.post("/v1/workloads", question(1))
    told = admin.get("/v1/tenant").json
    assert (told["open_runs_max"], told["open_runs"]) == (7, 1)
    actions = [event["action"] for event in admin.get("/v1/audit-events?resource_kind=tenant").json["items"]]
    assert actions == ["tenant.quota_changed", "tenant.created"]
    assert speaker("acme", Role.SELLER).get("/v1/tenant").status_code == 403


def test_operators_see_which_runs_failed_and_nothing_of_whose_they_were(speaker, acme: Speaker, runtime, queue):
    words = {"name": "canary of acme", "labels": {"team": "canary"}}
    runs = [acme.post("/v1/workloads", question(n) | words).json["id"] for n in (1, 2)]
    for run_id in runs:
        execute(runtime, run_id, solve=lambda *_: _Failure(code="engine_error", message="canary", traceback="canary"))
    operator = speaker("ops", Role.OPERATOR)
    answer = operator.get("/v1/dead-letters?limit=1")
    assert [item["id"] for item in answer.json["items"]] == [runs[1]]
    assert (answer.json["items"][0]["code"], answer.json["items"][0]["attempts"]) == ("engine_error", 1)
    rest = operator.get(f"/v1/dead-letters?cursor={answer.json['next_cursor']}")
    assert [item["id"] for item in rest.json["items"]] == [runs[0]]
    for told in (answer.text, rest.text):
        assert "canary" not in told
        assert acme.tenant_id not in told
    assert acme.get("/v1/dead-letters").status_code == 403
