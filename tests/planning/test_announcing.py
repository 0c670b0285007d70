import json
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.planning.execute import execute
from service.planning.reading import get_run, run_answer
from service.planning.submit import submit
from service.planning.transact import read, transact
from service.planning.webhooks import Announcement, EventName, announce, listened_to
from service.quoting.steps import QuoteStep
from service.schemas.event import EVENTS, SUBSCRIBABLE
from service.store.tables.webhooks import WebhookDeliveryRow, WebhookEventRow, WebhookRow
from tests.fakes import NOON
from tests.planning.conftest import chat


def hook(runtime, caller, *, events=("run.done",), state="active", name="whk_1"):
    def add(session):
        session.add(
            WebhookRow(
                id=name,
                tenant_id=caller.tenant_id,
                url="https://hooks.example/x",
                events=list(events),
                state=state,
                disabled_reason=None if state == "active" else "said so",
                secret="whsec_x",
                principal="ann",
                created_at=NOON,
                changed_at=NOON,
            )
        )

    transact(runtime, add)
    runtime.listeners.forget(caller.tenant_id)


def done(caller, *, name=EventName.RUN_DONE, subject_id="run_1"):
    return Announcement(
        tenant_id=caller.tenant_id,
        name=name,
        subject_id=subject_id,
        href=f"/v1/runs/{subject_id}",
        data={"status": "done", "feasible": True},
        at=NOON,
    )


def announced(runtime, *what):
    return transact(runtime, lambda session: announce(runtime, session, *what))


def rows(runtime, table):
    return read(runtime, lambda session: list(session.scalars(select(table))))


def test_an_event_and_a_delivery_for_each_that_listens(runtime, caller, stranger):
    hook(runtime, caller)
    hook(runtime, caller, events=("batch.done", "run.done"), name="whk_2")
    hook(runtime, caller, events=("batch.done",), name="whk_3")
    hook(runtime, caller, state="disabled", name="whk_4")
    hook(runtime, stranger, name="whk_5")
    assert announced(runtime, done(caller)) == 2
    [event] = rows(runtime, WebhookEventRow)
    deliveries = rows(runtime, WebhookDeliveryRow)
    assert {(one.webhook_id, one.event_id, one.status) for one in deliveries} == {
        ("whk_1", event.id, "pending"),
        ("whk_2", event.id, "pending"),
    }
    assert {one.due_at for one in deliveries} == {NOON}
    assert json.loads(event.body) == {
        "id": event.id,
        "event": "run.done",
        "created_at": "2026-11-20T12:00:00Z",
        "subject": {"kind": "run", "id": "run_1", "href": "/v1/runs/run_1"},
        "data": {"status": "done", "feasible": True},
    }


def test_what_is_rolled_back_was_never_announced(runtime, caller):
    hook(runtime, caller)

    def fails(session):
        assert announce(runtime, session, done(caller)) == 1
        raise LookupError

    with pytest.raises(LookupError):
        transact(runtime, fails)
    assert rows(runtime, WebhookEventRow) == []


def test_where_nobody_listens_it_costs_one_look_and_then_nothing(runtime, caller, statements):
    with statements(runtime) as seen:
        announced(runtime, done(caller))
    assert len([one for one in seen if "FROM webhooks" in one]) == 1
    with statements(runtime) as seen:
        announced(runtime, *[done(caller, subject_id=f"run_{number}") for number in range(50)])
    assert seen == []
    assert rows(runtime, WebhookEventRow) == []


def test_many_events_are_two_statements(runtime, caller, statements):
    hook(runtime, caller)
    announced(runtime, done(caller))
    with statements(runtime) as seen:
        announced(runtime, *[done(caller, subject_id=f"run_{number}") for number in range(50)])
    assert [one.split()[:3] for one in seen if one.startswith("INSERT")] == [
        ["INSERT", "INTO", "webhook_events"],
        ["INSERT", "INTO", "webhook_deliveries"],
    ]
    assert len(rows(runtime, WebhookEventRow)) == 51


def test_whoever_subscribes_elsewhere_is_heard_of_a_moment_later(runtime, build, caller):
    elsewhere = build()
    assert announced(elsewhere, done(caller)) == 0
    hook(runtime, caller)
    assert announced(runtime, done(caller)) == 1
    elsewhere.listeners._monotonic = lambda moment=elsewhere.listeners._monotonic: moment() + 3600.0
    assert announced(elsewhere, done(caller)) == 1


def test_whether_anybody_listens_is_known_beforehand(runtime, caller):
    hook(runtime, caller, events=("quote.issued",))

    def asked(session):
        ends = (EventName.RUN_DONE, EventName.RUN_FAILED)
        return [listened_to(runtime, session, caller.tenant_id, names) for names in (ends, (QuoteStep.ISSUED,))]

    assert transact(runtime, asked) == [False, True]


def test_ids_tell_when_it_happened(runtime, caller):
    hook(runtime, caller)
    for seconds in (0, 1):
        later = NOON + timedelta(seconds=seconds)
        one = done(caller)
        announced(runtime, Announcement(**{name: getattr(one, name) for name in one.__slots__} | {"at": later}))
    events = rows(runtime, WebhookEventRow)
    assert [one.created_at for one in sorted(events, key=lambda one: one.id)] == [NOON, NOON + timedelta(seconds=1)]


def test_a_ping_is_heard_without_a_subscription():
    assert set(EVENTS) - set(SUBSCRIBABLE) == {EventName.WEBHOOK_PING}


def test_what_is_answered_from_memory_asks_nothing_more_where_nobody_listens(runtime, caller, queue, statements):
    first = submit(runtime, caller, chat(), request_id="req_0")
    assert execute(runtime, queue.take())
    run_answer(runtime, get_run(runtime, caller, first.id))
    with statements(runtime) as seen:
        assert submit(runtime, caller, chat(), request_id="req_1").cached
    assert [one for one in seen if "webhook" in one] == []
    hook(runtime, caller)
    with statements(runtime) as heard:
        assert submit(runtime, caller, chat(), request_id="req_2").cached
    # One look that others share for a while, the event, and its delivery.
    assert len([one for one in heard if "webhook" in one]) == len(heard) - len(seen) == 3
