"""A quote as PDF: the template is ours, everything else comes as data; no network, no file of anybody."""

import json
from datetime import UTC, date, datetime, time
from pathlib import Path

import font_source_sans_pro
import typst

from service.documents.view import Quote, page_view

_TEMPLATES = Path(__file__).parent / "templates"
_FONTS = Path(font_source_sans_pro.__file__).parent / "files"


def quote_pdf(quote: Quote, *, state: str, sha256: str | None) -> bytes:
    """The bytes of the PDF: of equal quotes equal, whenever and wherever it is made.

    It is tagged for screen readers (PDF/UA-1). `quote` is what QuoteDocumentSchema writes.
    """
    made_on = date.fromisoformat(quote["issued_on"] or quote["created_on"])
    view = page_view(quote, state=state, sha256=sha256)
    return typst.compile(
        _TEMPLATES / "quote.typ",
        root=_TEMPLATES,
        font_paths=[_FONTS],
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"view": json.dumps(view, ensure_ascii=False, sort_keys=True)},
        pdf_standards="ua-1",
        # Packages would be looked for here, and there are none: the template needs no network.
        package_path=_TEMPLATES,
        package_cache_path=_TEMPLATES,
        timestamp=datetime.combine(made_on, time(), UTC),
    )
