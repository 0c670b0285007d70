"""The API of quotes for Python programs: `headroom.quotes.create(...)`, `step`, `revise`, `file`."""

import time
from typing import Any

import httpx

from service.client.connection import Body, Connection, path_of, tag_of
from service.client.patience import retry_after_s
from service.client.problem import ChangedSinceError, UnfinishedError
from service.client.run import Page

_PATH = "/v1/quotes"
# So long the server waits for a document that a worker is making.
_DOCUMENT_WAIT_S = 10
_DOCUMENT_WITHIN_S = 60.0


class QuoteCalls:
    """The calls of /v1/quotes. A change is of the version of this `tag` (an ETag), or of the one that is there now."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def list(
        self,
        *,
        at_risk: bool | None = None,
        within_days: int | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        **only: str | None,
    ) -> Page:
        """Revisions of quotes, newest first; `only`: state, number, run_id, customer, created_after, created_before."""
        risk = None if at_risk is None else str(at_risk).lower()
        return self._connection.page(_PATH, at_risk=risk, within_days=within_days, limit=limit, cursor=cursor, **only)

    def get(self, quote_id: str) -> dict[str, Any]:
        """One revision of a quote: what was asked, what it says, and how it stands."""
        return self._connection.document("GET", self._at(quote_id))

    def tag(self, quote_id: str, *, version: int | None = None) -> str:
        """The ETag of what is there now; ChangedSinceError where that is not the `version` that was read."""
        answer = self._connection.send("GET", self._at(quote_id))
        found = answer.json()["version"]
        if version is not None and found != version:
            raise ChangedSinceError(
                f"Quote {quote_id} is at version {found} by now, and you read {version}: look again."
            )
        return tag_of(answer)

    def file(self, quote_id: str, form: str = "pdf", *, within_s: float = _DOCUMENT_WITHIN_S) -> bytes:
        """A revision as pdf, xlsx or csv, once a worker has made it; UnfinishedError when that takes too long."""
        started, path = time.monotonic(), f"{self._at(quote_id)}.{form}"
        asked = {"Accept": "*/*", "Prefer": f"wait={_DOCUMENT_WAIT_S}"}
        while (
            answer := self._connection.send("GET", path, headers=asked, extra_s=_DOCUMENT_WAIT_S)
        ).status_code == httpx.codes.ACCEPTED:
            if time.monotonic() - started > within_s:
                raise UnfinishedError(f"The {form} of {quote_id} is not made yet; ask again.")
            time.sleep(retry_after_s(answer.headers.get("Retry-After")) or 1.0)
        return answer.content

    def revisions(self, quote_id: str, *, limit: int | None = None, cursor: str | None = None) -> Page:
        """All revisions of the number of a quote, newest first."""
        return self._connection.page(f"{self._at(quote_id)}/revisions", limit=limit, cursor=cursor)

    def diff(self, quote_id: str, other_id: str) -> dict[str, Any]:
        """What changed from one revision of a quote to another."""
        return self._connection.document("GET", path_of("quotes", quote_id, "diff", other_id))

    def create(self, request: Body, *, idempotency_key: str | None = None) -> dict[str, Any]:
        """Write a quote from an option of a run: a draft."""
        return self._connection.post(_PATH, request, idempotency_key=idempotency_key)

    def change(self, quote_id: str, request: Body, *, tag: str | None = None) -> dict[str, Any]:
        """Write a draft anew; refused (412) when it was changed since."""
        return self._connection.change("PUT", self._at(quote_id), request, tag=tag or self.tag(quote_id))

    def step(self, quote_id: str, step: str, body: Body | None = None, *, tag: str | None = None) -> dict[str, Any]:
        """submit, approve, reject, issue, accept, decline or withdraw."""
        return self._connection.change("POST", f"{self._at(quote_id)}/{step}", body, tag=tag or self.tag(quote_id))

    def revise(
        self, quote_id: str, request: Body, *, tag: str | None = None, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Write the next revision of a quote: a draft at the prices of today."""
        headers = {"If-Match": tag or self.tag(quote_id)}
        path = f"{self._at(quote_id)}/revise"
        return self._connection.post(path, request, headers=headers, idempotency_key=idempotency_key)

    def _at(self, quote_id: str) -> str:
        return path_of("quotes", quote_id)
