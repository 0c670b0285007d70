"""The short way gives what the long way gives, and only to those who may have it."""

import gzip
import json
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError
from werkzeug.test import EnvironBuilder

from service.access import Role
from service.app import create_app
from service.edge.answering import ANSWERING
from service.edge.authentication import remember_keys
from service.edge.context import attach
from service.edge.limits import limit_rates
from service.kept import Kept
from service.planning.keys import create_key, revoke_key
from service.store.tables.keys import ApiKeyRow
from service.store.tables.runs import ResultRow
from tests.api.conftest import Speaker
from tests.schemas.requests import SMALL_CHAT

# A media type with a parameter is out of the ordinary, so Flask answers.
LONG_WAY = {"Accept": "application/json;q=1"}


@pytest.fixture
def done(acme: Speaker, app, work) -> str:
    """The path of a run that this process has kept, read with a key that is trusted for the whole test."""
    remember_keys(app, memory_s=60)
    place = acme.post("/v1/workloads", SMALL_CHAT).headers["Location"]
    work()
    assert acme.get(place).json["status"] == "done"
    return place


@pytest.fixture
def dispatched(app):
    """The requests that came as far as Flask's own hooks."""
    seen: list[str] = []
    app.before_request_funcs[None].append(lambda: seen.append("flask") or None)
    yield seen
    app.before_request_funcs[None].pop()


@pytest.fixture
def known(acme: Speaker, done) -> dict[str, object]:
    """A body whose question was asked in these words and answered, with the answer kept."""
    assert acme.post("/v1/workloads", SMALL_CHAT).json["cached"] is True
    return SMALL_CHAT


GZIP = {"Accept_Encoding": "gzip"}


def without_ids(answer) -> tuple[object, ...]:
    status, headers, data = comparable(answer)
    if ("content-encoding", "gzip") in headers:
        # Its length follows from the ids too.
        data, headers = gzip.decompress(data), [pair for pair in headers if pair[0] != "content-length"]
    body = json.loads(data)
    new = {body["id"]: "run", body["workload_id"]: "wkl", body["created_at"]: "now"}
    text = data.decode()
    for value, name in new.items():
        text = text.replace(value, name)
    return status, [(name, new.get(value.rpartition("/")[2], value)) for name, value in headers], text


def comparable(answer) -> tuple[object, ...]:
    changing = {"x-request-id", "ratelimit-remaining", "ratelimit-reset", "date"}
    headers = sorted((name.lower(), value) for name, value in answer.headers if name.lower() not in changing)
    return answer.status_code, headers, answer.data


@pytest.mark.parametrize("known", [False, True], ids=["200", "304"])
@pytest.mark.parametrize("encoding", [{}, GZIP], ids=["plain", "gzip"])
def test_both_ways_answer_alike(known, encoding, acme: Speaker, done, dispatched):
    tag = {"If_None_Match": acme.get(done).headers["ETag"]} if known else {}
    dispatched.clear()
    short = acme.get(done, **tag, **encoding)
    assert dispatched == []
    long = acme.get(done, **tag, **encoding, **LONG_WAY)
    assert dispatched == ["flask"]
    assert comparable(short) == comparable(long)
    assert short.status_code == (304 if known else 200)
    assert {name for name, _ in short.headers} == {name for name, _ in long.headers}


def test_by_gzip_a_run_is_the_same_in_less(acme: Speaker, done):
    plain, packed = acme.get(done), acme.get(done, Accept_Encoding="gzip, br")
    assert gzip.decompress(packed.data) == plain.data
    assert len(packed.data) < len(plain.data) / 4
    assert (packed.headers["Content-Encoding"], "Content-Encoding" in plain.headers) == ("gzip", False)
    assert packed.headers["Vary"] == plain.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["ETag"] == f"W/{plain.headers['ETag']}"
    # Whoever has it in one form need not read it in the other.
    for tag in (packed.headers["ETag"], plain.headers["ETag"]):
        assert [acme.get(done, If_None_Match=tag, **form).status_code for form in ({}, GZIP)] == [304, 304]


def test_a_run_without_a_result_is_short_and_sent_as_it_is(acme: Speaker):
    posted = acme.post("/v1/workloads", SMALL_CHAT, **GZIP)
    read = acme.get(posted.headers["Location"], **GZIP)
    assert [answer.json["status"] for answer in (posted, read)] == ["queued", "queued"]
    assert not {"Content-Encoding"} & {*posted.headers.keys(), *read.headers.keys()}


