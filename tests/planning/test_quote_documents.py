"""Documents of quotes: asked for once, made by a worker from the snapshot, kept, and never another revision's."""

import hashlib

import pytest
from sqlalchemy import select, update

from service.errors import DamagedError, NotFoundError, UnavailableError
from service.planning.quote_documents import Form, document
from service.planning.quote_steps import issue, submit
from service.planning.render import _RENDERERS, render
from service.planning.sweep import relay
from service.planning.transact import transact
from service.queue import TaskName, TimeLimitReached
from service.store import quote_documents
from service.store.tables.outbox import OutboxRow
from service.store.tables.quotes import QuoteDocumentRow
from tests.planning.selling import ONE_DATABASE, Desk, person, sized


@pytest.fixture
def desk(runtime, caller) -> Desk:
    desk = Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))
    desk.book()
    return desk


def read(desk, quote, form=Form.PDF, caller=None):
    return document(desk.runtime, caller or desk.seller, quote.id, form)


def rung(queue):
    return [ids for task, ids in queue.sent if task == TaskName.RENDER_QUOTE]


def test_it_is_asked_for_once_made_once_and_kept(desk, runtime, queue):
    quote = desk.draft()
    assert read(desk, quote) is None
    assert read(desk, quote, Form.XLSX) is None
    assert rung(queue) == [(quote.id,)]
    assert render(runtime, quote.id) == len(Form)
    assert render(runtime, quote.id) == 0
    for form, start in ((Form.PDF, b"%PDF"), (Form.XLSX, b"PK"), (Form.CSV, b"\xef\xbb\xbf")):
        found = read(desk, quote, form)
        assert found.content.startswith(start)
        assert found.sha256 == hashlib.sha256(found.content).hexdigest()
        assert found.filename == f"{quote.number}-revision-1.{form.value}"
    assert rung(queue) == [(quote.id,)]


@ONE_DATABASE
def test_what_changed_is_made_anew_and_an_issued_quote_stays_as_it_is(desk, runtime):
    quote = desk.approved()
    assert read(desk, quote) is None
    render(runtime, quote.id)
    draft = read(desk, quote)
    issued = desk.step(issue, quote)
    assert read(desk, issued) is None
    render(runtime, quote.id)
    final = read(desk, issued)
    assert final.sha256 != draft.sha256
    desk.runtime.clock.advance(3600)
    assert read(desk, issued) == final


@ONE_DATABASE
def test_a_step_that_changes_nothing_on_paper_makes_no_other_paper(desk, runtime):
    quote = desk.draft()
    read(desk, quote)
    render(runtime, quote.id)
    before = read(desk, quote)
    assert read(desk, desk.step(submit, quote)) == before


@ONE_DATABASE
def test_nobody_elses_document_is_there(desk, runtime, queue):
    quote = desk.draft()
    read(desk, quote)
    render(runtime, quote.id)
    other = person(desk.caller, "eve", desk.seller.role)
    with pytest.raises(NotFoundError):
        read(desk, quote, caller=other.__class__(tenant_id="ten_other", principal="eve", role=other.role, key_id="k"))
    assert len(rung(queue)) == 1


@ONE_DATABASE
def test_what_the_broker_refused_the_relay_rings(desk, runtime, queue, clock):
    quote = desk.draft()
    queue.up = False
    assert read(desk, quote) is None
    queue.up = True
    with runtime.sessions() as session:
        assert session.scalar(select(OutboxRow.entity_id)) == quote.id
    clock.advance(60)
    assert relay(runtime) == 1
    assert rung(queue)[-1] == (quote.id,)


@ONE_DATABASE
def test_a_message_that_was_lost_is_rung_again_for_whoever_waits(desk, runtime, queue, clock):
    quote = desk.draft()
    read(desk, quote)
    assert read(desk, quote) is None
    clock.advance(runtime.settings.resend_after_s + 1)
    assert read(desk, quote) is None
    assert read(desk, quote) is None
    assert rung(queue) == [(quote.id,), (quote.id,)]
    assert render(runtime, quote.id) == len(Form)


@ONE_DATABASE
def test_a_document_that_ends_its_workers_is_not_begun_for_ever(desk, runtime, queue, clock):
    quote = desk.draft()
    read(desk, quote)
    most = runtime.settings.max_attempts
    for _ in range(most):
        assert transact(runtime, lambda session: len(quote_documents.take(session, quote.id, most_attempts=most)))
    assert render(runtime, quote.id) == 0
    clock.advance(100)
    with pytest.raises(UnavailableError, match="could not be made") as told:
        read(desk, quote)
    clock.advance(told.value.detail.retry_after_s)
    # The machine may have been too busy: whoever asks when they were told to has it begun anew.
    rung_before = len(rung(queue))
    assert read(desk, quote) is None
    assert len(rung(queue)) == rung_before + 1
    assert render(runtime, quote.id) == len(Form)
    assert read(desk, quote)


@ONE_DATABASE
def test_a_pdf_that_is_stopped_leaves_the_tables_that_are_made_in_a_moment(desk, runtime, monkeypatch):
    quote = desk.draft()
    read(desk, quote)

    def stopped(*_):
        raise TimeLimitReached

    monkeypatch.setitem(_RENDERERS, Form.PDF, stopped)
    with pytest.raises(TimeLimitReached):
        render(runtime, quote.id)
    assert read(desk, quote) is None
    assert read(desk, quote, Form.CSV).content
    assert read(desk, quote, Form.XLSX).content


@ONE_DATABASE
def test_bytes_that_are_not_what_was_made_are_never_shown(desk, runtime):
    quote = desk.draft()
    read(desk, quote)
    render(runtime, quote.id)
    transact(runtime, lambda session: session.execute(update(QuoteDocumentRow).values(content=b"%PDF forged")))
    with pytest.raises(DamagedError):
        read(desk, quote)


@ONE_DATABASE
def test_a_snapshot_that_changed_meanwhile_takes_no_bytes_of_the_old_one(desk, runtime):
    quote = desk.draft()
    read(desk, quote)
    most = runtime.settings.max_attempts

    def take(session):
        taken = list(quote_documents.take(session, quote.id, most_attempts=most))
        session.expunge_all()
        return taken

    [old, *_] = transact(runtime, take)
    transact(runtime, lambda session: session.execute(update(QuoteDocumentRow).values(snapshot_sha256="other")))
    kept = transact(
        runtime,
        lambda session: quote_documents.keep(session, old, content=b"x", sha256="y", now=runtime.clock()),
    )
    assert not kept
