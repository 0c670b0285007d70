from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Session

from service.store import processes, results, runs
from service.store.filters import RunFilter
from service.store.runs import Versions
from service.store.tables.runs import RunRow, RunStatus
from service.store.tables.tenants import TenantRow
from service.store.tables.workloads import WorkloadRow
from tests.fakes import NOON
from tests.store.conftest import run_row

VERSIONS = Versions(catalog="c2", calibration="k2", engine="e2", price_book_digest="p2")
LATER = NOON + timedelta(seconds=100)


@pytest.fixture
def session(session: Session) -> Session:
    for tenant in ("a", "b"):
        session.add(TenantRow(id=f"ten_{tenant}", name=tenant, created_at=NOON))
        session.flush()
        session.add(
            WorkloadRow(
                id=f"wkl_{tenant}",
                tenant_id=f"ten_{tenant}",
                labels={"team": "care"},
                kind="inference",
                question="{}",
                version=1,
                principal="ann",
                created_at=NOON,
            )
        )
    session.commit()
    return session


def claim(session: Session, run_id: str = "run_1", *, now: datetime = NOON, most: int = 3) -> RunRow | None:
    return runs.claim(session, run_id, now=now, lease_s=90, max_attempts=most)


def finish(session: Session, token: int) -> bool:
    return runs.finish(session, "run_1", token=token, feasible=True, digest="sha256:w", versions=VERSIONS, now=NOON)


def test_times_come_back_in_utc_whatever_the_database(session):
    berlin = timezone(timedelta(hours=1))
    runs.add(session, run_row(created_at=datetime(2026, 11, 20, 13, 0, 0, 5, tzinfo=berlin)))
    session.commit()
    session.expire_all()
    created_at = runs.get(session, "ten_a", "run_1").created_at
    assert created_at == datetime(2026, 11, 20, 12, 0, 0, 5, tzinfo=UTC)
    assert created_at.utcoffset() == timedelta(0)


def test_a_time_without_a_zone_is_refused(session):
    with pytest.raises(StatementError, match="no time zone"):
        runs.add(session, run_row(created_at=datetime(2026, 11, 20, 12, 0)))  # noqa: DTZ001


def test_one_open_run_per_question_and_tenant(session):
    runs.add(session, run_row())
    with pytest.raises(IntegrityError), session.begin_nested():
        runs.add(session, run_row(id="run_2"))
    runs.add(session, run_row(id="run_3", tenant_id="ten_b", workload_id="wkl_b"))
    runs.add(session, run_row(id="run_4", digest="sha256:2"))
    runs.add(session, run_row(id="run_5", follows_run_id="run_1"))
    runs.add(session, run_row(id="run_6", status="done", finished_at=NOON))
    runs.add(session, run_row(id="run_7", status="done", finished_at=NOON))


def test_a_running_question_is_open_too(session):
    runs.add(session, run_row())
    assert claim(session)
    with pytest.raises(IntegrityError), session.begin_nested():
        runs.add(session, run_row(id="run_2"))


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "lost"},
        {"status": "done"},
        {"status": "failed", "finished_at": NOON},
        {"status": "queued", "error_code": "poison"},
        {"attempts": -1},
        {"attempts": 2, "lease_token": 1},
    ],
)
def test_rows_that_mean_nothing_are_refused(session, changes):
    with pytest.raises(IntegrityError), session.begin_nested():
        runs.add(session, run_row(**changes))


def test_only_one_claim_succeeds_until_the_lease_runs_out(session):
    runs.add(session, run_row())
    first = claim(session)
    assert (first.attempts, first.lease_token, first.status) == (1, 1, "running")
    assert claim(session) is None
    assert claim(session, now=NOON + timedelta(seconds=90)) is None
    second = claim(session, now=NOON + timedelta(seconds=91))
    assert (second.attempts, second.lease_token) == (2, 2)
    assert second.started_at == NOON


def test_no_claim_beyond_the_last_attempt(session):
    runs.add(session, run_row())
    for number in range(3):
        assert claim(session, now=NOON + number * timedelta(seconds=100)) is not None
    assert claim(session, now=NOON + timedelta(days=1)) is None


def test_a_stale_token_writes_nothing(session):
    runs.add(session, run_row())
    claim(session)
    claim(session, now=LATER)
    assert not finish(session, 1)
    stale = {"code": "engine_error", "message": "x", "traceback": None, "now": NOON}
    assert not runs.fail(session, "run_1", token=1, **stale)
    assert finish(session, 2)
    assert not finish(session, 2)
    row = runs.get(session, "ten_a", "run_1")
    session.refresh(row)
    assert (row.status, row.digest, row.engine_version, row.error_code) == ("done", "sha256:w", "e2", None)


def test_a_finished_run_is_never_claimed(session):
    runs.add(session, run_row())
    claim(session)
    finish(session, 1)
    assert claim(session, now=LATER) is None