def test_both_ways_write_the_same_line(acme: Speaker, done, runtime, capfd):
    loud = create_app(replace(runtime, settings=replace(runtime.settings, log_level="INFO", key_memory_s=60)))
    speaker = replace(acme, client=loud.test_client())
    speaker.get(done)
    lines = []
    for headers in ({}, LONG_WAY):
        capfd.readouterr()
        speaker.get(done, X_Request_Id="mine-1", **headers)
        lines.append(json.loads(capfd.readouterr().err.splitlines()[-1]))
    assert [line["logger"] for line in lines] == ["service.edge.express", "service.edge.requests"]
    changing = {"timestamp", "duration_ms", "logger"}
    short, long = ({name: line[name] for name in line if name not in changing} for line in lines)
    assert short == long
    assert short["request_id"] == "mine-1"


def test_both_ways_count_alike(acme: Speaker, done, runtime, app):
    # No window ends between two calls.
    limit_rates(app, replace(runtime.settings, rate_window_s=1_000_000_000))

    def counted() -> float:
        labels = {"route": "/v1/runs/<run_id>", "method": "GET", "status": "2xx"}
        return runtime.metrics.collected().get_sample_value("headroom_http_requests_total", labels) or 0

    before, standing = counted(), int(acme.get(done).headers["RateLimit-Remaining"])
    assert counted() == before + 1
    assert int(acme.get(done).headers["RateLimit-Remaining"]) == standing - 1
    assert int(acme.get(done, **LONG_WAY).headers["RateLimit-Remaining"]) == standing - 2
    assert counted() == before + 3


def test_a_request_id_of_the_caller_comes_back_and_a_wild_one_does_not(acme: Speaker, done):
    assert acme.get(done, X_Request_Id="abc-1").headers["X-Request-Id"] == "abc-1"
    assert acme.get(done, X_Request_Id="a b").headers["X-Request-Id"] != "a b"


def test_another_tenant_finds_nothing_on_either_way(acme: Speaker, rival: Speaker, done):
    rival.get("/v1/runs")
    for headers in ({}, LONG_WAY):
        assert rival.get(done, **headers).status_code == 404


def test_a_key_whose_role_may_not_is_refused(acme: Speaker, done, runtime):
    key = create_key(runtime, acme.tenant_id, principal="ops", role=Role.OPERATOR)
    operator = replace(acme, token=key.token)
    assert [operator.get(done).status_code for _ in range(2)] == [403, 403]


def test_a_revoked_key_is_refused_after_a_moment(acme: Speaker, done, runtime, app):
    remember_keys(app, memory_s=runtime.settings.key_memory_s)
    assert [acme.get(done).status_code for _ in range(2)] == [200, 200]
    with runtime.sessions() as session:
        key_id = session.query(ApiKeyRow.id).filter_by(tenant_id=acme.tenant_id).scalar()
    revoke_key(runtime, acme.tenant_id, key_id)
    time.sleep(runtime.settings.key_memory_s)
    assert acme.get(done).status_code == 401


@pytest.mark.parametrize("token", ["", "hr_x_y", "\udcff", "x" * 500])
def test_an_unknown_key_takes_the_long_way(token, acme: Speaker, done, dispatched):
    header = f"Bearer {token}".encode("utf-8", "surrogateescape").decode("latin-1")
    assert acme.client.get(done, headers={"Authorization": header}).status_code == 401
    assert dispatched == ["flask"]


def test_one_call_too_many_is_refused_and_none_is_counted_twice(speaker, runtime, app, work, dispatched):
    limit_rates(app, replace(runtime.settings, rate_limit_reads=4, rate_window_s=1_000_000_000))
    remember_keys(app, memory_s=60)
    third = speaker("third")
    place = third.post("/v1/workloads", SMALL_CHAT).headers["Location"]
    work()
    dispatched.clear()
    assert [third.get(place).status_code for _ in range(6)] == [200, 200, 200, 200, 429, 429]
    # The first fills the memory; the refusals are told at the door.
    assert len(dispatched) == 1


