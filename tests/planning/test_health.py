from dataclasses import replace

import pytest
from sqlalchemy import text

from service.cache import ResultCache
from service.edge.recent_readiness import KEPT_S
from service.errors import UnavailableError
from service.planning import leadership
from service.planning.execute import execute
from service.planning.health import readiness
from service.planning.heartbeat import DELIVERER, DISPATCHER, WORKER, beat, beat_in_background, silence
from service.planning.submit import submit
from service.planning.transact import read, transact
from service.runtime import build_runtime
from service.settings import Settings
from tests.planning.conftest import chat


def reasons(runtime) -> dict[str, str]:
    return {check.name: check.reason for check in readiness(runtime).checks if not check.ok}


@pytest.fixture
def alive(runtime):
    beat(runtime, "w1", role=WORKER)
    beat(runtime, "d1", role=DISPATCHER)
    beat(runtime, "s1", role=DELIVERER)
    return runtime


def test_ready_when_every_part_answers(alive):
    state = readiness(alive)
    assert state.ready
    assert [check.name for check in state.checks] == [
        "database",
        "broker",
        "cache",
        "worker",
        "dispatcher",
        "queue",
        "deliverer",
    ]


def test_without_a_worker_it_is_not_ready(runtime):
    assert not readiness(runtime).ready
    assert reasons(runtime) == {
        "worker": "no worker has been seen",
        "dispatcher": "no dispatcher has been seen",
        "deliverer": "no deliverer has been seen",
    }


def test_without_a_deliverer_webhooks_wait_and_it_is_ready(alive):
    silence(alive, "s1")
    assert readiness(alive).ready
    assert reasons(alive) == {"deliverer": "no deliverer has been seen"}


def test_how_long_a_worker_may_be_silent_is_a_setting(alive, clock):
    patient = replace(alive, settings=replace(alive.settings, silent_after_s=60.0))
    clock.advance(59)
    assert readiness(patient).ready
    clock.advance(2)
    assert reasons(patient)["worker"] == "no worker has been seen for 61 s"


def test_a_dead_group_of_workers_is_noticed_within_a_quarter_of_a_minute():
    # A look is kept for a moment.
    assert Settings.__dataclass_fields__["silent_after_s"].default + KEPT_S <= 15


def test_a_silent_worker_is_missed(alive, clock):
    clock.advance(11)
    beat(alive, "d1", role=DISPATCHER)
    beat(alive, "s1", role=DELIVERER)
    assert reasons(alive) == {"worker": "no worker has been seen for 11 s"}
    silence(alive, "d1")
    assert "dispatcher" in reasons(alive)


def test_a_run_that_nobody_takes_is_named_although_every_process_beats(alive, caller, clock):
    run = submit(alive, caller, chat(), request_id="req_1")
    clock.advance(alive.settings.queue_age_max_s)
    for process, role in (("w1", WORKER), ("d1", DISPATCHER), ("s1", DELIVERER)):
        beat(alive, process, role=role)
    assert readiness(alive).ready
    clock.advance(1)
    assert not readiness(alive).ready
    assert reasons(alive) == {"queue": "the oldest run that nobody took has waited for 61 s"}
    assert execute(alive, run.id)
    assert readiness(alive).ready


def test_a_broker_that_is_down_is_named(alive, queue):
    queue.up = False
    assert not readiness(alive).ready
    assert "broker" in reasons(alive)["broker"]


def test_a_missing_cache_is_named_and_does_no_harm(alive):
    without = replace(alive, cache=ResultCache("redis://127.0.0.1:1/0", ttl_s=1))
    assert "cache" in reasons(without)
    assert readiness(without).ready


def test_migrations_that_are_due_are_named(alive):
    with alive.sessions.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    assert reasons(alive) == {
        "database": "the database is at revision 0000, migrations are due",
        "worker": "unknown while the database does not answer",
        "dispatcher": "unknown while the database does not answer",
        "queue": "unknown while the database does not answer",
        "deliverer": "unknown while the database does not answer",
    }


@pytest.mark.parametrize(
    "url", ["postgresql+psycopg://nobody@127.0.0.1:1/none", "sqlite:////nonexistent-folder/none.db"]
)
def test_a_database_that_is_away_gives_clear_words(settings, facts, queue, url):
    runtime = build_runtime(replace(settings, database_url=url), facts=facts, queue=queue)
    assert reasons(runtime)["database"] == "the database does not answer"
    for use in (read, transact):
        with pytest.raises(UnavailableError) as caught:
            use(runtime, lambda session: session.execute(text("SELECT 1")))
        assert caught.value.detail.retry_after_s
        assert "127.0.0.1" not in caught.value.message


def test_connections_that_were_cut_are_replaced(build, runtime, caller):
    if runtime.sessions.kw["bind"].dialect.name != "postgresql":
        pytest.skip("SQLite has no connections that others could cut")
    read(runtime, lambda session: session.execute(text("SELECT 1")))
    cut = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    other = build()
    read(other, lambda session: session.execute(cut))
    assert read(runtime, lambda session: session.scalar(text("SELECT 1"))) == 1


def test_heartbeats_come_from_a_thread(runtime):
    stop = beat_in_background(runtime, role=WORKER)
    for _ in range(100):
        if "worker" not in reasons(runtime):
            break
        stop.wait(0.05)
    stop.set()
    assert "worker" not in reasons(runtime)


def test_one_dispatcher_leads(runtime, clock):
    assert leadership.hold(runtime, "one")
    assert not leadership.hold(runtime, "two")
    clock.advance(runtime.settings.dispatcher_lease_s + 0.001)
    assert leadership.hold(runtime, "two")
    assert not leadership.hold(runtime, "one")
    leadership.release(runtime, "two")
    assert leadership.hold(runtime, "one")
