"""What is over goes when its days are over, and what something needs stays; on both databases."""
# ruff: noqa: F811  # the fixture is another folder's

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from service.planning.execute import execute
from service.planning.reading import get_run, list_workload_runs
from service.planning.retention import kept, remove_old
from service.planning.schedule.reading import list_occurrences
from service.planning.submit import submit
from service.planning.sweep import prune
from service.planning.transact import transact
from service.planning.versions import record_release
from service.queue import TaskName
from service.runtime import Runtime
from service.store import batches
from service.store.ids import first_id, new_id
from service.store.tables.audit import AuditEventRow
from service.store.tables.batches import BatchAnswerRow, BatchItemRow, BatchRow, BatchStatus
from service.store.tables.runs import ResultRow, RunRow
from service.store.tables.schedules import OccurrenceItemRow, OccurrenceRow
from service.store.tables.webhooks import WebhookDeliveryRow, WebhookEventRow, WebhookRow
from tests.fakes import NOON
from tests.planning.batch.conftest import asking, post
from tests.planning.conftest import chat
from tests.planning.schedule.conftest import DAY_S, acme, dearer  # noqa: F401 - a fixture

YEAR_S = 366 * DAY_S


def count(runtime: Runtime, table) -> int:
    with runtime.sessions() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def working(runtime, queue):
    while queue.sent:
        task, ids = queue.sent.pop(0)
        assert task is TaskName.SIZE_WORKLOAD
        execute(runtime, *ids)


def remove_all(runtime, **more):
    """However often a slice ends early on a busy machine."""
    for _ in range(100):
        if remove_old(runtime, **more):
            return
    raise AssertionError("it never ends")


def test_ids_say_when_they_were_made():
    assert new_id("run", NOON - timedelta(milliseconds=1)) < first_id("run", NOON) <= new_id("run", NOON)


def test_ended_batches_go_with_their_items_and_answers_a_piece_at_a_time(acme):
    record_release(acme.runtime)
    batch = post(acme.runtime, acme.admin, *(asking(f"{n}", osl_tokens=300 + n) for n in range(5)))
    acme.work()
    acme.clock.advance(89 * DAY_S)
    kept_batch = post(acme.runtime, acme.admin, asking("new", osl_tokens=301))
    acme.work()
    acme.clock.advance(2 * DAY_S)
    remove_all(acme.runtime, piece=2)
    with acme.runtime.sessions() as session:
        assert session.scalars(select(BatchRow.id)).all() == [kept_batch.id]
        assert session.scalars(select(BatchItemRow.batch_id)).all() == [kept_batch.id]
    # Under these versions somebody may ask the same again.
    assert count(acme.runtime, BatchAnswerRow) == 5
    assert batch.id < kept_batch.id


def test_answers_of_versions_that_are_gone_go_when_no_item_has_them(acme, facts):
    record_release(acme.runtime)
    post(acme.runtime, acme.admin, asking("a", osl_tokens=300), asking("b", osl_tokens=301))
    acme.work()
    acme.clock.advance(60 * DAY_S)
    newer = acme.newer(dearer(facts))
    record_release(newer)
    acme.clock.advance(31 * DAY_S)
    remove_all(newer)
    assert count(newer, BatchAnswerRow) == 0


def test_an_open_batch_stays_however_old(acme):
    post(acme.runtime, acme.admin, asking("a"))
    acme.clock.advance(YEAR_S)
    remove_all(acme.runtime)
    assert count(acme.runtime, BatchRow) == 1


def test_occurrences_go_but_the_newest_of_a_schedule(acme):
    acme.post("one")
    made = acme.schedule()
    for _ in range(3):
        acme.clock.advance(DAY_S)
        acme.night()
    acme.clock.advance(200 * DAY_S)
    remove_all(acme.runtime, piece=1)
    [left] = list_occurrences(acme.runtime, acme.admin, made.id)
    assert left.due_at.day == (NOON + timedelta(days=3)).day
    assert (count(acme.runtime, OccurrenceItemRow), count(acme.runtime, BatchRow)) == (1, 1)


@pytest.fixture
def asked(acme, facts):
    """A workload that was answered under versions of the past, and again under those of today; long ago."""
    record_release(acme.runtime)
    workload = acme.post("one")
    newer = acme.newer(dearer(facts))
    acme.clock.advance(DAY_S)
    record_release(newer)
    again = submit(newer, acme.admin, chat(), request_id="req_3")
    acme.queue.sent.clear()
    execute(newer, again.id)
    acme.clock.advance(2 * YEAR_S)
    return workload, again


def test_runs_and_answers_of_the_past_go_and_the_newest_of_a_workload_stays(acme, facts, asked):
    workload, again = asked
    remove_all(acme.runtime)
    # It is the newest of its workload, so it stays, and its answer with it.
    assert len(list_workload_runs(acme.runtime, acme.admin, workload)) == 1
    assert count(acme.runtime, ResultRow) == 2
    assert get_run(acme.runtime, acme.admin, again.id).result is not None


