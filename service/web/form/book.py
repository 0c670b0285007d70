"""The form of a price book's upload: what a table has no place for, and the table or the JSON itself."""

from collections.abc import Mapping
from typing import Any

from service.schemas.json_text import MalformedBodyError, parse_json
from service.schemas.price_books import PriceBookRequestSchema
from service.schemas.price_table import book_of_table
from service.web.form.field import Form, Group, fields_of

PREFIX = "book"
CONTENT = "content"
_WORDS = {
    "name": "Name of the book",
    "currency": "Currency",
    "date": "Prices as of",
    "expires_on": "Last day",
    "indicative": "Orders of magnitude only",
    "note": "Note",
}
FORM = Form(
    kind=PREFIX,
    title="Upload a price book",
    lead="",
    fixed=(),
    groups=(
        Group(
            title="The book",
            fields=fields_of(
                PriceBookRequestSchema(),
                PREFIX,
                *("name", "currency", "date", "expires_on", "indicative", "note"),
                words=_WORDS,
            ),
        ),
    ),
)


def body_sent(typed: Mapping[str, str], text: str) -> dict[str, Any]:
    """The body of an upload: what JSON says of the book itself counts before what was typed.

    Raises MalformedBodyError for what is neither, InvalidRequestError for what is no table of prices.
    """
    names = (field.path for field in FORM.everything)
    head = {path.removeprefix(f"{PREFIX}."): typed.get(path, "").strip() for path in names}
    head = {name: value for name, value in head.items() if value}
    start = text.lstrip("\ufeff \t\r\n")[:1]
    if start not in {"{", "["}:
        return book_of_table(text, head)
    asked = parse_json(text.encode())
    flags = {"indicative": head["indicative"] == "true"} if "indicative" in head else {}
    if isinstance(asked, dict):
        return {**head, **flags, **asked}
    if isinstance(asked, list):
        return {**head, **flags, "lines": asked}
    raise MalformedBodyError("Send a JSON object with its lines, a list of lines, or a table.")
