"""What waits has an age, on each database: batches while they are open, events while they are due, documents."""

import json
from datetime import timedelta

import pytest

from service.planning.batch.chunk import size_chunk
from service.planning.batch.receive import receive
from service.planning.keys import set_tenant_disabled
from service.planning.quote_documents import Form, document
from service.planning.render import render
from service.planning.state import state
from service.schemas.uploaded_item import Uploaded
from tests.planning.batch.conftest import DiedError, asking
from tests.planning.selling import Desk, sized


@pytest.fixture
def batch(runtime, caller):
    return sent(runtime, caller)


def sent(runtime, caller, **workload):
    items = iter([Uploaded(line=line, asked=json.dumps(asking(f"n{line}", **workload))) for line in (1, 2)])
    return receive(runtime, caller, lambda: items, name=None, request_id="x", items_chunk=1)


def dies(*_, **__):
    raise DiedError


def idle_s(runtime):
    return state(runtime).stored.batches_idle_s


def test_a_batch_is_as_old_as_it_is_open_and_idle_since_an_item_has_ended(runtime, caller, clock, batch):
    clock.advance(100)
    assert (state(runtime).stored.oldest_batch_s, state(runtime).stored.batches_idle_s) == (100, 100)
    assert size_chunk(runtime, batch.id, 0)
    clock.advance(20)
    assert (state(runtime).stored.oldest_batch_s, state(runtime).stored.batches_idle_s) == (120, 20)
    set_tenant_disabled(runtime, caller.tenant_id, disabled=True)
    assert (state(runtime).stored.oldest_batch_s, state(runtime).stored.batches_idle_s) == (0, 0)
    set_tenant_disabled(runtime, caller.tenant_id, disabled=False)
    assert size_chunk(runtime, batch.id, 1)
    assert (state(runtime).stored.oldest_batch_s, state(runtime).stored.batches_idle_s) == (0, 0)


def test_a_batch_that_comes_or_is_begun_later_ends_no_item(runtime, caller, clock, batch):
    clock.advance(100)
    late = sent(runtime, caller, isl_tokens=1001)
    assert idle_s(runtime) == 100
    assert size_chunk(runtime, batch.id, 0)
    assert idle_s(runtime) == 0
    clock.advance(3600)
    sent(runtime, caller)
    assert idle_s(runtime) == 3600
    with pytest.raises(DiedError):
        size_chunk(runtime, late.id, 0, solve=dies)
    assert idle_s(runtime) == 3600


def test_an_item_of_whichever_batch_ends_the_idle_time(runtime, caller, clock, batch):
    late = sent(runtime, caller)
    clock.advance(100)
    assert size_chunk(runtime, late.id, 0)
    clock.advance(20)
    assert idle_s(runtime) == 20


def test_a_document_waits_until_it_is_made_or_nobody_wants_it(runtime, caller, clock):
    desk = Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))
    desk.book()
    quote, other = desk.draft(), desk.draft()
    assert document(runtime, desk.seller, quote.id, Form.PDF) is None
    clock.advance(50)
    assert state(runtime).stored.oldest_document_s == 50
    assert render(runtime, quote.id) == len(Form)
    assert state(runtime).stored.oldest_document_s == 0
    assert document(runtime, desk.seller, other.id, Form.PDF) is None
    clock.advance(timedelta(days=2).total_seconds())
    assert state(runtime).stored.oldest_document_s == 0