def test_followers_are_never_claimed_and_end_with_their_leader(session):
    runs.add(session, run_row())
    runs.add(session, run_row(id="run_2", follows_run_id="run_1"))
    assert claim(session, "run_2") is None
    claim(session)
    follower = runs.get(session, "ten_a", "run_2")
    session.refresh(follower)
    assert follower.status == "running"
    finish(session, 1)
    session.refresh(follower)
    assert (follower.status, follower.digest, follower.finished_at) == ("done", "sha256:w", NOON)


def test_a_follower_that_was_left_behind_is_found_and_settled(session):
    runs.add(session, run_row())
    claim(session)
    runs.fail(session, "run_1", token=1, code="time_limit", message="slow", traceback="secret", now=NOON)
    runs.add(session, run_row(id="run_2", digest="sha256:1", follows_run_id="run_1"))
    [(follower, leader)] = runs.orphans(session, limit=10)
    session.refresh(leader)
    runs.settle(session, follower, leader, now=LATER)
    session.refresh(follower)
    assert (follower.status, follower.error_code, follower.finished_at) == ("failed", "time_limit", LATER)
    assert runs.orphans(session, limit=10) == []


def test_runs_of_another_tenant_do_not_exist(session):
    runs.add(session, run_row())
    assert runs.get(session, "ten_b", "run_1") is None
    assert runs.newest(session, "ten_b", only=RunFilter()) == []
    assert runs.leader_of(session, "ten_b", "sha256:1") is None


def test_pages_are_newest_first(session):
    for number in range(5):
        runs.add(session, run_row(id=f"run_{number}", digest=f"sha256:{number}"))
    assert [row.id for row in runs.newest(session, "ten_a", only=RunFilter(), limit=2)] == ["run_4", "run_3"]
    assert [row.id for row in runs.newest(session, "ten_a", only=RunFilter(), before_id="run_3", limit=9)] == [
        "run_2",
        "run_1",
        "run_0",
    ]
    assert runs.newest(session, "ten_a", only=RunFilter(status=RunStatus.DONE)) == []


def test_unclaimed_runs_are_found_however_old(session):
    runs.add(session, run_row())
    runs.add(session, run_row(id="run_2", digest="sha256:2", sent_at=NOON))
    year_later = NOON + timedelta(days=365)
    assert [bell.run_id for bell in runs.unclaimed(session, sent_before=year_later, limit=9)] == ["run_1", "run_2"]
    runs.mark_sent(session, ["run_1"], now=year_later)
    assert [bell.run_id for bell in runs.unclaimed(session, sent_before=year_later, limit=9)] == ["run_2"]


def test_expired_runs_are_rung_for_once_per_pause(session):
    runs.add(session, run_row(sent_at=NOON))
    claim(session)
    far = NOON + timedelta(days=30)
    assert [row.id for row in runs.expired(session, now=far, sent_before=NOON, limit=9)] == ["run_1"]
    runs.mark_sent(session, ["run_1"], now=far)
    assert runs.expired(session, now=far, sent_before=far, limit=9) == []
    later = far + timedelta(seconds=31)
    assert len(runs.expired(session, now=later, sent_before=later, limit=9)) == 1


def test_an_answer_is_written_once(session):
    first = results.StoredAnswer(body=b'{"a":1}', working=b'{"1":[]}', feasible=True)
    second = results.StoredAnswer(body=b'{"a":2}', working=b"{}", feasible=False)
    assert results.put(session, "ten_a", "sha256:1", first, now=NOON)
    assert not results.put(session, "ten_a", "sha256:1", second, now=LATER)
    assert results.body(session, "ten_a", "sha256:1") == b'{"a":1}'
    assert results.working(session, "ten_a", "sha256:1") == b'{"1":[]}'
    assert results.working(session, "ten_b", "sha256:1") is None
    assert results.feasible(session, "ten_a", "sha256:1") is True
    assert results.body(session, "ten_b", "sha256:1") is None


def test_one_process_leads_and_the_standby_takes_over(session):
    def hold(process: str, seconds: float) -> bool:
        return processes.hold(session, "dispatcher", process, now=NOON + timedelta(seconds=seconds), for_s=10)

    assert hold("one", 0)
    assert not hold("two", 5)
    assert hold("one", 9)
    assert not hold("two", 18)
    assert hold("two", 20)
    assert not hold("one", 21)
    processes.release(session, "dispatcher", "two", now=NOON + timedelta(seconds=22))
    assert hold("one", 22)


def test_heartbeats_are_seen_and_forgotten(session):
    processes.beat(session, "w1", role="worker", now=NOON)
    processes.beat(session, "w1", role="worker", now=LATER)
    assert processes.last_seen(session, "worker") == LATER
    assert processes.last_seen(session, "dispatcher") is None
    assert processes.forget_silent(session, before=LATER + timedelta(seconds=1)) == 1
    assert processes.last_seen(session, "worker") is None
