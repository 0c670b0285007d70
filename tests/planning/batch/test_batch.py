import json

import pytest
from prometheus_client import generate_latest

from service.errors import ConflictError, InvalidRequestError, NotFoundError, RateLimitedError
from service.planning.audit import list_events
from service.planning.batch.brief import of_answer
from service.planning.batch.chunk import size_chunk
from service.planning.batch.feed import feed
from service.planning.batch.reading import get_batch, list_batches, list_items, results
from service.planning.batch.receive import MOST_OPEN, dry_run, receive
from service.planning.execute import execute
from service.planning.keys import set_tenant_disabled
from service.planning.reading import get_run
from service.planning.submit import submit
from service.planning.sweep import prune
from service.planning.transact import transact
from service.schemas.uploaded_item import Uploaded
from service.schemas.workload import SizingRequestSchema
from service.store import batches
from service.store.batches import ItemFilter
from service.store.filters import AuditFilter
from service.store.tables.batches import BatchItemRow, BatchRow, BatchStatus, ItemState
from tests.planning.batch.conftest import FOLD, DiedError, asking, cancel_it, lines, post, states


def test_every_item_comes_to_its_own_end(runtime, caller, work):
    batch = post(
        runtime,
        caller,
        asking("one"),
        asking("typo", model="lama-3.1-8b"),
        b"{not json",
        b"\xff\xfe",
        asking("too much", slo={"ttft_ms": 1, "tpot_ms": 0.01}),
        FOLD,
    )
    assert (batch.status, batch.items, batch.counts.queued, batch.counts.refused) == (BatchStatus.ACCEPTED, 6, 5, 1)
    assert work() == 4
    after = get_batch(runtime, caller, batch.id)
    assert after.status is BatchStatus.DONE
    assert (after.counts.done, after.counts.infeasible, after.counts.refused) == (2, 1, 3)
    assert after.progress_fraction == 1.0
    found = list_items(runtime, caller, batch.id)
    assert [item.line for item in found] == [1, 2, 3, 4, 5, 6]
    assert [item.name for item in found] == ["one", "typo", None, None, "too much", "fold"]
    typo = json.loads(found[1].problem)
    assert typo["code"] == "unknown_reference"
    assert typo["errors"][0]["did_you_mean"][0].startswith("llama-3.1-8b")
    assert json.loads(found[4].answer)["shortfall"]["relaxation"]
    assert json.loads(found[5].answer)["option"]["servers"] >= 1


def test_the_answer_in_short_is_that_of_the_whole_one(runtime, caller, queue, work):
    """Number by number, for each kind, what a run of the same question is answered."""
    training = {
        "name": "train",
        "workload": {
            "kind": "training",
            "model": "llama-3.1-8b",
            "method": "sft",
            "tokens": 1e9,
            "target": {"deadline_days": 10},
        },
    }
    items = [asking("chat"), FOLD, training, asking("moe", model="gpt-oss-120b", weight_precision="auto")]
    batch = post(runtime, caller, *items)
    work()
    short = [item.answer for item in results(runtime, caller, batch.id)]
    for item, brief in zip(items, short, strict=True):
        run = submit(runtime, caller, SizingRequestSchema().load(item), request_id="req_2")
        assert not run.cached
        queue.sent.clear()
        execute(runtime, run.id)
        answer = get_run(runtime, caller, run.id)
        assert of_answer(answer.result, versions=answer.versions).body == brief


def test_equal_questions_are_sized_once(runtime, caller, queue, work):
    """However they are spelled, in one batch and in the next one, and where a run has asked already."""
    run = submit(runtime, caller, SizingRequestSchema().load(FOLD), request_id="req_2")
    execute(runtime, queue.take())
    assert run.status == "queued"
    spelled = asking("again", isl_tokens={"mean": 1e3})
    batch = post(runtime, caller, asking("one"), spelled, asking("other", osl_tokens=300), FOLD)
    work()
    assert get_batch(runtime, caller, batch.id).reused_items == 2
    again = post(runtime, caller, asking("two"), FOLD)
    work()
    assert get_batch(runtime, caller, again.id).reused_items == 2
    answers = [item.answer for item in results(runtime, caller, batch.id)]
    assert answers[0] == answers[1] != answers[2]
    assert [item.answer for item in results(runtime, caller, again.id)] == [answers[0], answers[3]]


def test_another_tenant_sees_nothing_and_shares_nothing(runtime, caller, stranger, work):
    batch = post(runtime, caller, asking("one"))
    work()
    for look in (get_batch, list_items, results, cancel_it):
        with pytest.raises(NotFoundError):
            look(runtime, stranger, batch.id)
    assert list_batches(runtime, stranger) == ()
    other = post(runtime, stranger, asking("one"))
    work()
    assert get_batch(runtime, stranger, other.id).reused_items == 0


def test_a_cancelled_batch_keeps_what_it_has_and_gets_no_more(runtime, caller, queue, work):
    batch = post(runtime, caller, asking("one"), FOLD)
    _, (batch_id, number) = queue.sent.pop(0)
    size_chunk(runtime, batch_id, int(number))
    cancelled = cancel_it(runtime, caller, batch.id)
    assert cancelled.status is BatchStatus.CANCELLED
    assert (cancelled.counts.done, cancelled.counts.cancelled) == (1, 1)
    assert cancel_it(runtime, caller, batch.id) == cancelled
    assert work() == 0
    assert states(runtime, caller, batch.id) == ["done", "cancelled"]
    assert [i.line for i in list_items(runtime, caller, batch.id, only=ItemFilter(state=ItemState.CANCELLED))] == [2]
    assert list_items(runtime, caller, batch.id, only=ItemFilter(state=ItemState.QUEUED)) == ()


