"""Documents of a quote: asked for, and read once a worker has made them."""

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from sqlalchemy.orm import Session

from service.access import Caller
from service.errors import DamagedError, UnavailableError
from service.planning.quote_view import QuoteView
from service.planning.quotes import get_quote
from service.planning.ring import RungBy, enqueue
from service.planning.transact import read, transact
from service.queue import ROUTES, TaskName
from service.runtime import Runtime
from service.store import outbox, quote_documents
from service.store.bells import Bell
from service.store.tables.quotes import QuoteDocumentRow

# What no attempt has made is begun anew for whoever asks so long afterwards: the machine may have been too busy.
_REST = timedelta(minutes=5)


class Form(StrEnum):
    """What a quote is rendered as; the value ends the name of the file."""

    PDF = "pdf"
    XLSX = "xlsx"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The bytes of a document, held against `sha256`, with the name that it is to be saved under."""

    content: bytes
    sha256: str
    filename: str


def document(runtime: Runtime, caller: Caller, quote_id: str, form: Form) -> Document | None:
    """The document of a revision as it is now; None while a worker makes it, who is rung for where nobody has been.

    Raises NotFoundError, UnavailableError for some minutes where every attempt has ended a worker, DamagedError for
    bytes that are not what was made.
    """
    quote = get_quote(runtime, caller, quote_id)
    row = read(runtime, lambda session: quote_documents.get(session, caller.tenant_id, quote_id, form.value))
    if row is None or not is_of(row, quote):
        _ask(runtime, quote)
        return None
    if row.content is None:
        if row.attempts > runtime.settings.max_attempts:
            left = row.asked_at + _REST - runtime.clock()
            if left > timedelta():
                message = f"The {form.value} of quote {quote.number} could not be made in {row.attempts - 1} attempts."
                raise UnavailableError(message, retry_after_s=math.ceil(left.total_seconds()))
            _ask_again(runtime, quote, anew=True)
        elif row.asked_at < runtime.clock() - timedelta(seconds=runtime.settings.resend_after_s):
            _ask_again(runtime, quote)
        return None
    if hashlib.sha256(row.content).hexdigest() != row.sha256:
        raise DamagedError(f"The {form.value} of quote {quote.number} is not the one that was made; it is not shown.")
    name = f"{quote.number}-revision-{quote.revision}.{form.value}"
    return Document(content=row.content, sha256=row.sha256, filename=name)


def is_of(row: QuoteDocumentRow, quote: QuoteView) -> bool:
    """Whether the document shows what the quote says now."""
    return row.snapshot_sha256 == quote.sha256 and row.issued == (quote.issued_at is not None)


def _ask(runtime: Runtime, quote: QuoteView) -> None:
    """Committed first, rung for afterwards; what cannot be rung now the relay rings."""
    now = runtime.clock()
    task = TaskName.RENDER_QUOTE

    def work(session: Session) -> None:
        quote_documents.ask(
            session,
            quote.id,
            list(Form),
            snapshot_sha256=quote.sha256,
            issued=quote.issued_at is not None,
            traceparent=runtime.tracing.traceparent(),
            now=now,
        )
        outbox.add(session, task=task.value, queue=ROUTES[task].value, entity_id=quote.id, now=now)

    transact(runtime, work)
    _ring(runtime, quote)


def _ask_again(runtime: Runtime, quote: QuoteView, *, anew: bool = False) -> None:
    """The broker may have lost the message: whoever waits has it rung again, now and then; `anew` forgets attempts."""
    now = runtime.clock()
    transact(runtime, lambda session: quote_documents.touch(session, quote.id, now=now, anew=anew))
    _ring(runtime, quote)


def _ring(runtime: Runtime, quote: QuoteView) -> None:
    task = TaskName.RENDER_QUOTE
    bell = Bell(run_id=quote.id, tenant_id=None, request_id=None, traceparent=runtime.tracing.traceparent())
    if enqueue(runtime, bell, task=task, rung_by=RungBy.REQUEST):
        transact(runtime, lambda session: outbox.remove_for(session, quote.id))
