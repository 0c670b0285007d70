"""A chunk: who works on it, in which calls of the engine, and when that ends."""

from dataclasses import replace

from service.planning.batch.brief import sized
from service.planning.batch.chunk import size_chunk
from service.planning.batch.reading import get_batch, results
from service.planning.submit import submit
from service.queue import QueueName, TaskName
from service.schemas.workload import SizingRequestSchema
from service.store.tables.batches import BatchStatus
from tests.planning.batch.conftest import FOLD, asking, cancel_it, counting, distinct, post, rung, states


def test_a_late_answer_of_a_cancelled_batch_is_not_written(runtime, caller, queue):
    batch = post(runtime, caller, asking("one"))

    def cancelled_meanwhile(*arguments):
        cancel_it(runtime, caller, batch.id)
        return sized(*arguments)

    batch_id, number = rung(queue)
    assert not size_chunk(runtime, batch_id, number, solve=cancelled_meanwhile)
    assert states(runtime, caller, batch.id) == ["cancelled"]


def test_a_message_that_comes_twice_finds_nothing_to_do(runtime, caller, queue):
    batch = post(runtime, caller, asking("one"))
    batch_id, number = rung(queue)
    assert size_chunk(runtime, batch_id, number)
    assert not size_chunk(runtime, batch_id, number)
    assert get_batch(runtime, caller, batch.id).counts.done == 1


def test_who_lost_the_lease_writes_nothing(runtime, caller, queue, clock):
    batch = post(runtime, caller, asking("one"))
    batch_id, number = rung(queue)

    def overtaken(*arguments):
        clock.advance(runtime.settings.lease_s + 1)
        assert size_chunk(runtime, batch_id, number)
        return sized(*arguments)

    assert not size_chunk(runtime, batch_id, number, solve=overtaken)
    after = get_batch(runtime, caller, batch.id)
    assert (after.counts.done, after.status) == (1, BatchStatus.DONE)


def test_a_persons_question_ends_a_slice(runtime, caller, queue):
    """What is sized is stored, a few at least; the rest is queued again and rung for."""
    batch = post(runtime, caller, *distinct(10))
    batch_id, number = rung(queue)
    submit(runtime, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
    assert queue.depth(QueueName.INTERACTIVE) == 1
    assert size_chunk(runtime, batch_id, number, look_every_s=0.0)
    after = get_batch(runtime, caller, batch.id)
    assert (after.counts.done, after.counts.queued, after.counts.running) == (8, 2, 0)
    assert queue.sent[-1] == (TaskName.SIZE_CHUNK, (batch_id, str(number)))


def test_a_chunk_is_one_call_of_the_engine(patient, caller, queue):
    """Each question once, those that are known not at all."""
    post(patient, caller, asking("known", osl_tokens=300))
    size_chunk(patient, *rung(queue))
    batch = post(patient, caller, *(asking(f"{n}", osl_tokens=300 + n // 2) for n in range(40)), FOLD)
    calls = []
    while queue.sent:
        assert size_chunk(patient, *rung(queue), solve=counting(calls))
    assert sorted(calls) == [1, 19]
    after = get_batch(patient, caller, batch.id)
    assert (after.counts.done, after.reused_items) == (41, 21)


def test_a_chunk_over_which_nobody_died_is_one_call_however_few_attempts_there_are(patient, caller, queue):
    once = replace(patient, settings=replace(patient.settings, max_attempts=1))
    post(once, caller, *distinct(4))
    calls = []
    assert size_chunk(once, *rung(queue), solve=counting(calls))
    assert calls == [4]


def test_a_question_that_comes_in_the_middle_of_a_call_ends_it(patient, caller, queue):
    """What was found is stored, what was not is queued again, and nothing is sized twice."""
    batch = post(patient, caller, *distinct(30))
    batch_id, number = rung(queue)
    told = []

    def interrupted(held, asked, *rest):
        for ended in sized(held, asked, *rest):
            if len(told) == 8 and not queue.depth(QueueName.INTERACTIVE):
                submit(patient, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
            told.extend(asked[place].name for place, _ in ended)
            yield ended

    assert size_chunk(patient, batch_id, number, solve=interrupted, look_every_s=0.0)
    counts = get_batch(patient, caller, batch.id).counts
    assert (counts.done, counts.queued, len(told)) == (8, 22, 8)
    queue.take()
    assert size_chunk(patient, batch_id, number, solve=interrupted, look_every_s=0.0)
    assert get_batch(patient, caller, batch.id).status is BatchStatus.DONE
    assert sorted(told, key=int) == [f"{n}" for n in range(30)]


def test_a_steady_stream_of_questions_leaves_a_batch_its_progress(patient, caller, queue):
    batch = post(patient, caller, *distinct(20))
    batch_id, number = rung(queue)
    submit(patient, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
    done = []
    for _ in range(3):
        assert size_chunk(patient, batch_id, number, look_every_s=0.0)
        done.append(get_batch(patient, caller, batch.id).counts.done)
    assert done == [8, 16, 20]


def test_a_person_waits_for_one_item_where_items_together_save_nothing(runtime, caller, queue):
    """Advice where nothing fits is sized many times over."""
    nothing = {"slo": {"ttft_ms": 1, "tpot_ms": 0.01}}
    batch = post(runtime, caller, *(asking(f"{n}", osl_tokens=300 + n, **nothing) for n in range(3)))
    batch_id, number = rung(queue)
    submit(runtime, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
    for left in (2, 1, 0):
        assert size_chunk(runtime, batch_id, number, look_every_s=0.0)
        counts = get_batch(runtime, caller, batch.id).counts
        assert (counts.infeasible, counts.queued) == (3 - left, left)
    assert all(one.answer and not one.problem for one in results(runtime, caller, batch.id))


def test_a_person_waits_for_a_few_trainings(runtime, caller, queue):
    """They are rows of the same arrays, and end at the same moment."""
    work = {"kind": "training", "model": "llama-3.1-8b", "method": "sft", "target": {"gpus": 8}}
    batch = post(runtime, caller, *({"name": f"{n}", "workload": {**work, "tokens": 1e9 + n}} for n in range(10)))
    batch_id, number = rung(queue)
    submit(runtime, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
    for done in (8, 10):
        assert size_chunk(runtime, batch_id, number, look_every_s=0.0)
        assert get_batch(runtime, caller, batch.id).counts.done == done
    assert all(one.answer and not one.problem for one in results(runtime, caller, batch.id))


def test_what_was_found_beside_one_that_is_to_be_tried_alone_is_kept(patient, caller, queue):
    """A person waits while advice is sought for one: the others have their answers already, and are not sized again."""
    nothing = {"slo": {"ttft_ms": 1, "tpot_ms": 0.01}}
    items = (asking("none", **nothing), *distinct(7))
    batch = post(patient, caller, *items)
    batch_id, number = rung(queue)
    submit(patient, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
    assert size_chunk(patient, batch_id, number, look_every_s=0.0)
    assert get_batch(patient, caller, batch.id).counts.done == 7
    assert size_chunk(patient, batch_id, number, look_every_s=0.0)
    counts = get_batch(patient, caller, batch.id).counts
    assert (counts.done, counts.infeasible, counts.queued) == (7, 1, 0)