def test_a_run_that_a_newer_one_has_replaced_goes_with_its_answer(acme, facts):
    record_release(acme.runtime)
    workload = acme.post("one")
    newer = acme.newer(dearer(facts))
    acme.clock.advance(DAY_S)
    record_release(newer)
    transact(newer, lambda session: _copy_newer(session, workload))
    acme.clock.advance(2 * YEAR_S)
    assert count(newer, RunRow) == 2
    remove_all(newer)
    [left] = list_workload_runs(newer, acme.admin, workload)
    assert left.id.endswith("ffff")
    # The answer of the one that went is that of the one that stays.
    assert count(newer, ResultRow) == 1
    transact(newer, lambda session: session.get(RunRow, left.id).__setattr__("digest", "sha256:other"))
    remove_all(newer)
    assert count(newer, ResultRow) == 0


def _copy_newer(session, workload_id):
    """Another run of the workload, done a day later."""
    old = session.scalars(select(RunRow).where(RunRow.workload_id == workload_id)).one()
    values = {column.name: getattr(old, column.name) for column in RunRow.__table__.columns}
    moment = old.created_at + timedelta(days=1)
    values |= {"id": f"{first_id('run', moment)}ffff", "created_at": moment, "finished_at": moment}
    session.add(RunRow(**values))


def test_events_go_once_their_deliveries_have_ended(acme):
    at = acme.clock.now

    def work(session):
        tenant = {"tenant_id": acme.admin.tenant_id, "created_at": at}
        session.add(
            WebhookRow(
                id="whk_1", url="https://example.com", events=["run.done"], state="active", secret="s",
                principal="root", changed_at=at, **tenant,
            )
        )  # fmt: skip
        session.flush()
        for number, status in enumerate(("delivered", "pending")):
            session.add(WebhookEventRow(id=f"evt_{number}", name="run.done", subject_id="run_1", body="{}", **tenant))
            session.flush()
            ended = at if status == "delivered" else None
            session.add(
                WebhookDeliveryRow(
                    id=f"whd_{number}", webhook_id="whk_1", event_id=f"evt_{number}", event="run.done", status=status,
                    due_at=at, ended_at=ended, **tenant,
                )
            )  # fmt: skip

    transact(acme.runtime, work)
    acme.clock.advance(29 * DAY_S)
    remove_all(acme.runtime)
    assert count(acme.runtime, WebhookEventRow) == 2
    acme.clock.advance(2 * DAY_S)
    remove_all(acme.runtime)
    with acme.runtime.sessions() as session:
        assert session.scalars(select(WebhookEventRow.id)).all() == ["evt_1"]
        assert session.scalars(select(WebhookDeliveryRow.id)).all() == ["whd_1"]


def test_audit_events_go_after_three_years(acme):
    acme.schedule()
    before = count(acme.runtime, AuditEventRow)
    assert before
    acme.clock.advance(2 * YEAR_S)
    remove_all(acme.runtime)
    assert count(acme.runtime, AuditEventRow) == before
    acme.clock.advance(1.1 * YEAR_S)
    remove_all(acme.runtime, piece=1)
    assert count(acme.runtime, AuditEventRow) == 0


def test_what_is_kept_for_ever_stays(acme):
    acme.schedule()
    for_ever = {one.name: 0 for one in kept(acme.runtime.settings)}
    assert set(for_ever) >= {"runs", "batches", "audit_events"}
    settings = replace(acme.runtime.settings, keep_audit_days=0)
    runtime = replace(acme.runtime, settings=settings)
    acme.clock.advance(10 * YEAR_S)
    remove_all(runtime)
    assert count(runtime, AuditEventRow) > 0


def test_a_person_is_let_through_and_somebody_goes_on(acme):
    for n in range(3):
        post(acme.runtime, acme.admin, asking(f"{n}", osl_tokens=300 + n))
    acme.work()
    acme.clock.advance(YEAR_S)
    acme.queue.enqueue(TaskName.SIZE_WORKLOAD, "run_x")
    assert not remove_old(acme.runtime, piece=1)
    assert acme.queue.sent[-1] == (TaskName.PRUNE, ())
    acme.queue.sent.clear()
    remove_all(acme.runtime)
    assert count(acme.runtime, BatchRow) == 0


def test_batches_that_were_never_received_go_a_piece_at_a_time(acme):
    row = BatchRow(
        id="bat_lost", tenant_id=acme.admin.tenant_id, status=BatchStatus.RECEIVING.value, principal="ann",
        request_id="r", created_at=acme.clock.now,
    )  # fmt: skip
    lines = [{"batch_id": "bat_lost", "line": n, "chunk": 0, "state": "queued", "asked": "{}"} for n in range(5)]

    def work(session):
        batches.add(session, row)
        batches.add_items(session.connection(), lines)

    transact(acme.runtime, work)
    acme.clock.advance(3601)
    gone = transact(acme.runtime, lambda session: batches.forget_unfinished(session, before=acme.clock.now, limit=2))
    assert (gone, count(acme.runtime, BatchItemRow)) == (2, 3)
    prune(acme.runtime)
    assert (count(acme.runtime, BatchItemRow), count(acme.runtime, BatchRow)) == (0, 0)


def test_an_occurrence_that_is_open_stays(acme):
    acme.post("one")
    acme.asked(acme.schedule())
    acme.clock.advance(YEAR_S)
    remove_all(acme.runtime)
    assert count(acme.runtime, OccurrenceRow) == 1
