"""Files of measured runs -> their lines, in order, with the numbers under which an editor shows them."""

from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.trouble import Trouble

BAD_FILE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line as it stands in its file."""

    number: int
    content: bytes


def read_lines(paths: list[Path]) -> list[Line]:
    """Every line that is not blank, file by file. Raises Trouble for a file that cannot be read."""
    return [line for path in paths for line in _lines(path)]


def _lines(path: Path) -> Iterator[Line]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Trouble(f"{path} cannot be read ({error.strerror}); name files of JSON lines.", code=BAD_FILE) from error
    # Some editors begin a file with a mark that is no JSON.
    for number, text in enumerate(content.removeprefix(BOM_UTF8).split(b"\n"), start=1):
        if text.strip():
            yield Line(number=number, content=text)