def test_the_short_way_asks_the_store_for_nothing(acme: Speaker, done, runtime):
    asked: list[str] = []
    event.listen(runtime.sessions.kw["bind"], "before_cursor_execute", lambda *call: asked.append(call[2]))
    assert acme.get(done).status_code == 200
    assert asked == []


@pytest.mark.parametrize("path", ["/v1/runs/run_0", "/v1/runs/", "/v1/runs/run_%00", "/v1/runs//x"])
def test_what_is_no_run_takes_the_long_way(path, acme: Speaker, done, dispatched):
    assert acme.get(path).status_code == 404
    assert dispatched == ["flask"]


def test_what_is_not_kept_takes_the_long_way(acme: Speaker, done, runtime, app, dispatched):
    attach(app, replace(runtime, kept=Kept(most_bytes=1)))
    assert acme.get(done).status_code == 200
    assert dispatched == ["flask"]


@pytest.mark.parametrize("method", ["HEAD", "DELETE", "POST"])
def test_other_methods_take_the_long_way(method, acme: Speaker, done, dispatched):
    answer = acme.client.open(done, method=method, headers={"Authorization": f"Bearer {acme.token}"})
    assert answer.status_code in {200, 405}
    assert dispatched == ["flask"]


@pytest.mark.parametrize("encoding", [{}, GZIP], ids=["plain", "gzip"])
def test_both_ways_post_alike(encoding, acme: Speaker, known, dispatched):
    dispatched.clear()
    short = acme.post("/v1/workloads", {**known, "name": "short", "labels": {"a": "b"}}, **encoding)
    assert dispatched == []
    long = acme.post("/v1/workloads", {**known, "name": "long"}, **encoding, **LONG_WAY)
    assert dispatched == ["flask"]
    assert without_ids(short) == without_ids(long)
    for posted, name, labels in ((short, "short", {"a": "b"}), (long, "long", {})):
        body = json.loads(gzip.decompress(posted.data) if encoding else posted.data)
        assert body["cached"] is True
        workload = acme.get(f"/v1/workloads/{body['workload_id']}").json
        assert (workload["name"], workload["labels"], workload["principal"]) == (name, labels, "acme-requester")
        assert acme.get(posted.headers["Location"], **encoding).data == posted.data


def test_both_ways_write_one_audit_event(acme: Speaker, speaker, known):
    admin = speaker("acme", Role.ADMIN)
    for headers in ({}, LONG_WAY):
        posted = acme.post("/v1/workloads", known, X_Request_Id="audited-1", **headers).json
        [event_] = admin.get(f"/v1/audit-events?resource_id={posted['workload_id']}").json["items"]
        assert (event_["action"], event_["principal"]) == ("workload.created", "acme-requester")
        assert (event_["request_id"], posted["id"] in event_["new_state"]) == ("audited-1", True)


@pytest.mark.parametrize(
    "headers",
    [{"Idempotency_Key": "k-1"}, {"Prefer": "wait=1"}, {"content_type": "application/json; charset=utf-8"}],
    ids=["key", "prefer", "charset"],
)
def test_an_unusual_post_takes_the_long_way(headers, acme: Speaker, known, dispatched):
    dispatched.clear()
    posted = acme.post("/v1/workloads", data=json.dumps(known).encode(), **headers)
    assert (posted.status_code, posted.json["cached"], dispatched) == (200, True, ["flask"])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 422),
        (b"{}", 422),
        (json.dumps({**SMALL_CHAT, "name": ""}).encode(), 422),
        (json.dumps({**SMALL_CHAT, "nmae": "x"}).encode(), 422),
        (b'{"name": "x", "name": "y"}', 400),
        (b" " * 2_000_000, 413),
    ],
    ids=["broken", "list", "empty", "no name", "typo", "twice", "too large"],
)
def test_a_bad_post_is_refused_as_ever_and_makes_nothing(body, status, acme: Speaker, known, dispatched):
    before = acme.get("/v1/workloads").json["items"]
    dispatched.clear()
    assert acme.post("/v1/workloads", data=body).status_code == status
    assert dispatched == ["flask"]
    assert acme.get("/v1/workloads").json["items"] == before


def test_a_new_question_takes_the_long_way(acme: Speaker, known, dispatched, queue):
    dispatched.clear()
    other = json.loads(json.dumps(known))
    other["workload"]["isl_tokens"] = 777
    assert acme.post("/v1/workloads", other).status_code == 202
    assert (dispatched, len(queue.sent)) == (["flask"], 1)


