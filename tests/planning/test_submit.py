import copy
import json
import threading
from dataclasses import dataclass, replace

import orjson
import pytest
import redis
from sqlalchemy import select

from service.errors import NotFoundError, UnknownReferenceError
from service.planning.execute import execute
from service.planning.reading import (
    get_run,
    get_workload,
    list_runs,
    list_workload_runs,
    list_workloads,
    run_answer,
)
from service.planning.submit import submit
from service.planning.sweep import sweep
from service.queue import QueueName, TaskName
from service.schemas.workload import SizingRequestSchema
from service.store.tables.outbox import OutboxRow
from service.store.tables.runs import ResultRow, RunRow
from tests.fakes import ListQueue
from tests.planning.conftest import CHAT, ask, chat, rows


@dataclass(slots=True)
class WatchingQueue(ListQueue):
    """Looks, from a connection of its own, at what is committed when the bell rings."""

    look: object = None

    def enqueue(self, task: TaskName, *ids: str, queue: QueueName | None = None) -> bool:
        self.look(ids[0])
        return ListQueue.enqueue(self, task, *ids, queue=queue)


def test_a_new_question_is_queued_and_sized(runtime, caller, queue):
    run = ask(runtime, caller)
    assert (run.status, run.cached, run.result, run.attempts) == ("queued", False, None, 0)
    assert queue.sent == [(TaskName.SIZE_WORKLOAD, (run.id,))]
    assert rows(runtime, OutboxRow) == 0
    assert execute(runtime, queue.take())
    done = get_run(runtime, caller, run.id)
    assert (done.status, done.attempts, done.feasible, done.error) == ("done", 1, True, None)
    result = json.loads(done.result)
    assert result["feasible"] is True
    assert result["options"][0]["servers"] >= 1
    assert done.versions.catalog == runtime.catalog.version
    assert done.versions.price_book_digest == runtime.price_book.digest


def test_the_bell_rings_after_the_commit(build, caller):
    seen = []

    def look(run_id: str) -> None:
        with other.sessions() as session:
            run = session.get(RunRow, run_id)
            unsent = session.scalars(select(OutboxRow.entity_id)).all()
            seen.append((run.status, unsent))

    other = build()
    run = ask(build(queue=WatchingQueue(look=look)), caller)
    assert seen == [("queued", [run.id])]


def test_a_broker_that_is_down_delays_and_loses_nothing(runtime, caller, queue, clock):
    queue.up = False
    run = ask(runtime, caller)
    assert (run.status, queue.refused) == ("queued", 1)
    assert rows(runtime, OutboxRow) == 1
    sweep(runtime)
    assert queue.sent == []
    queue.up = True
    clock.advance(1)
    assert sweep(runtime).relayed == 1
    assert rows(runtime, OutboxRow) == 0
    assert execute(runtime, queue.take())
    assert get_run(runtime, caller, run.id).status == "done"


SAME = {
    "key order": lambda body: dict(reversed(body.items())) | {"workload": dict(reversed(body["workload"].items()))},
    "number form": lambda body: _with(body, isl_tokens=1e3, demand={"requests_s": 5.0}),
    "mean spelled out": lambda body: _with(body, isl_tokens={"mean": 1000.0}, osl_tokens=200),
    "defaults spelled out": lambda body: (
        _with(
            body, kv_precision="auto", prefix_cache_hit_fraction=0, serving="auto", availability="n", horizon_months=36
        )
        | {"constraints": {"min_confidence_fraction": 0.8}}
    ),
    "slo default": lambda body: _with(body, slo={"ttft_ms": 2000, "tpot_ms": 50, "percentile": 95}),
    "other name and labels": lambda body: body | {"name": "else", "labels": {}},
    "no name": lambda body: {"workload": body["workload"]},
}


def _with(body, **workload):
    return body | {"workload": body["workload"] | workload}


@pytest.fixture
def answered(runtime, caller, queue):
    run = ask(runtime, caller)
    assert execute(runtime, queue.take())
    return get_run(runtime, caller, run.id)


@pytest.mark.parametrize("change", SAME.values(), ids=SAME.keys())
def test_the_same_question_is_answered_without_a_task(runtime, caller, queue, answered, change):
    again = ask(runtime, caller, SizingRequestSchema().load(change(copy.deepcopy(CHAT))))
    assert (again.status, again.cached, again.digest) == ("done", True, answered.digest)
    assert again.result == answered.result
    assert again.id != answered.id
    assert again.workload_id != answered.workload_id
    assert get_run(runtime, caller, again.id).result == answered.result
    assert queue.sent == []
    assert rows(runtime, ResultRow) == 1


def test_spacing_and_escapes_are_nothing(runtime, caller, answered):
    text = json.dumps(CHAT, indent=4).replace('"fp8"', '"\\u0066p8"')
    assert ask(runtime, caller, SizingRequestSchema().load(orjson.loads(text))).cached


def test_another_question_is_another_run(runtime, caller, queue, answered):
    other = ask(runtime, caller, chat(isl_tokens=1001))
    assert (other.status, other.cached) == ("queued", False)
    assert len(queue.sent) == 1


def test_new_prices_make_a_new_question(build, runtime, caller, queue, answered):
    dearer = replace(runtime, price_book=replace(runtime.price_book, digest="sha256:other"))
    assert ask(dearer, caller).cached is False
    newer = replace(runtime, catalog=replace(runtime.catalog, version="sha256:newer"))
    assert ask(newer, caller).cached is False


