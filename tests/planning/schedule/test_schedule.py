import json
from datetime import datetime, timedelta

import pytest

from service.errors import ConflictError, NotFoundError, PreconditionFailedError
from service.planning.audit import list_events
from service.planning.batch.cancel import cancel
from service.planning.batch.reading import get_batch
from service.planning.change import archive
from service.planning.change import change as change_workload
from service.planning.schedule.asking import preview, preview_of, run_now
from service.planning.schedule.due import begin_due
from service.planning.schedule.pages import Pages
from service.planning.schedule.reading import (
    get_occurrence,
    get_schedule,
    list_occurrence_items,
    list_occurrences,
    list_schedules,
    occurrence_results,
)
from service.planning.schedule.resize import resize
from service.planning.schedule.writing import MOST_SCHEDULES, change, create, pause
from service.planning.sweep import prune
from service.planning.transact import transact
from service.planning.versions import record_release
from service.queue import QueueName, TaskName
from service.store import occurrences
from service.store.filters import AuditFilter
from service.store.occurrence_items import OccurrenceItemFilter
from service.store.tables.schedules import OccurrenceStatus, Outcome, Reason
from tests.fakes import NOON
from tests.planning.conftest import chat
from tests.planning.schedule.conftest import DAY_S, dearer, saying


def test_a_night_re_sizes_what_is_selected_and_finds_nothing_new(acme):
    first, second = acme.post("one"), acme.post("two", osl_tokens=300)
    made = acme.schedule()
    assert made.next_at == NOON.replace(hour=2) + timedelta(days=1)
    assert begin_due(acme.runtime) == 0
    acme.clock.advance(DAY_S)
    assert acme.night() == 1
    found = acme.last(made)
    assert (found.status, found.reason, found.due_at) == (OccurrenceStatus.DONE, Reason.CRON, made.next_at)
    assert (found.items, found.sized_items, found.compared_items, found.progress_fraction) == (2, 2, 2, 1.0)
    items = list_occurrence_items(acme.runtime, acme.admin, found.id)
    assert [(item.line, item.workload_id, item.outcome) for item in items] == [
        (1, first, Outcome.UNCHANGED),
        (2, second, Outcome.UNCHANGED),
    ]
    assert all(item.former_id.startswith("run_") and json.loads(item.answer)["feasible"] for item in items)
    batch = get_batch(acme.runtime, acme.admin, found.batch_id)
    # The question had an answer already: nothing was sized.
    assert batch.reused_items == 2
    assert batch.name == f"nightly, {made.next_at:%Y-%m-%d} 02:00 UTC"
    assert get_schedule(acme.runtime, acme.admin, made.id).last_occurrence.id == found.id


def test_a_new_price_book_moves_costs_and_says_so(acme, facts):
    record_release(acme.runtime)
    workload = acme.post("one")
    acme.post("never", slo={"ttft_ms": 1, "tpot_ms": 0.01})
    made = acme.schedule(cron=None, triggers=["price_book", "engine"])
    assert acme.night() == 0
    newer = acme.newer(dearer(facts))
    acme.clock.advance(60)
    assert acme.night(newer) == 1
    found = acme.last(made)
    assert (found.reason, found.news, found.status) == (Reason.RELEASE, ("price_book",), OccurrenceStatus.DONE)
    moved, same = list_occurrence_items(acme.runtime, acme.admin, found.id)
    assert (moved.outcome, moved.causes, moved.workload_id) == (Outcome.MOVED, ("price_book",), workload)
    by_quantity = {one["quantity"]: one for one in moved.changes}
    assert set(by_quantity) == {"cost.total_usd"}
    assert by_quantity["cost.total_usd"]["change_fraction"] == pytest.approx(0.5, abs=0.01)
    assert moved.moved_fraction == by_quantity["cost.total_usd"]["change_fraction"]
    assert same.outcome is Outcome.UNCHANGED
    summary = json.loads(found.summary)
    assert summary["outcomes"] == {"unchanged": 1, "changed": 0, "moved": 1, "first": 0, "unanswered": 0}
    assert summary["causes"] == {"workload": 0, "catalog": 0, "calibration": 0, "price_book": 1, "engine": 0}
    totals = {one["quantity"]: one for one in summary["totals"]}
    assert totals["servers"]["old"] == totals["servers"]["new"]
    assert float(totals["cost.total_usd"]["new"]) > float(totals["cost.total_usd"]["old"])
    assert [one["workload_id"] for one in summary["largest"]] == [workload]
    # The same release is news once, whoever looks.
    acme.clock.advance(60)
    assert acme.night(newer) == 0


