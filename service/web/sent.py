"""What somebody sent from a page: the file that was chosen, else what was pasted."""

import io
from typing import BinaryIO, cast

from flask import request

from service.errors import InvalidRequestError
from service.schemas.json_text import MalformedBodyError

FILE = "file"
# A file that was refused stands in its form again, to be mended, unless it is longer than anybody mends by hand.
SHOWN_CHARACTERS = 200_000


def sent_file(name: str) -> BinaryIO | None:
    """The file, which lies on disk where it is long, or what was pasted under the name; None for neither."""
    file = request.files.get(FILE)
    if file is not None and file.filename:
        return cast("BinaryIO", file.stream)
    pasted = request.form.get(name, "")
    return io.BytesIO(pasted.encode()) if pasted.strip() else None


def sent_text(name: str, *, what: str) -> str:
    """The same as text; InvalidRequestError where there is nothing, MalformedBodyError for what is no text."""
    found = sent_file(name)
    content = b"" if found is None else found.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"The file is not UTF-8: byte {error.start} cannot be read.") from error
    if "\x00" in text:
        raise MalformedBodyError("The file contains the character NUL.")
    if not text.strip():
        raise InvalidRequestError(f"Choose a file, or paste {what}.")
    return text


def shown_again(text: str) -> str:
    """What of a refused text stands in its form again."""
    return text if len(text) <= SHOWN_CHARACTERS else ""
