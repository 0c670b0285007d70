"""Problem documents, request ids, headers and log lines: what every answer has, whatever went wrong."""

import json
from pathlib import Path

import pytest
from flask import Flask, jsonify
from sqlalchemy.exc import OperationalError

from service.app import create_app
from service.edge.authentication import open_to_all, permission_of
from service.edge.blueprint import ResourceBlueprint
from service.edge.problems import STATUS
from service.errors import PlannerError, UnavailableError
from service.runtime import Facts, Runtime
from service.schemas.problem import ProblemSchema
from tests.api.conftest import Speaker, attached
from tests.product import detached_app
from tests.schemas.requests import SMALL_CHAT

SECRET = "postgresql://user:hunter2@db.internal/x"


class SurpriseError(Exception):
    """Nobody expected this."""


@pytest.fixture(scope="module")
def breakable_app(facts: Facts, migrated_sqlite: Path) -> Flask:
    """An application with a view that raises what it is told to; no test changes it otherwise."""
    app = detached_app(facts, migrated_sqlite)
    add_broken_view(app)
    return app


@pytest.fixture
def broken_app(breakable_app: Flask, runtime: Runtime) -> Flask:
    return attached(breakable_app, runtime)


def add_broken_view(app: Flask) -> None:
    blueprint = ResourceBlueprint("broken", __name__, permission=None)

    def view():
        raise app.extensions["to raise"]

    blueprint.add_url_rule("/broken", "broken", view)
    app.register_blueprint(blueprint)


def raising(app: Flask, error: BaseException):
    app.extensions["to raise"] = error
    return app.test_client().get("/broken")


def assert_problem(answer, status: int, slug: str) -> None:
    assert answer.status_code == status
    assert answer.mimetype == "application/problem+json"
    assert ProblemSchema().validate(answer.json) == {}
    assert answer.json["type"] == f"/problems/{slug}"
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers["X-Request-Id"]
    assert answer.json["instance"] == answer.request.path


@pytest.mark.parametrize(
    ("method", "path", "status", "slug"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1", 404, "not-found"),
        ("GET", "/v1/runs/", 404, "not-found"),
        ("PUT", "/v1/runs", 405, "method-not-allowed"),
        ("DELETE", "/healthz", 405, "method-not-allowed"),
        ("POST", "/openapi.json", 405, "method-not-allowed"),
        ("GET", "/v1/catalog/toasters", 404, "not-found"),
        ("GET", "/v1/catalog/gpus/h1000", 404, "not-found"),
        ("GET", "/v1/runs/%00", 404, "not-found"),
        ("GET", "/v1/runs/" + "x" * 5000, 404, "not-found"),
        ("GET", "/v1/runs/..%2f..%2fetc%2fpasswd", 404, "not-found"),
    ],
)
def test_what_is_not_there_is_a_problem(method, path, status, slug, acme: Speaker):
    answer = acme.client.open(path, method=method, headers={"Authorization": f"Bearer {acme.token}"})
    assert answer.status_code == status
    assert answer.json["type"] == f"/problems/{slug}"
    assert answer.mimetype == "application/problem+json"
    assert len(answer.data) < 2000
    if status == 405:
        assert "GET" in answer.headers["Allow"]


@pytest.mark.parametrize("kind", STATUS)
def test_each_expected_failure_has_its_status(kind, broken_app: Flask):
    status, title = STATUS[kind]
    answer = raising(broken_app, kind("the way out"))
    assert_problem(answer, status, kind.code.replace("_", "-"))
    assert answer.json["title"] == title
    assert answer.json["detail"] == "the way out"
    assert ("Retry-After" in answer.headers) == (status == 503)


def test_every_error_that_callers_can_cause_is_in_the_table():
    # The last one is noted of an item of a batch where the engine broke on it, and leaves no module.
    ours = {"FactsError", "CalibrationError", "PlannerError", "_EngineError"}
    known = {kind.__name__ for kind in STATUS}
    everything = {kind.__name__ for kind in PlannerError.__subclasses__() if kind.__module__.startswith("service.")}
    assert everything - ours == known


def test_an_error_may_say_when_to_come_back(broken_app: Flask):
    assert raising(broken_app, UnavailableError("later", retry_after_s=17)).headers["Retry-After"] == "17"