def test_the_next_night_compares_with_the_night_before(acme, facts):
    acme.post("one")
    made = acme.schedule()
    acme.clock.advance(DAY_S)
    acme.night(acme.newer(dearer(facts)))
    acme.clock.advance(DAY_S)
    acme.night(acme.newer(dearer(facts)))
    newer, older = list_occurrences(acme.runtime, acme.admin, made.id)
    assert acme.outcomes(older.id) == [Outcome.MOVED]
    [item] = list_occurrence_items(acme.runtime, acme.admin, newer.id)
    assert (item.outcome, item.former_id) == (Outcome.UNCHANGED, older.id)


def test_within_the_threshold_nothing_moved(acme, facts):
    acme.post("one")
    made = acme.schedule(threshold_fraction=0.6)
    acme.clock.advance(DAY_S)
    acme.night(acme.newer(dearer(facts)))
    assert acme.outcomes(acme.last(made).id) == [Outcome.CHANGED]


def test_a_changed_workload_is_a_cause(acme):
    workload = acme.post("one")
    made = acme.schedule()
    change_workload(
        acme.runtime, acme.admin, workload, chat(demand={"requests_s": 500}), version=None, request_id="req_2"
    )
    acme.clock.advance(DAY_S)
    # Its run waits: what was answered last is the version before.
    acme.queue.sent.clear()
    acme.night()
    [item] = list_occurrence_items(acme.runtime, acme.admin, acme.last(made).id)
    assert (item.outcome, item.causes, item.workload_version) == (Outcome.MOVED, ("workload",), 2)


def test_what_was_never_answered_is_answered_for_the_first_time(acme):
    acme.post("one", answered=False)
    made = acme.schedule()
    acme.clock.advance(DAY_S)
    acme.night()
    assert acme.outcomes(acme.last(made).id) == [Outcome.FIRST]


def test_a_selection_narrows(acme):
    kept = acme.post("kept", labels={"team": "care", "tier": "1"})
    acme.post("other team", labels={"team": "core"}, osl_tokens=300)
    gone = acme.post("archived", labels={"team": "care"}, osl_tokens=301)
    archive(acme.runtime, acme.admin, gone, version=None, request_id="req_1")
    waiting = acme.post("waiting", labels={"team": "wait"}, osl_tokens=302, answered=False)
    never = acme.post("never", labels={"team": "none"}, slo={"ttft_ms": 1, "tpot_ms": 0.01}, answered=True)
    acme.queue.sent.clear()

    def names(**selection):
        return {one.id for one in preview(acme.runtime, acme.admin, saying(selection=selection)).workloads}

    assert names(labels={"team": "care"}) == {kept}
    assert names(labels={"team": "care", "tier": "2"}) == set()
    assert names(kind="training") == set()
    assert names(state="infeasible") == {never}
    assert names(state="failed") == set()
    assert names(state="feasible") >= {kept}
    assert never not in names(state="feasible")
    assert names(state="unanswered") <= {waiting}
    assert len(names(asked_within_days=1)) == 4
    assert names(asked_before_days=1) == set()
    acme.clock.advance(3 * DAY_S)
    assert names(asked_within_days=1) == set()
    assert len(names(asked_before_days=2)) == 4


def test_a_preview_tells_ticks_on_the_clock_of_the_zone(acme, stranger):
    acme.post("one")
    said = saying(time_zone="Europe/Berlin")
    found = preview(acme.runtime, acme.admin, said)
    assert found.selected == 1
    assert found.cron_in_words == "At 02:00 every day, Europe/Berlin"
    assert [tick.local for tick in found.ticks[:2]] == ["2026-11-21T02:00:00+01:00", "2026-11-22T02:00:00+01:00"]
    assert len(found.ticks) == 5
    made = create(acme.runtime, acme.admin, said, request_id="req_1")
    assert preview_of(acme.runtime, acme.admin, made.id) == found
    assert preview(acme.runtime, stranger, said).selected == 0
    with pytest.raises(NotFoundError):
        preview_of(acme.runtime, stranger, made.id)
    assert preview(acme.runtime, acme.admin, saying(cron=None, triggers=["engine"])).ticks == ()


