"""Idempotency keys over HTTP: what is sent again gets the first answer, to the byte, and makes nothing new."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import func, select

from service.access import Role
from service.edge.context import attach
from service.planning.execute import execute
from service.planning.keys import create_key, revoke_key
from service.queue import QueueName, TaskName
from service.store.tables.audit import AuditEventRow
from service.store.tables.idempotency import IdempotencyRow
from service.store.tables.outbox import OutboxRow
from service.store.tables.runs import RunRow
from service.store.tables.workloads import WorkloadRow
from tests.api.conftest import Speaker
from tests.fakes import FixedClock, ListQueue
from tests.schemas.requests import CHAT, SMALL_CHAT, changed

KEPT = ("Location", "Retry-After", "Preference-Applied", "ETag", "Content-Type", "Content-Length")
DAY_S = 24 * 3600


def post(speaker: Speaker, body=SMALL_CHAT, *, key: str = "once", **headers: str):
    return speaker.post("/v1/workloads", body, Idempotency_Key=key, **headers)


def assert_replayed(again, first) -> None:
    assert (again.status_code, again.data) == (first.status_code, first.data)
    assert [again.headers.get(name) for name in KEPT] == [first.headers.get(name) for name in KEPT]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]


@pytest.fixture
def made(runtime):
    """How many rows of each kind there are."""

    def count() -> dict[str, int]:
        tables = (WorkloadRow, RunRow, OutboxRow, AuditEventRow, IdempotencyRow)
        with runtime.sessions() as session:
            return {table.__tablename__: session.scalar(select(func.count()).select_from(table)) for table in tables}

    return count


@pytest.fixture
def clock(app, runtime) -> FixedClock:
    """The application on a clock that stands."""
    clock = FixedClock(datetime.now(UTC))
    attach(app, replace(runtime, clock=clock))
    return clock


def test_what_is_sent_again_while_it_is_queued_gets_the_first_answer(acme: Speaker, made, queue: ListQueue, check):
    first = post(acme)
    assert (first.status_code, first.json["status"]) == (202, "queued")
    check(first)
    rows, sent = made(), list(queue.sent)
    assert (rows["workloads"], rows["runs"], len(sent)) == (1, 1, 1)
    for _ in range(3):
        again = post(acme)
        assert_replayed(again, first)
        check(again)
    assert (made(), queue.sent) == (rows, sent)


def test_a_replay_is_not_told_as_a_new_run(acme: Speaker, app, runtime, capsys):
    attach(app, runtime)
    post(acme)
    capsys.readouterr()
    assert post(acme).headers["Idempotency-Replayed"] == "true"
    assert "run_submitted" not in capsys.readouterr().err


def test_the_first_answer_stands_when_the_run_is_done(acme: Speaker, work):
    first = post(acme)
    assert work() == 1
    assert acme.get(first.headers["Location"]).json["status"] == "done"
    again = post(acme)
    assert_replayed(again, first)
    assert (again.status_code, again.json["status"]) == (202, "queued")


def test_an_answer_from_what_is_known_is_written_again_from_the_run(acme: Speaker, work, session, made, check):
    acme.post("/v1/workloads", SMALL_CHAT)
    work()
    first = post(acme, Prefer="wait=3")
    assert (first.status_code, first.json["cached"]) == (200, True)
    assert first.headers["Preference-Applied"] == "wait=3"
    rows = made()
    again = post(acme)
    assert_replayed(again, first)
    check(again)
    assert made() == rows
    kept = session.scalars(select(IdempotencyRow)).one()
    assert (kept.status, kept.body, kept.resource_id) == (200, None, first.json["id"])


def test_known_answers_that_are_written_together_keep_each_its_own(acme: Speaker, work, made):
    """Whoever writes for all must not answer for all: each prefers what it prefers."""
    read = acme.get(acme.post("/v1/workloads", SMALL_CHAT).headers["Location"])
    work()
    acme.get(f"/v1/runs/{read.json['id']}")  # from now on the answer is at hand
    preferences = [{}, {"Prefer": "wait=2"}, {"Prefer": "wait=9"}, {}] * 3
    barrier = threading.Barrier(len(preferences))

    def ask(number: int):
        barrier.wait()
        return post(acme, key=f"k{number}", **preferences[number])

    with ThreadPoolExecutor(len(preferences)) as pool:
        firsts = list(pool.map(ask, range(len(preferences))))
    assert made()["idempotency_keys"] == len({first.json["id"] for first in firsts}) == len(preferences)
    for number, (first, preferred) in enumerate(zip(firsts, preferences, strict=True)):
        assert (first.status_code, first.json["cached"]) == (200, True)
        assert first.headers.get("Preference-Applied") == preferred.get("Prefer")
        assert_replayed(post(acme, key=f"k{number}"), first)


@pytest.fixture
def worker(work):
    """A worker that works all the time."""
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(0.02):
            work()

    thread = threading.Thread(target=run)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_waited_answer_is_replayed_as_it_was(acme: Speaker, worker, session):
    first = post(acme, Prefer="wait=20")
    assert (first.status_code, first.json["status"], first.json["cached"]) == (200, "done", False)
    assert_replayed(post(acme, Prefer="wait=20"), first)
    assert_replayed(post(acme), first)
    assert session.scalars(select(IdempotencyRow)).one().body is None


def test_a_wait_in_vain_is_replayed_without_another_wait(acme: Speaker, work):
    first = post(acme, Prefer="wait=1")
    assert (first.status_code, first.headers["Preference-Applied"]) == (202, "wait=1")
    work()
    assert_replayed(post(acme, Prefer="wait=20"), first)


def test_while_the_first_answer_is_waited_for_it_is_409(acme: Speaker, work, queue: ListQueue, check):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(post(acme, Prefer="wait=30")))
    thread.start()
    while not queue.sent:
        thread.join(0.01)
    second = post(acme, Prefer="wait=30")
    other = post(acme, changed(SMALL_CHAT, "name", "another"))
    work()
    thread.join()
    assert (second.status_code, check(second)["type"]) == (409, "/problems/idempotency-in-progress")
    assert second.headers["Retry-After"] == "1"
    assert (other.status_code, check(other)["type"]) == (422, "/problems/idempotency-key-reused")
    (first,) = answers
    assert (first.status_code, first.json["status"]) == (200, "done")
    assert_replayed(post(acme), first)


class FatalQueue(ListQueue):
    """Whoever rings it dies: after the commit, before the answer."""

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        raise SystemExit(1)


@pytest.fixture
def orphan(app, runtime, clock: FixedClock, acme: Speaker) -> str:
    """The run of a request that died while it waited, and whose hold has run out."""
    attach(app, replace(runtime, clock=clock, queue=FatalQueue()))
    with pytest.raises(SystemExit):
        post(acme, Prefer="wait=10")
    attach(app, replace(runtime, clock=clock))
    (run,) = acme.get("/v1/runs").json["items"]
    assert post(acme).status_code == 409
    clock.advance(14.9)
    assert post(acme).status_code == 409
    clock.advance(0.1)
    return run["id"]


@pytest.mark.parametrize("ended", [False, True])
def test_where_the_first_request_died_the_run_as_it_is_becomes_the_answer(ended, runtime, orphan, acme: Speaker, made):
    if ended:
        assert execute(runtime, orphan)
    answer = post(acme)
    assert answer.status_code == (200 if ended else 202)
    assert (answer.json["id"], answer.json["status"]) == (orphan, "done" if ended else "queued")
    assert answer.json == acme.get(answer.headers["Location"]).json
    assert execute(runtime, orphan) is not ended
    again = post(acme)
    assert (again.status_code, again.data) == (answer.status_code, answer.data)
    assert made()["runs"] == 1


def test_who_died_without_a_wait_had_answered_at_the_commit(app, runtime, acme: Speaker, work):
    attach(app, replace(runtime, queue=FatalQueue()))
    with pytest.raises(SystemExit):
        post(acme)
    attach(app, runtime)
    answer = post(acme)
    assert (answer.status_code, answer.json["status"]) == (202, "queued")
    assert [run["id"] for run in acme.get("/v1/runs").json["items"]] == [answer.json["id"]]


SAME = {
    "key order": json.dumps(dict(reversed(CHAT.items()))),
    "spacing": json.dumps(CHAT, indent=7),
    "escapes": json.dumps(CHAT).replace('"fp8"', '"\\u0066p8"'),
    "spelling of numbers": json.dumps(CHAT).replace("2048", "2.048e3"),
}


@pytest.mark.parametrize("text", SAME.values(), ids=SAME)
def test_another_spelling_is_the_same_request(text, acme: Speaker):
    first = post(acme, CHAT)
    again = acme.post("/v1/workloads", data=text.encode(), Idempotency_Key="once")
    assert_replayed(again, first)


OTHER = {
    "name": changed(CHAT, "name", "renamed"),
    "labels": changed(CHAT, "labels", {"team": "other"}),
    "question": changed(CHAT, "workload.horizon_months", 24),
    "a default spelled out": changed(CHAT, "constraints.max_racks", None),
    "what would be refused": changed(CHAT, "workload.model", "lama-3-70b"),
}


@pytest.mark.parametrize("body", OTHER.values(), ids=OTHER)
def test_another_body_is_422_and_makes_nothing(body, acme: Speaker, made, queue: ListQueue, check):
    first = post(acme, CHAT)
    rows, sent = made(), list(queue.sent)
    answer = post(acme, body)
    assert (answer.status_code, check(answer)["type"]) == (422, "/problems/idempotency-key-reused")
    assert "'once'" in answer.json["detail"]
    assert (made(), queue.sent) == (rows, sent)
    assert_replayed(post(acme, CHAT), first)


def test_an_equal_key_of_another_tenant_is_another_key(acme: Speaker, rival: Speaker):
    first, other = post(acme), post(rival, CHAT)
    assert (first.status_code, other.status_code) == (202, 202)
    assert_replayed(post(acme), first)
    assert_replayed(post(rival, CHAT), other)
    assert [len(speaker.get("/v1/runs").json["items"]) for speaker in (acme, rival)] == [1, 1]


def test_a_key_belongs_to_the_tenant_and_not_to_one_principal(acme: Speaker, runtime):
    first = post(acme)
    key = create_key(runtime, acme.tenant_id, principal="somebody else", role=Role.SELLER)
    assert_replayed(post(replace(acme, token=key.token)), first)


def test_a_revoked_key_replays_nothing(acme: Speaker, runtime):
    key = create_key(runtime, acme.tenant_id, principal="leaver", role=Role.REQUESTER)
    leaver = replace(acme, token=key.token)
    assert post(leaver).status_code == 202
    revoke_key(runtime, acme.tenant_id, key.id)
    time.sleep(runtime.settings.key_memory_s)
    answer = post(leaver)
    assert (answer.status_code, answer.json["type"]) == (401, "/problems/unauthenticated")
    assert "Idempotency-Replayed" not in answer.headers


@pytest.mark.parametrize(
    ("body", "status"),
    [(changed(CHAT, "workload.isl_tokens", 0), 422), (changed(CHAT, "workload.model", "lama-3-70b"), 422), ([], 422)],
)
def test_a_refused_request_does_not_use_its_key_up(body, status, acme: Speaker, made):
    assert post(acme, body).status_code == status
    assert made()["idempotency_keys"] == 0
    assert post(acme, CHAT).status_code == 202


def test_what_was_accepted_stays_accepted_whatever_the_catalog_refuses_today(app, runtime, acme: Speaker):
    alias = next(iter(runtime.catalog.aliases))
    body = changed(SMALL_CHAT, "workload.model", alias)
    first = post(acme, body)
    assert first.status_code == 202
    attach(app, replace(runtime, catalog=replace(runtime.catalog, aliases={}, version="sha256:newer")))
    assert acme.post("/v1/workloads", body).status_code == 422
    assert post(acme, body, key="new").status_code == 422
    assert_replayed(post(acme, body), first)


def test_after_a_day_a_key_is_new(acme: Speaker, clock: FixedClock, made):
    first = post(acme)
    clock.advance(DAY_S)
    assert_replayed(post(acme), first)
    clock.advance(0.001)
    later = post(acme, CHAT)
    assert (later.status_code, made()["idempotency_keys"]) == (202, 1)
    assert later.json["id"] != first.json["id"]
    assert_replayed(post(acme, CHAT), later)


WRONG = {
    "empty": "",
    "256 characters": "k" * 256,
    "a space": "two words",
    "quoted": '"8e03978e-40d5-43dd-bc93-6894a57f9324"',
    "a comma": "a,b",
    "beyond ASCII": "schlüssel",
    "a tab": "a\tb",
    "DEL": "a\x7fb",
}


@pytest.mark.parametrize("key", WRONG.values(), ids=WRONG)
def test_a_malformed_key_is_400_before_anything_else(key, acme: Speaker, made, check):
    for body in (SMALL_CHAT, {"workload": None}):
        answer = post(acme, body, key=key)
        assert (answer.status_code, check(answer)["type"]) == (400, "/problems/malformed-idempotency-key")
    assert made()["runs"] == 0


def test_two_keys_are_none(acme: Speaker):
    headers = [("Authorization", f"Bearer {acme.token}"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = acme.client.post("/v1/workloads", json=SMALL_CHAT, headers=headers)
    assert (answer.status_code, answer.json["type"]) == (400, "/problems/malformed-idempotency-key")


@pytest.mark.parametrize("key", ["k", "k" * 255, "!#$%&'()*+-./:;<=>?@[]^_`{|}~", "0"])
def test_a_visible_key_is_taken(key, acme: Speaker):
    first = post(acme, key=key)
    assert_replayed(post(acme, key=key), first)


def test_where_nothing_is_made_the_header_is_nothing(acme: Speaker):
    for key in WRONG.values():
        assert acme.get("/v1/runs", Idempotency_Key=key).status_code == 200


def test_without_a_key_every_post_makes_something(acme: Speaker, made):
    answers = [acme.post("/v1/workloads", SMALL_CHAT) for _ in range(2)]
    assert answers[0].json["id"] != answers[1].json["id"]
    assert (made()["runs"], made()["idempotency_keys"]) == (2, 0)


def test_it_is_described(document):
    described = document["paths"]["/v1/workloads"]["post"]
    (parameter,) = [p for p in described["parameters"] if p["name"] == "Idempotency-Key"]
    assert parameter["schema"]["maxLength"] == 255
    assert {"400", "409", "422"} <= described["responses"].keys()
    for status in ("200", "202"):
        assert "Idempotency-Replayed" in described["responses"][status]["headers"]
