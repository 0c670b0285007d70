"""Characters that no id has, and PostgreSQL no text: in paths nothing is there, in queries they are refused."""

from dataclasses import replace
from urllib.parse import quote

import pytest

from service.access import Role
from service.app import create_app
from service.planning.keys import create_key, create_tenant
from service.runtime import build_runtime
from tests.api.conftest import Speaker

PATHS = (
    ("GET", "/v1/runs/{}"),
    ("POST", "/v1/runs/{}/cancel"),
    ("GET", "/v1/runs/{}/diff/run_1"),
    ("GET", "/v1/runs/run_1/diff/{}"),
    ("GET", "/v1/runs/{}/options/1/working"),
    ("GET", "/v1/runs/run_1/options/{}/working"),
    ("GET", "/v1/workloads/{}"),
    ("DELETE", "/v1/workloads/{}"),
    ("GET", "/v1/workloads/{}/runs"),
    ("GET", "/v1/workloads/{}/versions"),
    ("GET", "/v1/workloads/{}/versions/1"),
    ("GET", "/v1/catalog/gpus/{}"),
)
QUERIES = (
    "/v1/runs?workload_id={}",
    "/v1/runs?label={}:x",
    "/v1/runs?label=x:{}",
    "/v1/runs?status={}",
    "/v1/runs?cursor={}",
    "/v1/workloads?name={}",
    "/v1/audit-events?principal={}",
    "/v1/audit-events?resource_id={}",
    "/v1/audit-events?action={}",
)


@pytest.fixture
def admin(settings, database_url, facts, queue):
    """Whoever may do everything, on each database."""
    runtime = build_runtime(replace(settings, database_url=database_url), facts=facts, queue=queue)
    tenant_id = create_tenant(runtime, "acme")
    key = create_key(runtime, tenant_id, principal="ann", role=Role.ADMIN)
    yield Speaker(client=create_app(runtime).test_client(), tenant_id=tenant_id, token=key.token)
    runtime.sessions.kw["bind"].dispose()


def test_an_unprintable_name_is_nothing_s(admin):
    headers = {"Authorization": f"Bearer {admin.token}", "If-Match": "*"}
    for method, path in PATHS:
        for name in ("\0", "run_1\0", "run_1\n", "\x7f", "ruñ", "\ud7ff\U0010ffff"):
            answer = admin.client.open(path.format(quote(name)), method=method, headers=headers)
            assert (answer.status_code, answer.json["type"]) == (404, "/problems/not-found"), (method, path, name)


def test_it_is_nothing_s_to_whoever_has_a_key_only(admin):
    assert admin.client.get("/v1/runs/%00").status_code == 401


def test_an_unprintable_value_in_a_query_is_refused(admin):
    for path in QUERIES:
        for value in ("\0", "x\0", "x\n"):
            assert admin.get(path.format(quote(value))).status_code == 422, (path, value)