def test_a_change_is_over_the_version_that_was_read(acme, stranger):
    made = acme.schedule()
    acme.clock.advance(5)
    asked = saying(cron="0 3 * * *", name="later")
    after = change(acme.runtime, acme.admin, made.id, asked, version=1, request_id="req_2")
    assert (after.name, after.version, after.next_at.hour, after.changed_at) == ("later", 2, 3, acme.clock.now)
    assert change(acme.runtime, acme.admin, made.id, asked, version=2, request_id="req_2") == after
    with pytest.raises(PreconditionFailedError):
        change(acme.runtime, acme.admin, made.id, saying(), version=1, request_id="req_2")
    with pytest.raises(NotFoundError):
        change(acme.runtime, stranger, made.id, saying(), version=None, request_id="req_2")
    pause(acme.runtime, acme.admin, made.id, version=None, request_id="req_3")
    assert change(acme.runtime, acme.admin, made.id, saying(), version=None, request_id="req_4").next_at is None


def test_somebody_asks_for_one_now_and_no_second_one_while_it_is_open(acme, stranger):
    acme.post("one")
    made = acme.schedule()
    asked = run_now(acme.runtime, acme.admin, made.id, request_id="req_2")
    assert (asked.reason, asked.status, asked.principal) == (Reason.REQUEST, OccurrenceStatus.DUE, "root")
    assert acme.queue.sent == [(TaskName.RESIZE_STALE, (asked.id,))]
    with pytest.raises(ConflictError, match="still open"):
        acme.asked(made)
    with pytest.raises(NotFoundError):
        run_now(acme.runtime, stranger, made.id, request_id="req_2")
    acme.clock.advance(60)
    acme.night()
    assert get_occurrence(acme.runtime, acme.admin, asked.id).status is OccurrenceStatus.DONE
    assert acme.asked(made).id > asked.id


def test_an_empty_selection_is_done_at_once(acme):
    made = acme.schedule()
    asked = acme.asked(made)
    acme.clock.advance(60)
    acme.night()
    found = get_occurrence(acme.runtime, acme.admin, asked.id)
    assert (found.status, found.items, found.batch_id) == (OccurrenceStatus.DONE, 0, None)
    assert json.loads(found.summary)["outcomes"]["moved"] == 0


def test_an_occurrence_of_many_pages(acme):
    ids = [acme.post(f"{n}", osl_tokens=300 + n) for n in range(5)]
    acme.pages = Pages(selected=2, compared=2)
    asked = acme.asked(acme.schedule())
    acme.clock.advance(60)
    acme.night()
    found = get_occurrence(acme.runtime, acme.admin, asked.id)
    assert (found.status, found.items, found.compared_items) == (OccurrenceStatus.DONE, 5, 5)
    results = list(occurrence_results(acme.runtime, acme.admin, asked.id))
    assert [(item.line, item.workload_id) for item in results] == list(enumerate(ids, 1))
    page = list_occurrence_items(acme.runtime, acme.admin, asked.id, after_line=2, limit=2)
    assert [item.line for item in page] == [3, 4]
    only = OccurrenceItemFilter(outcome=Outcome.MOVED)
    assert list(occurrence_results(acme.runtime, acme.admin, asked.id, only=only)) == []


def test_more_than_a_batch_may_have_is_cut_and_said(acme):
    for n in range(3):
        acme.post(f"{n}", osl_tokens=300 + n)
    acme.pages = Pages(most_items=2)
    asked = acme.asked(acme.schedule())
    acme.clock.advance(60)
    acme.night()
    found = get_occurrence(acme.runtime, acme.admin, asked.id)
    assert (found.status, found.items, found.error_code) == (OccurrenceStatus.DONE, 2, "selection_too_large")


def test_a_cancelled_batch_ends_the_occurrence_with_what_was_sized(acme):
    acme.post("one")
    asked = acme.asked(acme.schedule())
    resize(acme.runtime, asked.id)
    running = get_occurrence(acme.runtime, acme.admin, asked.id)
    assert (running.status, running.progress_fraction) == (OccurrenceStatus.RUNNING, 0.0)
    cancel(acme.runtime, acme.admin, running.batch_id, request_id="req_3")
    acme.queue.sent.clear()
    acme.night()
    assert get_occurrence(acme.runtime, acme.admin, asked.id).status is OccurrenceStatus.DONE
    assert acme.outcomes(asked.id) == [Outcome.UNANSWERED]


def claim(acme, occurrence_id):
    """What a worker does first, and what is left of it when it dies there."""
    now, lease_s = acme.clock.now, acme.runtime.settings.lease_s
    return transact(acme.runtime, lambda session: occurrences.claim(session, occurrence_id, now=now, lease_s=lease_s))


