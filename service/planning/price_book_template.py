"""The table that a seller fills in: every part that a bill of materials can ask for, its price left open."""

from service.documents.csv_pieces import csv_pieces
from service.planning.price_book_check import parts_asked_for
from service.runtime import Runtime
from service.schemas.price_table import COLUMNS

FILENAME = "price-book-template.csv"


def price_book_template(runtime: Runtime) -> bytes:
    """A table that an upload takes as it is: a part whose price nobody fills in has none."""
    given = (
        {"part": part.part, "kind": part.kind.value, "unit": part.unit} for part in parts_asked_for(runtime).values()
    )
    return b"".join(csv_pieces(COLUMNS, ([row.get(column) for column in COLUMNS] for row in given)))