def test_a_done_batch_cannot_be_cancelled(runtime, caller, work):
    batch = post(runtime, caller, asking("one"))
    work()
    with pytest.raises(ConflictError, match="is done already"):
        cancel_it(runtime, caller, batch.id)


def test_tenants_take_turns(runtime, caller, stranger, queue):
    """A batch that came later is served among the next bells, not after all chunks of the first."""
    first = post(runtime, caller, *(asking(f"{n}") for n in range(10)), items_chunk=1)
    second = post(runtime, stranger, *(asking(f"{n}") for n in range(10)), items_chunk=1)
    order = []
    while queue.sent:
        _, (batch_id, number) = queue.sent.pop(0)
        size_chunk(runtime, batch_id, int(number))
        order.append(batch_id)
    # The four that were rung for before the other came, and from then on one after the other.
    assert order[:4] == [first.id] * 4
    assert order[4:14].count(second.id) >= 5
    assert len(order) == 20


def test_a_lost_bell_is_rung_again(runtime, caller, queue, clock, work):
    batch = post(runtime, caller, asking("one"))
    queue.sent.clear()
    assert feed(runtime) == 0
    clock.advance(runtime.settings.resend_after_s + 1)
    assert feed(runtime) == 1
    work()
    assert get_batch(runtime, caller, batch.id).status is BatchStatus.DONE


def test_a_broker_that_is_down_loses_nothing(runtime, caller, queue, work):
    queue.up = False
    batch = post(runtime, caller, asking("one"))
    assert feed(runtime) == 0
    queue.up = True
    assert feed(runtime) == 1
    work()
    assert get_batch(runtime, caller, batch.id).status is BatchStatus.DONE


def test_an_empty_upload_leaves_no_batch_behind(runtime, caller):
    with pytest.raises(InvalidRequestError, match="at least one"):
        post(runtime, caller)
    assert list_batches(runtime, caller) == ()


def test_a_dry_run_tells_and_writes_nothing(runtime, caller):
    items = (asking("one"), asking("typo", model="lama-3.1-8b"), asking("long", isl_tokens=500_000))
    found = dry_run(
        runtime,
        iter([Uploaded(line=n, asked=lines(item).decode()) for n, item in enumerate(items, 1)]),
    )
    assert (found.items, found.accepted, found.refused) == (3, 1, 2)
    assert [refusal.line for refusal in found.refusals] == [2, 3]
    assert list_batches(runtime, caller) == ()


def unasked():
    pytest.fail("the upload was read")


def test_so_many_batches_of_a_tenant_are_open_and_no_more(runtime, caller, stranger, work):
    for _ in range(MOST_OPEN):
        post(runtime, caller, asking("one"))
    with pytest.raises(RateLimitedError, match=f"{MOST_OPEN} batches"):
        # An upload for which there is no room is not looked at.
        receive(runtime, caller, unasked, name=None, request_id="req_1")
    post(runtime, stranger, asking("one"))
    work()
    post(runtime, caller, asking("one"))


def test_the_batches_of_a_disabled_tenant_pause(runtime, caller, queue, work):
    batch = post(runtime, caller, asking("one"))
    set_tenant_disabled(runtime, caller.tenant_id, disabled=True)
    assert work() == 0
    assert feed(runtime) == 0
    set_tenant_disabled(runtime, caller.tenant_id, disabled=False)
    runtime.clock.advance(runtime.settings.resend_after_s + 1)
    assert feed(runtime) == 1
    work()
    assert get_batch(runtime, caller, batch.id).status is BatchStatus.DONE


def test_a_batch_that_was_never_received_to_its_end_goes(runtime, caller, clock):
    """Its request died: nobody has seen it, and after an hour its items go too."""

    def broken():
        yield Uploaded(line=1, asked="{}")
        raise DiedError

    row = BatchRow(
        id="bat_lost",
        tenant_id=caller.tenant_id,
        status=BatchStatus.RECEIVING.value,
        principal="ann",
        request_id="req_1",
        created_at=clock(),
    )
    transact(runtime, lambda session: batches.add(session, row))
    item = {"batch_id": row.id, "line": 1, "chunk": 0, "state": "queued", "asked": "{}"}
    transact(runtime, lambda session: batches.add_items(session.connection(), [item]))
    with pytest.raises(NotFoundError):
        get_batch(runtime, caller, row.id)
    assert prune(runtime) == 0
    clock.advance(3601)
    assert prune(runtime) == 2
    with pytest.raises(DiedError):
        receive(runtime, caller, broken, name=None, request_id="req_1")
    with runtime.sessions() as session:
        assert session.query(BatchRow).count() == session.query(BatchItemRow).count() == 0


def test_what_is_done_to_a_batch_is_audited(runtime, caller):
    batch = post(runtime, caller, asking("one"))
    cancel_it(runtime, caller, batch.id)
    cancel_it(runtime, caller, batch.id)
    events = list_events(runtime, caller, only=AuditFilter(resource_id=batch.id))
    assert sorted((event.action, event.new_state) for event in events) == [
        ("batch.cancelled", "cancelled"),
        ("batch.created", "1 items"),
    ]


def test_ends_of_items_are_counted_for_whoever_watches(runtime, caller, work):
    post(runtime, caller, asking("one"), asking("two"), asking("typo", model="lama"))
    work()
    counted = generate_latest(runtime.metrics.collected()).decode()
    assert 'headroom_batch_items_total{reused="false",state="done"} 1.0' in counted
    assert 'headroom_batch_items_total{reused="true",state="done"} 1.0' in counted
    assert 'headroom_batch_items_total{reused="false",state="refused"} 1.0' in counted
