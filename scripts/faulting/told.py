"""What an answer tells: as it was sent, and of a PDF or a workbook, which are packed, what stands in them."""

import io
import re
import zipfile
import zlib

from pypdf import PdfReader
from pypdf.errors import PyPdfError

from scripts.faulting.answer import Answer

_PDF, _ZIP = b"%PDF", b"PK\x03\x04"
# A word that is broken between two lines is one word.
_BETWEEN_LINES = re.compile(r"[\s\u00ad-]+")


class UnreadableError(Exception):
    """A document that is none."""


def told(answer: Answer) -> bytes:
    """Headers and body, with the words of a document; UnreadableError where a whole one cannot be opened."""
    plain = repr(sorted(answer.headers.items())).encode() + answer.body
    if not answer.is_success:
        return plain
    try:
        if answer.body.startswith(_PDF):
            return plain + _of_pdf(answer.body)
        if answer.body.startswith(_ZIP):
            return plain + _of_workbook(answer.body)
    except (PyPdfError, zipfile.BadZipFile, zlib.error) as error:
        raise UnreadableError(str(error)) from error
    return plain


def _of_pdf(body: bytes) -> bytes:
    pdf = PdfReader(io.BytesIO(body))
    words = [page.extract_text() for page in pdf.pages] + [str(dict(pdf.metadata or {}))]
    return _BETWEEN_LINES.sub("", "".join(words)).encode(errors="replace")


def _of_workbook(body: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(body)) as book:
        return b"".join(name.encode() + book.read(name) for name in book.namelist())
