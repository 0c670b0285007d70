"""A price book as it is uploaded, by a program or from a page: each row is held against what is asked for."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from service.edge.context import runtime
from service.planning.price_book_check import parts_asked_for, wrong_of
from service.schemas.price_books import Judge, PriceBookRequestSchema
from service.schemas.price_table import book_of_table


class PriceBookUploadSchema(PriceBookRequestSchema):
    """A price book, as JSON or as a table."""

    of_table: ClassVar[Callable[[str, Mapping[str, str]], dict[str, Any]]] = staticmethod(book_of_table)

    def judge(self) -> Judge:
        """Units and kinds are told in the same report as whatever is wrong with other rows."""
        known = parts_asked_for(runtime())
        return lambda line: wrong_of(line, known)