def test_an_empty_cache_is_filled_from_the_store(runtime, caller, queue, answered, cache_url):
    with redis.Redis.from_url(cache_url) as client:
        assert client.flushall()
        again = ask(runtime, caller)
        assert (again.status, again.cached, again.result) == ("done", True, answered.result)
        assert client.dbsize() == 1
    assert queue.sent == []


def test_what_the_store_forgot_is_computed_again_however_well_the_caches_remember(runtime, caller, queue, answered):
    run_answer(runtime, answered)
    with runtime.sessions.begin() as session:
        session.delete(session.get(ResultRow, (caller.tenant_id, answered.digest)))
    again, joined = ask(runtime, caller), ask(runtime, caller)
    assert (again.status, again.cached, joined.status) == ("queued", False, "queued")
    assert execute(runtime, queue.take())
    assert [get_run(runtime, caller, run.id).result for run in (again, joined)] == [answered.result] * 2


def test_what_this_process_kept_answers_without_the_cache(runtime, caller, queue, answered, cache_url):
    run_answer(runtime, answered)
    with redis.Redis.from_url(cache_url) as client:
        assert client.flushall()
        assert (ask(runtime, caller).cached, client.dbsize()) == (True, 0)
    assert queue.sent == []


def test_an_equal_open_question_joins(runtime, caller, queue):
    first, second = ask(runtime, caller), ask(runtime, caller)
    assert (second.status, second.digest) == ("queued", first.digest)
    assert len(queue.sent) == 1
    assert execute(runtime, queue.take())
    found = [get_run(runtime, caller, run.id) for run in (first, second)]
    assert [run.status for run in found] == ["done", "done"]
    assert found[0].result == found[1].result
    assert found[1].cached is False


def test_many_equal_questions_at_once_make_one_task(build, caller, queue):
    runtime = build()
    barrier, views, failures = threading.Barrier(8), [], []

    def work() -> None:
        barrier.wait()
        try:
            views.append(ask(runtime, caller))
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(queue.sent) == 1
    execute(runtime, queue.take())
    assert {get_run(runtime, caller, view.id).status for view in views} == {"done"}
    assert len({view.id for view in views}) == 8


def test_a_question_that_joins_while_the_answer_is_written_is_never_left_behind(build, caller, queue):
    """A few rounds of finishing and joining at the same moment; every run ends."""
    runtime = build()
    for number in range(4):
        request = chat(isl_tokens=100 + number)
        first = submit(runtime, caller, request, request_id="req_1")
        run_id, joined = queue.take(), []
        barrier = threading.Barrier(2)

        def finish(run_id=run_id, barrier=barrier) -> None:
            barrier.wait()
            execute(runtime, run_id)

        def join(request=request, barrier=barrier, joined=joined) -> None:
            barrier.wait()
            joined.append(submit(runtime, caller, request, request_id="req_2"))

        threads = [threading.Thread(target=finish), threading.Thread(target=join)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert queue.sent == []
        assert get_run(runtime, caller, first.id).status == "done"
        assert get_run(runtime, caller, joined[0].id).status == "done"


def test_another_tenant_sees_nothing(runtime, caller, stranger, queue, answered):
    for read, object_id in ((get_run, answered.id), (get_workload, answered.workload_id)):
        with pytest.raises(NotFoundError):
            read(runtime, stranger, object_id)
    with pytest.raises(NotFoundError):
        list_workload_runs(runtime, stranger, answered.workload_id)
    assert list_runs(runtime, stranger) == ()
    assert list_workloads(runtime, stranger) == ()
    own = ask(runtime, stranger)
    assert (own.status, own.cached) == ("queued", False)


def test_lists_are_newest_first_and_paged(runtime, caller, queue, clock):
    made = []
    for number in range(5):
        clock.advance(1)
        made.append(ask(runtime, caller, chat(isl_tokens=500 + number)))
    ids = [run.id for run in reversed(made)]
    assert [run.id for run in list_runs(runtime, caller, limit=2)] == ids[:2]
    assert [run.id for run in list_runs(runtime, caller, before_id=ids[1])] == ids[2:]
    assert [run.result for run in list_runs(runtime, caller)] == [None] * 5
    workloads = list_workloads(runtime, caller)
    assert [workload.id for workload in workloads] == [run.workload_id for run in reversed(made)]
    assert (workloads[0].name, workloads[0].labels, workloads[0].version) == ("chat", {"team": "care"}, 1)
    [run] = list_workload_runs(runtime, caller, made[0].workload_id)
    assert run.id == made[0].id


def test_the_kept_question_spells_out_the_defaults(runtime, caller):
    run = ask(runtime, caller)
    question = json.loads(get_workload(runtime, caller, run.workload_id).question)
    assert question["workload"]["serving"] == "auto"
    assert question["constraints"]["min_confidence_fraction"] == 0.8


def test_an_unknown_model_leaves_no_trace(runtime, caller, queue):
    with pytest.raises(UnknownReferenceError):
        ask(runtime, caller, chat(model="lama-3-70b"))
    assert rows(runtime, RunRow) == 0
    assert queue.sent == []


def test_an_alias_is_the_same_question(runtime, caller, queue, answered):
    alias = next((name for name, model in runtime.catalog.aliases.items() if model == "llama-3.1-8b"), None)
    if alias is None:
        pytest.skip("the zoo has no alias for this model")
    assert ask(runtime, caller, chat(model=alias)).cached
