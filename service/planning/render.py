"""Documents of a quote are made from its snapshot, once, and kept with their hash. For workers: the web sets no PDF."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import structlog
from sqlalchemy.orm import Session

from service.documents.csv import quote_csv
from service.documents.pdf import quote_pdf
from service.documents.xlsx import quote_xlsx
from service.planning.quote_documents import Form, is_of
from service.planning.quote_view import QuoteView, quote_view
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.store import quote_documents, quotes
from service.store.tables.quotes import QuoteDocumentRow

log = structlog.get_logger(__name__)


def render(runtime: Runtime, quote_id: str) -> int:
    """Make every document of the revision that is asked for and not there; returns how many were stored."""
    most = runtime.settings.max_attempts

    def take(session: Session) -> list[QuoteDocumentRow]:
        taken = list(quote_documents.take(session, quote_id, most_attempts=most))
        session.expunge_all()
        return taken

    taken = transact(runtime, take)
    if not taken:
        return 0
    row = read(runtime, lambda session: quotes.any_tenants(session, quote_id))
    if row is None:
        return 0
    quote = quote_view(row, now=runtime.clock())
    snapshot = orjson.loads(quote.snapshot)
    # A renderer that is stopped takes nothing with it that is made in a moment.
    taken.sort(key=lambda document: _QUICKEST_FIRST.index(Form(document.format)))
    # Of those who asked at the same moment one trace goes on.
    with runtime.tracing.span("render", parent=taken[0].traceparent, quote_id=quote_id, tenant_id=row.tenant_id):
        stored = sum(_made(runtime, quote, snapshot, document) for document in taken if is_of(document, quote))
    log.info("quote_rendered", quote_id=quote_id, documents=stored)
    return stored


def _made(runtime: Runtime, quote: QuoteView, snapshot: Mapping[str, Any], row: QuoteDocumentRow) -> bool:
    with runtime.tracing.span("set", form=row.format):
        content = _RENDERERS[Form(row.format)](quote, snapshot)
    sha256 = hashlib.sha256(content).hexdigest()
    now = runtime.clock()
    return transact(
        runtime, lambda session: quote_documents.keep(session, row, content=content, sha256=sha256, now=now)
    )


_RENDERERS: Mapping[Form, Callable[[QuoteView, Mapping[str, Any]], bytes]] = {
    Form.PDF: lambda quote, snapshot: quote_pdf(snapshot, state=_face(quote), sha256=quote.sha256),
    Form.XLSX: lambda quote, snapshot: quote_xlsx(snapshot, state=_face(quote), sha256=quote.sha256),
    Form.CSV: lambda quote, snapshot: quote_csv(snapshot, state=_face(quote)),
}
_QUICKEST_FIRST = (Form.CSV, Form.XLSX, Form.PDF)


def _face(quote: QuoteView) -> str:
    """A document shows whether its revision was issued, and nothing of its state that changes afterwards."""
    return "issued" if quote.issued_at is not None else "draft"
