"""The API of price books for Python programs: `headroom.price_books.upload(...)`, `activate`, `list`."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from service.client.connection import Body, Connection, path_of
from service.client.run import Page

_PATH = "/v1/price-books"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableHead:
    """What a table of prices has no place for; whether it is enough is the server's to say."""

    name: str | None = None
    currency: str | None = None
    date: str | None = None
    expires_on: str | None = None
    indicative: bool = False
    note: str | None = None

    def query(self) -> dict[str, str]:
        """The query beside the table; what is None is left out."""
        given = {name: getattr(self, name) for name in ("name", "currency", "date", "expires_on", "note")}
        flags = {"indicative": "true"} if self.indicative else {}
        return {name: value for name, value in given.items() if value is not None} | flags


class PriceBookCalls:
    """The calls of /v1/price-books."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        name: str | None = None,
        currency: str | None = None,
        activated: bool | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Page:
        """The tenant's price books without their lines, newest first."""
        put_in_force = None if activated is None else str(activated).lower()
        return self._connection.page(
            _PATH, name=name, currency=currency, activated=put_in_force, limit=limit, cursor=cursor
        )

    def get(self, book_id: str) -> dict[str, Any]:
        """One price book with its lines."""
        return self._connection.document("GET", self._at(book_id))

    def template(self) -> bytes:
        """A table (CSV) of every part that quotes ask for, to be filled in and uploaded."""
        return self._connection.send("GET", f"{_PATH}/template", headers={"Accept": "*/*"}).content

    def upload(
        self, content: Body, *, head: TableHead | None = None, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Store a price book; with a head the content is a table (CSV). For administrators."""
        if head is None:
            return self._connection.post(_PATH, content, idempotency_key=idempotency_key)
        return self._connection.post(
            _PATH,
            content,
            headers={"Content-Type": "text/csv"},
            idempotency_key=idempotency_key,
            params=head.query(),
        )

    def activate(self, book_id: str, *, effective_from: str | None = None) -> dict[str, Any]:
        """Put a price book in force from a day on (today in UTC); refused (412) when somebody else does meanwhile."""
        path = self._at(book_id)
        body = {"effective_from": effective_from or f"{datetime.now(UTC):%Y-%m-%d}"}
        return self._connection.change("POST", f"{path}/activate", body, tag=self._connection.tag(path))

    def _at(self, book_id: str) -> str:
        return path_of("price-books", book_id)
