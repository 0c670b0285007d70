"""Rate limits of the routes: per tenant, per sort of call, over two applications on one Redis, and by address."""

import dataclasses

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from scripts.children import free_port
from service.access import Role
from service.app import create_app
from service.edge.limits import limit_rates
from service.planning.keys import create_key, set_tenant_disabled
from service.runtime import Runtime
from service.settings import Settings
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT

# The window that began in 2001 and ends in 2033, so that no test sees it end.
LIMITS = {"rate_window_s": 1_000_000_000, "rate_limit_reads": 4, "rate_limit_writes": 2, "rate_limit_unknown": 3}


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return dataclasses.replace(settings, **LIMITS)


def standing(answer) -> tuple[int, int]:
    assert 0 < int(answer.headers["RateLimit-Reset"]) <= LIMITS["rate_window_s"]
    return int(answer.headers["RateLimit-Limit"]), int(answer.headers["RateLimit-Remaining"])


def test_a_tenant_has_so_many_reads_and_so_many_writes(acme: Speaker, check):
    told = [standing(acme.get("/v1/runs")) for _ in range(4)]
    assert told == [(4, 3), (4, 2), (4, 1), (4, 0)]
    refused = acme.get("/v1/catalog/gpus")
    assert refused.status_code == 429
    assert check(refused)["type"] == "/problems/rate-limited"
    assert "4 calls that read per 1000000000 s" in refused.json["detail"]
    assert refused.headers["Retry-After"] == refused.headers["RateLimit-Reset"]
    assert standing(refused) == (4, 0)
    # Writing is counted by itself.
    assert [acme.post("/v1/workloads", SMALL_CHAT).status_code for _ in range(3)] == [202, 202, 429]


def test_a_call_that_was_refused_for_its_body_counts_too(acme: Speaker):
    assert [acme.post("/v1/workloads", {}).status_code for _ in range(3)] == [422, 422, 429]


@pytest.mark.parametrize(
    ("call", "status"),
    [
        (lambda acme: acme.get("/v1/nowhere"), 404),
        (lambda acme: acme.get("/nowhere"), 404),
        (lambda acme: acme.get("/v1/runs/run_0/cancel"), 405),
        (lambda acme: acme.get("/v1/runs", Accept="text/html"), 406),
        (lambda acme: acme.get("/v1/nowhere", Accept="text/html"), 406),
        (lambda acme: acme.get("/v1/runs/run_0"), 404),
    ],
)
def test_who_has_a_key_and_looks_around_spends_too(call, status, acme: Speaker):
    assert [call(acme).status_code for _ in range(5)] == [status] * 4 + [429]
    assert acme.get("/v1/runs").status_code == 429


def test_without_a_key_nothing_that_is_nowhere_is_counted(app: Flask):
    assert [app.test_client().get("/v1/nowhere").status_code for _ in range(5)] == [404] * 5


def test_made_up_keys_are_counted_by_address_where_nothing_is_too(app: Flask, runtime):
    limit_rates(app, dataclasses.replace(runtime.settings, rate_limit_unknown=3, rate_window_s=1_000_000_000))
    client = app.test_client()
    answers = [client.get("/v1/nowhere", headers={"Authorization": f"Bearer hr_x_{n}"}) for n in range(5)]
    assert [answer.status_code for answer in answers] == [404] * 3 + [429] * 2


def test_what_is_open_to_all_is_not_limited_with_a_key_either(acme: Speaker):
    answers = [acme.get("/healthz", Accept="text/html") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [406] * 5


def test_a_successful_answer_says_nothing_of_later(acme: Speaker):
    answer = acme.get("/v1/runs")
    assert answer.status_code == 200
    assert "Retry-After" not in answer.headers


def test_tenants_do_not_spend_for_each_other(acme: Speaker, rival: Speaker, runtime: Runtime):
    assert [acme.get("/v1/runs").status_code for _ in range(6)] == [200] * 4 + [429] * 2
    assert [rival.get("/v1/runs").status_code for _ in range(5)] == [200] * 4 + [429]
    # Another key of the same tenant spends from the same allowance.
    key = create_key(runtime, acme.tenant_id, principal="second", role=Role.SELLER)
    assert dataclasses.replace(acme, token=key.token).get("/v1/runs").status_code == 429


def test_two_applications_on_one_redis_have_one_limit(own_app: Flask, runtime: Runtime, acme: Speaker):
    neighbour = dataclasses.replace(acme, client=create_app(runtime).test_client())
    mine = dataclasses.replace(acme, client=own_app.test_client())
    codes = [speaker.get("/v1/runs").status_code for _ in range(3) for speaker in (mine, neighbour)]
    assert codes == [200, 200, 200, 200, 429, 429]


def test_calls_without_a_valid_key_are_limited_by_address(app: Flask, acme: Speaker):
    client: FlaskClient = app.test_client()
    bad = [{}, {"Authorization": "Bearer hr_x_y"}, {"Authorization": f"Bearer hr_{'0' * 12}_{'a' * 43}"}]
    answers = [client.get("/v1/runs", headers=headers) for headers in (*bad, *bad)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429, 429]
    assert "without a valid API key" in answers[-1].json["detail"]
    assert standing(answers[-1]) == (3, 0)
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert client.get("/v1/runs", environ_overrides=elsewhere).status_code == 401
    # Whoever has a key is not refused for what others do from the same address.
    assert acme.get("/v1/runs").status_code == 200


def test_the_keys_of_a_disabled_tenant_count_by_address(acme: Speaker, runtime: Runtime):
    set_tenant_disabled(runtime, acme.tenant_id, disabled=True)
    assert [acme.get("/v1/runs").status_code for _ in range(5)] == [403, 403, 403, 429, 429]


def test_what_is_open_to_all_is_not_limited(app: Flask):
    client = app.test_client()
    for path in ("/healthz", "/openapi.json", "/problems/rate-limited", "/nowhere"):
        answers = [client.get(path) for _ in range(6)]
        assert 429 not in {answer.status_code for answer in answers}, path
        assert not any(name.lower().startswith("ratelimit") for answer in answers for name, _ in answer.headers), path


def test_every_key_in_redis_is_forgotten_by_itself(app: Flask, acme: Speaker, runtime: Runtime):
    acme.get("/v1/runs")
    acme.post("/v1/workloads", {})
    app.test_client().get("/v1/runs", headers={"Authorization": "Bearer hr_x_y"})
    with redis.Redis.from_url(runtime.settings.cache_url) as client:
        names = client.keys("headroom:rate:*")
        assert len(names) == 3
        assert all(client.ttl(name) > 0 for name in names)


def test_without_redis_a_process_counts_its_share_alone(app: Flask, acme: Speaker, settings: Settings):
    limit_rates(app, dataclasses.replace(settings, cache_url=f"redis://127.0.0.1:{free_port()}/0"))
    codes = [acme.get("/v1/runs").status_code for _ in range(4)]
    assert codes == [200, 200, 429, 429]


def test_limited_routes_say_so_in_the_document(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if method == "parameters":
                continue
            limited = path.startswith("/v1/")
            assert ("429" in operation["responses"]) == limited, path
            good = next(r for status, r in operation["responses"].items() if status.startswith(("2", "3")))
            assert ("RateLimit-Remaining" in good.get("headers", {})) == limited, path
    refused = document["components"]["responses"]["TOO_MANY_REQUESTS"]["headers"]
    assert set(refused) >= {"Retry-After", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"}
