import pytest
from sqlalchemy import update

from service.planning.execute import execute
from service.planning.reading import get_run
from service.planning.submit import submit
from service.planning.sweep import prune, relay, sweep
from service.store import processes
from service.store.tables.outbox import OutboxRow
from service.store.tables.runs import RunRow
from tests.planning.conftest import chat


@pytest.fixture
def asked(runtime, caller):
    return [submit(runtime, caller, chat(isl_tokens=500 + n), request_id="req") for n in range(5)]


def work_off(runtime, queue) -> None:
    while queue.sent:
        execute(runtime, queue.take())


def test_a_wiped_broker_loses_nothing(runtime, caller, queue, clock, asked):
    queue.sent.clear()
    sweep(runtime)
    assert queue.sent == []
    clock.advance(runtime.settings.resend_after_s + 1)
    assert sweep(runtime).rung == 5
    work_off(runtime, queue)
    assert {get_run(runtime, caller, run.id).status for run in asked} == {"done"}


def test_however_long_the_outage_was(runtime, caller, queue, clock, asked):
    queue.sent.clear()
    clock.advance(400 * 24 * 3600)
    assert sweep(runtime).rung == 5


def test_a_long_queue_is_not_a_loss(runtime, queue, clock, asked):
    clock.advance(3600)
    assert sweep(runtime).rung == 0
    assert len(queue.sent) == 5


def test_only_as_many_are_rung_again_as_are_missing(runtime, caller, queue, clock, asked):
    del queue.sent[:2]
    clock.advance(3600)
    assert sweep(runtime).rung == 2
    assert len(queue.sent) == 5
    for _ in range(3):
        clock.advance(3600)
        sweep(runtime)
    assert len(queue.sent) == 5
    work_off(runtime, queue)
    clock.advance(3600)
    sweep(runtime)
    work_off(runtime, queue)
    assert {get_run(runtime, caller, run.id).status for run in asked} == {"done"}


def test_a_lease_that_ran_out_is_rung_again(runtime, caller, queue, clock, asked):
    with runtime.sessions.begin() as session:
        values = {
            "status": "running",
            "attempts": 1,
            "lease_token": 1,
            "lease_until": clock.now,
            "started_at": clock.now,
        }
        session.execute(update(RunRow).where(RunRow.id == asked[0].id).values(**values))
    queue.sent.clear()
    clock.advance(0.001)
    assert sweep(runtime).rung == 1
    [(_, (run_id,))] = queue.sent
    assert run_id == asked[0].id
    assert execute(runtime, run_id)
    assert get_run(runtime, caller, run_id).attempts == 2


def test_a_broker_that_is_down_stops_the_sweep_quietly(runtime, queue, clock, asked):
    queue.up = False
    clock.advance(3600)
    swept = sweep(runtime)
    assert (swept.relayed, swept.rung) == (0, 0)


def test_the_relay_leaves_what_was_just_written_to_its_writer(runtime, caller, queue, clock):
    queue.up = False
    submit(runtime, caller, chat(), request_id="req")
    queue.up = True
    assert relay(runtime) == 0
    clock.advance(runtime.settings.outbox_poll_s + 0.001)
    assert relay(runtime) == 1
    assert relay(runtime) == 0


@pytest.mark.parametrize("many", [1, 501])
def test_tasks_of_a_newer_version_do_not_stop_the_relay(many, runtime, caller, queue, clock):
    with runtime.sessions.begin() as session:
        session.add_all(
            OutboxRow(task="render_hologram", queue="interactive", entity_id=str(n), created_at=clock.now)
            for n in range(many)
        )
    queue.up = False
    submit(runtime, caller, chat(), request_id="req")
    queue.up = True
    clock.advance(10)
    assert relay(runtime) == 1
    assert [task for task, _ in queue.sent] == ["size_workload"]


def test_a_follower_that_was_left_behind_is_ended(runtime, caller, queue, asked):
    work_off(runtime, queue)
    follower = submit(runtime, caller, chat(isl_tokens=900), request_id="req")
    with runtime.sessions.begin() as session:
        session.execute(update(RunRow).where(RunRow.id == follower.id).values(follows_run_id=asked[0].id))
    assert sweep(runtime).settled == 1
    found = get_run(runtime, caller, follower.id)
    assert found.status == "done"
    assert found.result == get_run(runtime, caller, asked[0].id).result


def test_prune_forgets_processes_that_are_long_gone(runtime, clock):
    with runtime.sessions.begin() as session:
        processes.beat(session, "w1", role="worker", now=clock.now)
    assert prune(runtime) == 0
    clock.advance(7200)
    assert prune(runtime) == 1
