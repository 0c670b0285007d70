"""Keys, roles and tenants: who may call what, and that one tenant never sees another."""

import itertools
import time

import pytest
from flask import Flask

from service.access import PERMISSIONS, Permission, Role
from service.edge.authentication import permission_of
from service.edge.pages import is_page_endpoint
from service.planning.keys import revoke_key, set_tenant_disabled
from tests.api.conftest import Speaker
from tests.schemas.requests import CHAT, SMALL_CHAT, changed

OPEN_PATHS = {"/healthz", "/readyz", "/openapi.json", "/problems/<slug>", "/metrics", "/docs", "/docs/<asset>"}
CANARY = "canary-of-acme-7f3a"


def routes(app: Flask):
    """Those of the interface: the pages have a session in place of a key, and tests of their own."""
    for rule in app.url_map.iter_rules():
        if is_page_endpoint(rule.endpoint):
            continue
        for method in sorted(rule.methods - {"HEAD"}):
            path = rule.rule
            for argument in rule.arguments:
                path = path.replace(f"<{argument}>", "run_x")
            yield rule, method, path


def test_every_blueprint_says_who_may_call(app: Flask):
    for rule, _, _ in routes(app):
        blueprint = rule.endpoint.rpartition(".")[0]
        assert blueprint, f"{rule} belongs to no blueprint"
        hooks = app.before_request_funcs.get(blueprint, [])
        permissions = [permission_of(hook) for hook in hooks if hasattr(hook, "permission")]
        assert len(permissions) == 1, f"blueprint {blueprint} has no authentication hook"
        assert (permissions[0] is None) == (rule.rule in OPEN_PATHS), rule


def test_without_a_key_every_other_route_is_401(app: Flask):
    client = app.test_client()
    for rule, method, path in routes(app):
        answer = client.open(path, method=method)
        if rule.rule in OPEN_PATHS:
            # Where a path names something, there is no run_x.
            assert answer.status_code in ({404} if rule.arguments else {200, 303, 503})
            continue
        assert answer.status_code == 401, f"{method} {path}"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert answer.mimetype == "application/problem+json"
        assert answer.json["type"] == "/problems/unauthenticated"


@pytest.mark.parametrize("role", Role)
def test_a_role_may_what_its_permissions_say(role, app: Flask, speaker):
    somebody: Speaker = speaker("acme", role)
    for rule, method, path in routes(app):
        hooks = app.before_request_funcs[rule.endpoint.rpartition(".")[0]]
        needed = permission_of(hooks[0])
        if needed is None:
            continue
        answer = somebody.client.open(path, method=method, headers={"Authorization": f"Bearer {somebody.token}"})
        assert (answer.status_code == 403) == (needed not in PERMISSIONS[role]), f"{role} {method} {path}"


def test_an_operator_sees_no_tenant_data(speaker):
    operator = speaker("acme", Role.OPERATOR)
    assert operator.get("/v1/runs").status_code == 403
    assert operator.get("/v1/catalog/gpus").status_code == 200
    assert Permission.RUNS not in PERMISSIONS[Role.OPERATOR]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic abc", "Bearer nonsense", "Bearer hr_x_y", "Bearer " + "a" * 10_000,
     "Bearer hr_" + "0" * 12 + "_" + "a" * 43, "Bearer ключ", "bearer\thr_x_y"],
)  # fmt: skip
def test_a_bad_key_is_401(header, app: Flask):
    answer = app.test_client().get("/v1/runs", headers={"Authorization": header.encode().decode("latin-1")})
    assert answer.status_code == 401
    assert "Bearer" in answer.headers["WWW-Authenticate"]


def test_the_scheme_is_case_insensitive(acme: Speaker):
    assert acme.client.get("/v1/runs", headers={"Authorization": f"bEaReR {acme.token}"}).status_code == 200


def test_a_revoked_key_is_401(acme: Speaker, runtime, app):
    assert acme.get("/v1/runs").status_code == 200
    with runtime.sessions() as session:
        key_id = session.connection().exec_driver_sql("select id from api_keys").scalar_one()
    revoke_key(runtime, acme.tenant_id, key_id)
    time.sleep(runtime.settings.key_memory_s)
    assert acme.get("/v1/runs").status_code == 401


def test_a_disabled_tenant_is_403(acme: Speaker, runtime):
    assert acme.get("/v1/runs").status_code == 200
    set_tenant_disabled(runtime, acme.tenant_id, disabled=True)
    time.sleep(runtime.settings.key_memory_s)
    refused = acme.get("/v1/runs")
    assert (refused.status_code, refused.json["type"]) == (403, "/problems/tenant-disabled")
    assert refused.json["title"] == "The tenant of the key is disabled"


def without_chance(answer):
    body = dict(answer.json)
    body.pop("request_id")
    for name in ("instance", "detail"):
        body[name] = "…"
    return answer.status_code, answer.mimetype, body


def test_another_tenants_object_looks_like_none(acme: Speaker, rival: Speaker, work):
    named = {**changed(SMALL_CHAT, "workload.isl_tokens", 777), "name": CANARY, "labels": {CANARY: CANARY}}
    posted = acme.post("/v1/workloads", named).json
    work()
    for path, unknown in (
        (f"/v1/runs/{posted['id']}", "/v1/runs/run_000000000000"),
        (f"/v1/workloads/{posted['workload_id']}", "/v1/workloads/wkl_000000000000"),
        (f"/v1/workloads/{posted['workload_id']}/runs", "/v1/workloads/wkl_000000000000/runs"),
    ):
        assert acme.get(path).status_code == 200
        foreign, none = rival.get(path), rival.get(unknown)
        assert foreign.status_code == 404
        assert without_chance(foreign) == without_chance(none)
        assert len(foreign.json["detail"]) - len(posted["id"]) == len(none.json["detail"]) - len(
            unknown.split("/")[3]
        ) or (foreign.json["detail"].split("'")[0] == none.json["detail"].split("'")[0])


def test_lists_filters_cursors_and_answers_stay_with_the_tenant(acme: Speaker, rival: Speaker, work):
    named = {**SMALL_CHAT, "name": CANARY, "labels": {"note": CANARY}}
    mine = [acme.post("/v1/workloads", {**named, "constraints": {"max_racks": n}}).json for n in (1, 2, 3)]
    work()
    cursors = {name: acme.get(f"/v1/{name}?limit=1").json["next_cursor"] for name in ("runs", "workloads")}
    seen = [
        rival.get("/v1/runs"),
        rival.get("/v1/workloads"),
        rival.get(f"/v1/runs?workload_id={mine[0]['workload_id']}"),
        *(rival.get(f"/v1/{name}?cursor={cursor}") for name, cursor in cursors.items()),
        rival.get("/v1/runs?status=done"),
    ]
    for answer in seen:
        assert answer.json == {"items": []}
    # The same question of another tenant is a run of its own, not somebody else's.
    same = rival.post("/v1/workloads", {**SMALL_CHAT, "constraints": {"max_racks": 1}})
    assert same.json["id"] not in {run["id"] for run in mine}
    assert same.json["cached"] is False
    for answer in (*seen, same):
        assert CANARY not in answer.text
        assert CANARY not in str(answer.headers)


def test_a_body_cannot_choose_its_tenant(acme: Speaker, rival: Speaker):
    for name, value in itertools.product(("tenant_id", "principal", "id", "status"), ("x", rival.tenant_id)):
        assert acme.post("/v1/workloads", {**CHAT, name: value}).status_code == 422
