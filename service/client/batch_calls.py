"""The API of batches for Python programs: `headroom.batches.submit(...)`, `wait`, `results`."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from service.client.batch import NDJSON, Batch, batch_of
from service.client.connection import Connection, path_of
from service.client.patience import retry_after_s
from service.client.run import Page
from service.client.waiting import WHILE_WAITING, Wait

_PATH = "/v1/batches"
# 64 MB on a slow line, and 100,000 items that are written down.
_UPLOAD_S = 300.0


class BatchCalls:
    """The calls of /v1/batches."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def submit(
        self,
        body: bytes,
        *,
        media_type: str = NDJSON,
        name: str | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Post up to 100,000 workloads; the batch is accepted, and sized from now on.

        The same upload under the same `idempotency_key` is the same batch for a day, as it is by now.
        """
        answer = self._upload(body, media_type, {"name": name}, idempotency_key or uuid.uuid4().hex)
        posted = _batch(answer)
        return self.get(posted.id) if "Idempotency-Replayed" in answer.headers else posted

    def dry_run(self, body: bytes, *, media_type: str = NDJSON) -> Mapping[str, Any]:
        """What would become of an upload; nothing is kept."""
        answer = self._upload(body, media_type, {"dry_run": "true"}, uuid.uuid4().hex)
        document: Mapping[str, Any] = answer.json()
        return document

    def _upload(self, body: bytes, media_type: str, query: Mapping[str, str | None], key: str) -> httpx.Response:
        params = {name: value for name, value in query.items() if value is not None}
        headers = {"Content-Type": media_type, "Idempotency-Key": key}
        return self._connection.send("POST", _PATH, content=body, headers=headers, params=params, extra_s=_UPLOAD_S)

    def get(self, batch_id: str) -> Batch:
        """How far a batch is."""
        return _batch(self._connection.send("GET", path_of("batches", batch_id)))

    def wait(self, batch: Batch, *, within_s: float, watch: Callable[[Batch], None] | None = None) -> Batch:
        """Follow a batch to its end, telling `watch` how far it is; UnfinishedError when that takes too long."""
        wait = Wait(within_s)
        while True:
            if watch is not None:
                watch(batch)
            if not batch.open:
                return batch
            wait.pause(f"Batch {batch.id} was still {batch.status}")
            batch = _batch(self._connection.send("GET", path_of("batches", batch.id), patience=WHILE_WAITING))

    def list(self, *, status: str | None = None, limit: int | None = None, cursor: str | None = None) -> Page:
        """Batches, newest first."""
        return self._connection.page(_PATH, status=status, limit=limit, cursor=cursor)

    def items(
        self, batch_id: str, *, state: str | None = None, limit: int | None = None, cursor: str | None = None
    ) -> Page:
        """Items in the order of their lines."""
        return self._connection.page(path_of("batches", batch_id, "items"), state=state, limit=limit, cursor=cursor)

    def results(self, batch_id: str, *, media_type: str = NDJSON) -> Iterator[bytes]:
        """All items in the order of their lines, in pieces as they come."""
        path = path_of("batches", batch_id, "results")
        accept = {"Accept": f"{media_type}, application/problem+json;q=0.1"}
        with self._connection.streamed(path, headers=accept) as answer:
            yield from answer.iter_bytes()

    def cancel(self, batch_id: str) -> Batch:
        """Cancel a batch for good; once it is done, that is refused (409)."""
        return _batch(self._connection.send("POST", path_of("batches", batch_id, "cancel")))


def _batch(answer: httpx.Response) -> Batch:
    return batch_of(answer.json(), retry_after_s=retry_after_s(answer.headers.get("Retry-After")))