def test_workers_that_die_again_and_again_end_it(acme):
    acme.post("one")
    asked = acme.asked(acme.schedule())
    for _ in range(acme.runtime.settings.max_attempts):
        assert claim(acme, asked.id) is not None
        assert not resize(acme.runtime, asked.id)
        acme.clock.advance(acme.runtime.settings.lease_s + 1)
    assert resize(acme.runtime, asked.id)
    found = get_occurrence(acme.runtime, acme.admin, asked.id)
    assert (found.status, found.error_code) == (OccurrenceStatus.DONE, "poison")


def test_a_late_worker_writes_nothing(acme):
    """It slept through its lease; another one has taken over."""
    acme.post("one")
    asked = acme.asked(acme.schedule())
    late = claim(acme, asked.id)
    acme.clock.advance(acme.runtime.settings.lease_s + 1)
    assert resize(acme.runtime, asked.id)
    before = get_occurrence(acme.runtime, acme.admin, asked.id)
    stale = {"items": 99, "status": OccurrenceStatus.DONE.value}
    assert not transact(acme.runtime, lambda session: occurrences.write(session, asked.id, late.lease_token, stale))
    assert get_occurrence(acme.runtime, acme.admin, asked.id) == before


def test_a_worker_of_other_versions_leaves_a_release_to_one_that_has_it(acme, facts):
    record_release(acme.runtime)
    acme.post("one")
    made = acme.schedule(cron=None, triggers=["price_book"])
    newer = acme.newer(dearer(facts))
    record_release(newer)
    begin_due(newer)
    occurrence = acme.last(made)
    resize(acme.runtime, occurrence.id)
    assert get_occurrence(acme.runtime, acme.admin, occurrence.id).items == 0
    acme.clock.advance(acme.runtime.settings.resend_after_s + 1)
    acme.night(newer)
    assert acme.outcomes(occurrence.id) == [Outcome.MOVED]


def test_a_persons_question_is_let_through_between_pages(acme):
    for n in range(3):
        acme.post(f"{n}", osl_tokens=300 + n)
    asked = acme.asked(acme.schedule())
    acme.queue.enqueue(TaskName.SIZE_WORKLOAD, "run_x")
    assert acme.queue.depth(QueueName.INTERACTIVE) == 1
    resize(acme.runtime, asked.id, pages=Pages(selected=1))
    assert get_occurrence(acme.runtime, acme.admin, asked.id).items == 1
    assert acme.queue.sent[-1] == (TaskName.RESIZE_STALE, (asked.id,))


def test_its_batch_is_not_taken_for_one_that_was_never_received(acme):
    for n in range(2):
        acme.post(f"{n}", osl_tokens=300 + n)
    asked = acme.asked(acme.schedule())
    acme.queue.enqueue(TaskName.SIZE_WORKLOAD, "run_x")
    resize(acme.runtime, asked.id, pages=Pages(selected=1))
    acme.clock.advance(2 * 3600)
    prune(acme.runtime)
    acme.queue.sent.clear()
    resize(acme.runtime, asked.id)
    assert get_occurrence(acme.runtime, acme.admin, asked.id).items == 2


def test_so_many_schedules_and_no_more(acme):
    for _ in range(MOST_SCHEDULES):
        acme.schedule()
    with pytest.raises(ConflictError, match="remove one"):
        acme.schedule()


def test_lists_are_of_the_tenant_and_narrowed(acme, stranger):
    older = acme.schedule()
    acme.clock.advance(1)
    newer = acme.schedule(name="other")
    pause(acme.runtime, acme.admin, older.id, version=None, request_id="req_2")
    assert [one.id for one in list_schedules(acme.runtime, acme.admin)] == [newer.id, older.id]
    assert [one.id for one in list_schedules(acme.runtime, acme.admin, before_id=newer.id)] == [older.id]
    assert list_schedules(acme.runtime, stranger) == ()
    with pytest.raises(NotFoundError):
        list_occurrences(acme.runtime, stranger, older.id)


def test_the_audit_tells_who_did_what(acme):
    acme.post("one")
    made = acme.schedule()
    acme.clock.advance(DAY_S)
    acme.night()
    occurrence = acme.last(made)
    of_schedule = list_events(acme.runtime, acme.admin, only=AuditFilter(resource_id=made.id))
    assert [(event.action, event.principal) for event in of_schedule] == [("schedule.created", "root")]
    of_occurrence = list_events(acme.runtime, acme.admin, only=AuditFilter(resource_id=occurrence.id))
    assert sorted(event.action for event in of_occurrence) == ["occurrence.created", "occurrence.done"]
    assert {event.principal for event in of_occurrence} == {"the service itself"}
    assert isinstance(occurrence.finished_at, datetime)
