"""What stands in a document that was handed out, as somebody finds it who opens it."""

import csv
import io
import re
import zipfile
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser

from pypdf import PdfReader

_TEXT = re.compile(r"<t(?: [^>]*)?>(.*?)</t>", re.DOTALL)
_FORMULA = re.compile(r"<f(?: [^>]*)?>(.*?)</f>", re.DOTALL)


def pdf_text(content: bytes) -> str:
    """The words of all its pages, with nothing between them: where a line ends is the renderer's affair."""
    return "".join("".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(content)).pages)


def cells(content: bytes) -> Iterator[str]:
    """The cells of a CSV."""
    for row in csv.reader(io.StringIO(content.decode("utf-8-sig"))):
        yield from row


def formulas(content: bytes) -> Iterator[str]:
    """The formulas of a workbook: its texts may begin as they like, because a spreadsheet shows them as they are."""
    yield from _found(content, "xl/worksheets/", _FORMULA)


def workbook_texts(content: bytes) -> Iterator[str]:
    """Its texts."""
    yield from _found(content, "xl/", _TEXT)


def _found(content: bytes, folder: str, wanted: re.Pattern[str]) -> Iterator[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        for name in book.namelist():
            if name.startswith(folder) and name.endswith(".xml"):
                yield from map(unescape, wanted.findall(book.read(name).decode()))


class Page(HTMLParser):
    """A page as a browser takes it apart: its elements with their attributes, and its words."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.scripts = ""
        self._inside = ""
        self.feed(content)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        self.elements.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, _tag: str) -> None:
        """An element ends."""
        self._inside = ""

    def handle_data(self, data: str) -> None:
        """Words of it, or what it would run."""
        if self._inside in {"script", "style"}:
            self.scripts += data
        else:
            self.words += data