def test_a_surprise_is_500_and_tells_nothing(own_app: Flask, capsys):
    add_broken_view(own_app)
    answer = raising(own_app, SurpriseError(SECRET))
    assert_problem(answer, 500, "internal-error")
    assert "hunter2" not in answer.text
    assert "Surprise" not in answer.text
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (fault,) = [line for line in lines if line["event"] == "unexpected_error"]
    assert fault["request_id"] == answer.json["request_id"]
    assert fault["exception"][0]["exc_type"] == "SurpriseError"
    assert "locals" not in fault["exception"][0]["frames"][0]


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_lacks_is_500_and_logged_with_its_place(number, own_app: Flask, capsys):
    blueprint = ResourceBlueprint("figures", __name__, permission=None)
    blueprint.add_url_rule("/figures", "figures", lambda: jsonify(metrics=[{"p50": 1.0}, {"p50": number}]))
    own_app.register_blueprint(blueprint)
    answer = own_app.test_client().get("/figures")
    assert_problem(answer, 500, "internal-error")
    (fault,) = [line for line in map(json.loads, capsys.readouterr().err.splitlines()) if line["level"] == "error"]
    assert fault["error"] == "NotFiniteError"
    assert "metrics.1.p50" in str(fault)


def test_a_database_that_is_down_is_503(broken_app: Flask):
    answer = raising(broken_app, OperationalError("select 1 from secrets", {}, Exception(SECRET)))
    assert_problem(answer, 503, "unavailable")
    assert "hunter2" not in answer.text
    assert "secrets" not in answer.text
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "image/*", "application/json;q=0"])
def test_what_cannot_be_read_is_406(accept, acme: Speaker):
    answer = acme.get("/v1/runs", Accept=accept)
    assert_problem(answer, 406, "not-acceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/*", "text/html, */*;q=0.1", ""])
def test_json_is_acceptable(accept, acme: Speaker):
    assert acme.get("/v1/runs", Accept=accept).status_code == 200


@pytest.mark.parametrize("given", ["abc", "0f8c-11", "A.b_c:d-9", "x" * 128])
def test_a_sane_request_id_is_kept(given, acme: Speaker):
    assert acme.get("/v1/runs", X_Request_Id=given).headers["X-Request-Id"] == given


@pytest.mark.parametrize(
    "given", ["", " ", "a b", "x" * 129, "-x", 'a"b', "é", "a;b", "<script>", "hr_0011_key", "x:hr_0"]
)
def test_another_request_id_is_replaced(given, acme: Speaker):
    answer = acme.get("/v1/runs", X_Request_Id=given)
    assert answer.status_code == 200
    assert answer.headers["X-Request-Id"] != given
    assert len(answer.headers["X-Request-Id"]) == 32


def test_every_answer_is_guarded(acme: Speaker):
    for path in ("/v1/runs", "/nowhere", "/healthz", "/openapi.json", "/v1/catalog/gpus/b200-sxm"):
        headers = acme.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Request-Id"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] in {"no-store", "private, no-cache"}
        assert "Server" not in headers


@pytest.mark.parametrize(("query", "status"), [("", 202), ("?note=\x1b[31mred%0d%0aInjected:%20yes", 422)])
def test_a_request_is_one_line_without_secrets(query, status, runtime, speaker, capsys):
    somebody = speaker("acme")
    client = create_app(
        type(runtime)(**{**{name: getattr(runtime, name) for name in runtime.__slots__}, "settings": _loud(runtime)})
    ).test_client()
    capsys.readouterr()
    answer = client.post(
        f"/v1/workloads{query}",
        json={**SMALL_CHAT, "name": "a name that is nobody's business"},
        headers={"Authorization": f"Bearer {somebody.token}", "X-Request-Id": "trace-me"},
    )
    assert answer.status_code == status
    written = capsys.readouterr().err
    lines = [json.loads(line) for line in written.splitlines()]
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["request_id"] == "trace-me"
    assert line["status"] == status
    assert line["path"] == "/v1/workloads"
    assert line["tenant_id"] == somebody.tenant_id
    assert line["duration_ms"] > 0
    assert somebody.token not in written
    assert somebody.token.split("_", 2)[2] not in written
    assert "nobody's business" not in written
    assert "\x1b" not in written
    assert "Injected" not in written


def _loud(runtime):
    settings = runtime.settings
    return type(settings)(**{**{name: getattr(settings, name) for name in settings.__slots__}, "log_level": "INFO"})


def test_a_blueprint_open_to_all_says_so():
    blueprint = ResourceBlueprint("open", __name__, permission=None)
    said = blueprint.before_request_funcs[None][0]
    assert permission_of(said) is None
    open_to_all(blueprint)
    assert permission_of(blueprint.before_request_funcs[None][-1]) is None


def test_options_is_a_method_that_no_path_has(acme: Speaker, app: Flask):
    paths = sorted({rule.rule for rule in app.url_map.iter_rules()})
    assert {"/v1/runs", "/v1/workloads/<workload_id>", "/openapi.json", "/healthz"} <= set(paths)
    for path in paths:
        answer = acme.client.open(path.replace("<", "").replace(">", ""), method="OPTIONS")
        allowed = {method for rule in app.url_map.iter_rules() if rule.rule == path for method in rule.methods}
        assert (answer.status_code, answer.mimetype) == (405, "application/problem+json"), path
        assert set(answer.headers["Allow"].split(", ")) == allowed, path
        assert "OPTIONS" not in allowed