def test_what_the_store_forgot_is_computed_again(acme: Speaker, known, runtime, queue, dispatched):
    with runtime.sessions.begin() as session:
        session.query(ResultRow).delete()
    dispatched.clear()
    assert acme.post("/v1/workloads", known).status_code == 202
    assert (dispatched, len(queue.sent)) == (["flask"], 1)


def test_a_failing_database_is_told_of_once_and_nothing_is_tried_again(acme: Speaker, known, runtime, dispatched):
    tried: list[str] = []

    def fail(_connection, _cursor, statement, *_) -> None:
        if statement.startswith("INSERT INTO workloads"):
            tried.append(statement)
            raise OperationalError(statement, {}, Exception("gone"))

    engine = runtime.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", fail)
    dispatched.clear()
    answer = acme.post("/v1/workloads", known)
    event.remove(engine, "before_cursor_execute", fail)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert len(tried) == 1
    assert acme.post("/v1/workloads", known).status_code == 200


def test_what_the_driver_says_by_itself_is_told_as_ever(acme: Speaker, known, runtime, queue):
    def renamed(old: str, new: str) -> None:
        with runtime.sessions.begin() as session:
            session.execute(text(f"ALTER TABLE {old} RENAME TO {new}"))

    renamed("audit_events", "elsewhere")
    answer = acme.post("/v1/workloads", known)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    before = acme.get("/v1/runs").json["items"]
    renamed("elsewhere", "audit_events")
    assert acme.post("/v1/workloads", known).status_code == 200
    assert len(acme.get("/v1/runs").json["items"]) == len(before) + 1


class Taker:
    """Takes an answer as the server does: from any thread, and only the first one."""

    def __init__(self) -> None:
        self.left = False
        self.answered = threading.Event()
        self.status_code, self.headers, self.data = 0, [], b""

    def leave(self) -> None:
        self.left = True

    def answer_in_pieces(self, status: int, headers: list[tuple[str, str]], pieces: Iterable[bytes]) -> None:
        self.answer(status, headers, b"".join(pieces))

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status_code, self.headers, self.data = status, headers, body
        self.answered.set()


def posted_and_left(app, acme: Speaker, body: dict[str, object]) -> Taker:
    """What comes of a POST whose server lets it leave its thread."""
    environ = EnvironBuilder(
        path="/v1/workloads", method="POST", json=body, headers={"Authorization": f"Bearer {acme.token}"}
    ).get_environ()
    environ[ANSWERING] = taker = Taker()
    begun: list[str] = []
    returned = app.wsgi_app(environ, lambda status, _: begun.append(status))
    assert (list(returned), begun, taker.left) == ([], [], True)
    assert taker.answered.wait(20)
    return taker


def test_a_post_that_leaves_its_thread_is_answered_alike(app, acme: Speaker, known, dispatched):
    waited = acme.post("/v1/workloads", {**known, "name": "waited"})
    dispatched.clear()
    left = posted_and_left(app, acme, {**known, "name": "left"})
    assert dispatched == []
    assert without_ids(left) == without_ids(waited)
    assert acme.get(f"/v1/workloads/{json.loads(left.data)['workload_id']}").json["name"] == "left"


def test_what_the_store_forgot_is_computed_again_for_one_that_left(app, acme: Speaker, known, runtime, queue):
    with runtime.sessions.begin() as session:
        session.query(ResultRow).delete()
    left = posted_and_left(app, acme, known)
    assert (left.status_code, json.loads(left.data)["status"], len(queue.sent)) == (202, "queued", 1)


@pytest.mark.parametrize("status", [503, 500])
def test_one_that_left_is_told_what_went_wrong(status, app, acme: Speaker, known, runtime):
    error = OperationalError("", {}, Exception("gone")) if status == 503 else KeyError("x")

    def fail(_connection, _cursor, statement, *_) -> None:
        if statement.startswith("INSERT INTO workloads"):
            raise error

    engine = runtime.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", fail)
    left = posted_and_left(app, acme, known)
    event.remove(engine, "before_cursor_execute", fail)
    assert (left.status_code, json.loads(left.data)["status"]) == (status, status)
    assert posted_and_left(app, acme, known).status_code == 200
