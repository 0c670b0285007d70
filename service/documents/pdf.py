"""A quote as PDF: the template is ours, everything else comes as data; no network, no file of anybody."""

import json
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Literal

import font_source_sans_pro
import typst

from service.documents.view import Quote, page_view

_TEMPLATES = Path(__file__).parent / "templates"
_NO_GLYPH = "could not be displayed"
_FONTS = Path(font_source_sans_pro.__file__).parent / "files"


def quote_pdf(quote: Quote, *, state: str, sha256: str | None) -> bytes:
    """The bytes of the PDF: of equal quotes equal, whenever and wherever it is made.

    It is tagged for screen readers (PDF/UA-1). `quote` is what QuoteDocumentSchema writes. Letters that the font does
    not have, such as a customer's name in Chinese, come from the fonts of the machine, and are boxes where it has none.
    """
    made_on = date.fromisoformat(quote["issued_on"] or quote["created_on"])
    said = page_view(quote, state=state, sha256=sha256, to_customer=True)
    view = json.dumps(said, ensure_ascii=False, sort_keys=True)
    moment = datetime.combine(made_on, time(), UTC)
    try:
        return _set(view, moment, standard="ua-1", own_fonts=True)
    except typst.TypstError as error:
        if _NO_GLYPH not in error.message:
            raise
        return _set(view, moment, standard="1.7", own_fonts=False)


def _set(view: str, moment: datetime, *, standard: Literal["ua-1", "1.7"], own_fonts: bool) -> bytes:
    return typst.compile(
        _TEMPLATES / "quote.typ",
        root=_TEMPLATES,
        font_paths=[_FONTS],
        ignore_system_fonts=own_fonts,
        format="pdf",
        sys_inputs={"view": view},
        pdf_standards=standard,
        # Packages would be looked for here, and there are none: the template needs no network.
        package_path=_TEMPLATES,
        package_cache_path=_TEMPLATES,
        timestamp=moment,
    )
