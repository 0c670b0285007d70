"""When a schedule is due: ticks that were missed, that wait, that rest, and whoever holds up nobody else."""

from datetime import timedelta

import pytest

from service.errors import NotFoundError
from service.planning.keys import set_tenant_disabled
from service.planning.schedule.due import begin_due, ring
from service.planning.schedule.reading import (
    get_occurrence,
    get_schedule,
    list_occurrences,
    list_schedules,
)
from service.planning.schedule.writing import change, pause, remove, resume
from service.planning.transact import transact
from service.planning.versions import record_release
from service.store.tables.schedules import OccurrenceStatus, ScheduleRow
from tests.fakes import NOON
from tests.planning.schedule.conftest import DAY_S, dearer, saying


def test_missed_ticks_run_once_for_the_last(acme):
    acme.post("one")
    made = acme.schedule()
    acme.clock.advance(10 * DAY_S)
    assert acme.night() == 1
    found = acme.last(made)
    assert found.due_at == NOON.replace(hour=2) + timedelta(days=10)
    assert begin_due(acme.runtime) == 0
    assert len(list_occurrences(acme.runtime, acme.admin, made.id)) == 1
    assert get_schedule(acme.runtime, acme.admin, made.id).next_at == found.due_at + timedelta(days=1)


def test_two_dispatchers_make_one_occurrence_of_a_tick(acme):
    acme.post("one")
    made = acme.schedule()
    acme.clock.advance(DAY_S)
    assert begin_due(acme.runtime) + begin_due(acme.build()) == 1
    assert len(list_occurrences(acme.runtime, acme.admin, made.id)) == 1


def test_a_tick_waits_while_the_occurrence_before_is_open(acme):
    acme.post("one")
    made = acme.schedule()
    acme.clock.advance(DAY_S)
    assert begin_due(acme.runtime) == 1
    acme.clock.advance(3 * DAY_S)
    assert begin_due(acme.runtime) == 0
    acme.night()
    assert acme.night() == 1
    newer, older = list_occurrences(acme.runtime, acme.admin, made.id)
    assert newer.due_at - older.due_at == timedelta(days=3)


def test_a_paused_schedule_rests_and_makes_up_for_nothing(acme, facts):
    record_release(acme.runtime)
    acme.post("one")
    made = acme.schedule(triggers=["price_book"])
    paused = pause(acme.runtime, acme.admin, made.id, version=made.version, request_id="req_2")
    assert (paused.paused, paused.next_at, paused.version) == (True, None, 2)
    assert pause(acme.runtime, acme.admin, made.id, version=None, request_id="req_2") == paused
    newer = acme.newer(dearer(facts))
    acme.clock.advance(5 * DAY_S)
    assert acme.night(newer) == 0
    resumed = resume(acme.runtime, acme.admin, made.id, version=2, request_id="req_3")
    assert resumed.next_at == NOON.replace(hour=2) + timedelta(days=6)
    assert acme.night(newer) == 0
    acme.clock.advance(DAY_S)
    assert acme.night(newer) == 1


def test_a_tick_that_is_missed_at_the_moment_of_a_change_is_not_forgotten(acme):
    made = acme.schedule()
    acme.clock.advance(DAY_S)
    changed = change(acme.runtime, acme.admin, made.id, saying(name="renamed"), version=None, request_id="req_2")
    assert changed.next_at == made.next_at
    assert begin_due(acme.runtime) == 1


def test_a_removed_schedule_is_due_no_more_and_its_open_occurrence_ends(acme):
    acme.post("one")
    made = acme.schedule()
    acme.clock.advance(DAY_S)
    begin_due(acme.runtime)
    occurrence = acme.last(made)
    remove(acme.runtime, acme.admin, made.id, version=1, request_id="req_2")
    with pytest.raises(NotFoundError):
        get_schedule(acme.runtime, acme.admin, made.id)
    assert list_schedules(acme.runtime, acme.admin) == ()
    acme.clock.advance(DAY_S)
    assert acme.night() == 0
    assert get_occurrence(acme.runtime, acme.admin, occurrence.id).status is OccurrenceStatus.DONE


def test_a_schedule_that_means_nothing_here_holds_up_no_other(acme):
    broken, sound = acme.schedule(name="broken"), acme.schedule(name="sound")

    def break_it(session):
        # Such as a zone that the host has no more since an upgrade.
        session.get(ScheduleRow, broken.id).time_zone = "Mars/Olympus"

    transact(acme.runtime, break_it)
    acme.clock.advance(DAY_S)
    assert begin_due(acme.runtime) == 1
    assert [one.schedule_id for one in list_occurrences(acme.runtime, acme.admin, sound.id)] == [sound.id]
    assert list_occurrences(acme.runtime, acme.admin, broken.id) == ()


def test_a_disabled_tenant_has_nothing_due(acme):
    acme.post("one")
    made = acme.schedule()
    set_tenant_disabled(acme.runtime, acme.admin.tenant_id, disabled=True)
    acme.clock.advance(2 * DAY_S)
    assert acme.night() == 0
    set_tenant_disabled(acme.runtime, acme.admin.tenant_id, disabled=False)
    assert acme.night() == 1
    assert acme.last(made).status is OccurrenceStatus.DONE


def test_a_broker_that_is_away_is_rung_later(acme):
    acme.post("one")
    acme.schedule()
    acme.clock.advance(DAY_S)
    acme.queue.up = False
    assert (begin_due(acme.runtime), ring(acme.runtime)) == (1, 0)
    acme.queue.up = True
    assert ring(acme.runtime) == 1
    assert ring(acme.runtime) == 0
    # A bell that was lost is rung again.
    acme.queue.sent.clear()
    acme.clock.advance(acme.runtime.settings.resend_after_s + 1)
    assert ring(acme.runtime) == 1
