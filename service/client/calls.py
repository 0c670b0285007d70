"""What the calls of one resource need of the connection: answers, changes under a tag, pages, streams."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

import httpx

from service.client.run import Page

Body = Mapping[str, Any] | bytes
"""A request: a mapping, or the bytes of a JSON text, which are sent as they are for the server to judge."""


class Calls(Protocol):
    """The connection, as the calls of one resource use it."""

    def send(self, method: str, path: str, **request: Any) -> httpx.Response:
        """The answer, after tries again where that may help."""
        ...

    def document(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The JSON of it."""
        ...

    def streamed(self, path: str, **request: Any) -> AbstractContextManager[httpx.Response]:
        """An answer that is read as it comes."""
        ...

    def post(
        self,
        path: str,
        request: Body,
        *,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        params: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The answer to a POST, under one idempotency key for all tries."""
        ...

    def change(self, method: str, path: str, body: Body | None, *, tag: str) -> dict[str, Any]:
        """A change of the version that has this tag."""
        ...

    def page(self, path: str, **query: str | int | list[str] | None) -> Page:
        """A page of a list."""
        ...

    def tag(self, path: str) -> str:
        """The ETag of what is there now."""
        ...
