"""/v1/batches: many workloads at once."""

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Any, BinaryIO, cast

from flask import Response, jsonify, request

from service.access import Permission
from service.documents.batch_csv import batch_csv
from service.edge.answers import MEDIA_TYPE
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, request_id, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, REPLAYED_DOC, answer_once, asked_once, idempotent
from service.edge.upload import uploaded_file
from service.planning.batch.cancel import cancel
from service.planning.batch.reading import get_batch, list_batches, list_items, results
from service.planning.batch.receive import dry_run, receive
from service.planning.batch.view import BatchView, ItemView
from service.planning.idempotency import FirstAnswer, Once, earlier, taken
from service.schemas.batch import (
    BatchItemPageSchema,
    BatchItemSchema,
    BatchPageSchema,
    BatchSchema,
    DryRunSchema,
    batch_json,
    item_line,
)
from service.schemas.page import CursorField, PageQuerySchema, ordinal, page
from service.schemas.query import TimeField, YesOrNo
from service.schemas.strict import Choice, StrictSchema, Text
from service.schemas.uploaded import CSV, JSON, MOST_ITEMS, NDJSON, uploaded
from service.schemas.uploaded_item import Uploaded
from service.schemas.workload import SizingRequestSchema
from service.sizing.kind import Kind
from service.store.batches import BatchFilter, ItemFilter
from service.store.tables.batches import OPEN_BATCHES, BatchStatus, ItemState

blueprint = ResourceBlueprint(
    "batches", __name__, url_prefix="/v1/batches", permission=Permission.BATCHES, description="Many workloads at once."
)
_BATCHES = "batches"
_ITEMS = "batch-items"
_RETRY_AFTER_S = "2"
_SEEN = (BatchStatus.ACCEPTED, BatchStatus.RUNNING, BatchStatus.DONE, BatchStatus.CANCELLED)
_LINES_TOGETHER = 200
_DRY_RUN = DryRunSchema()
_RETRY_AFTER = {
    "description": "Seconds to wait before asking how far it is; while the batch is open.",
    "schema": {"type": "integer", "minimum": 0},
}
_LOCATION_DOC = {
    "Location": {
        "description": "Address of the batch.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "pattern": "^/v1/batches/"},
    },
    "Retry-After": {**_RETRY_AFTER, "required": True},
}
# A wrong item makes no wrong upload.
_ITEM = {"anyOf": [SizingRequestSchema, {"description": "Anything else is an item that is refused alone."}]}
_UPLOAD = {
    NDJSON: {"schema": _ITEM},
    JSON: {"schema": {"type": "array", "items": _ITEM, "minItems": 1, "maxItems": MOST_ITEMS}},
    CSV: {"schema": {"type": "string"}},
}
_FORMS = {
    NDJSON: {"schema": BatchItemSchema},
    CSV: {"schema": {"type": "string", "description": "A heading and a row an item."}},
}


class BatchUploadQuerySchema(StrictSchema):
    """The query of an upload."""

    name = Text("Its name, for people.", load_default=None, allow_none=False)
    dry_run = YesOrNo("true: every item is checked and told of, and nothing is kept.")


class BatchQuerySchema(PageQuerySchema):
    """The query of the list of batches."""

    cursor = CursorField(_BATCHES)
    status = Choice("Only batches of this status.", _SEEN, load_default=None, allow_none=False)
    created_after = TimeField("Only batches of this time or later.")
    created_before = TimeField("Only batches before this time.")


class ItemChoiceSchema(StrictSchema):
    """Which items."""

    state = Choice("Only items in this state.", ItemState, load_default=None, allow_none=False)
    kind = Choice("Only items of this kind of workload.", Kind, load_default=None, allow_none=False)
    name = Text("Only items of exactly this name.", load_default=None, allow_none=False)


class BatchItemQuerySchema(ItemChoiceSchema, PageQuerySchema):
    """The query of the list of items."""

    cursor = CursorField(_ITEMS, read=ordinal)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PostedBatch:
    """The posting of one upload."""

    file: IO[bytes]
    name: str | None
    wait_s: float = 0.0

    def make(self, once: Once[BatchView] | None = None) -> BatchView:
        """The batch. A key that was used before is not worth reading 64 MB for."""
        if once is not None and earlier(runtime(), caller(), once) is not None:
            raise taken(once)
        return receive(
            runtime(),
            caller(),
            lambda: _items(self.file),
            name=self.name,
            request_id=request_id(),
            once=once,
        )

    def settled(self, made: BatchView) -> bool:  # noqa: ARG002 - every posting is asked so
        """Nothing is waited for."""
        return True

    def wait(self, made: BatchView) -> tuple[BatchView, Mapping[str, str]]:
        """At once."""
        return made, {}

    def answer(self, made: BatchView, waited: Mapping[str, str]) -> FirstAnswer:
        """The batch as it was when it was accepted."""
        headers = {"Location": f"/v1/batches/{made.id}", "Retry-After": _RETRY_AFTER_S, **waited}
        return FirstAnswer(status=HTTPStatus.ACCEPTED, headers=headers, body=self.body(made))

    def read(self, resource_id: str) -> BatchView:
        """The batch as it is now."""
        return get_batch(runtime(), caller(), resource_id)

    def body(self, made: BatchView) -> bytes:
        """The batch as callers read it."""
        return batch_json(made)


def _items(file: IO[bytes]) -> Iterator[Uploaded]:
    # The type of a temporary file is wider than what it is.
    stream = cast("BinaryIO", io.BufferedReader(cast("Any", _Raw(file))))
    return uploaded(stream, request.mimetype, most_bytes=runtime().settings.body_limit_bytes)


class _Raw(io.RawIOBase):
    """A file that is read by lines and by characters, and closed by whoever opened it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is: how it begins is looked at first."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        return self._file.seek(offset, whence)

    def readinto(self, buffer: Any) -> int:
        """The next bytes."""
        piece = self._file.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


@blueprint.route("", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(BatchUploadQuerySchema, location="query")
@blueprint.uploads(_UPLOAD)
@blueprint.response(202, BatchSchema, description="The batch is accepted.", headers=_LOCATION_DOC | REPLAYED_DOC)
@blueprint.alt_response(200, schema=DryRunSchema, success=True, description="What a dry run found.")
@blueprint.described(
    operationId="postBatch",
    description="Up to 100,000 workloads in at most 64 MB: one per line (application/x-ndjson), a JSON list, or CSV "
    "whose first row names the field of each column by its path, such as workload.demand.requests_s. Each item stands "
    "for itself: one that is wrong is refused alone, with its line and its error, once a worker has read it.",
    parameters=[IDEMPOTENCY_KEY],
)
def post_batch(query: dict[str, Any]) -> Any:
    """Ask how many workloads would be served, each as POST /v1/workloads would."""
    with uploaded_file(request) as file:
        if query["dry_run"]:
            return jsonify(_DRY_RUN.dump(dry_run(runtime(), _items(file))))
        posted = _PostedBatch(file=file, name=query["name"])
        if asked_once():
            return answer_once(posted)
        first = posted.answer(posted.make(), {})
        return Response(first.body, first.status, first.headers, mimetype=MEDIA_TYPE)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(BatchQuerySchema, location="query")
@blueprint.response(200, BatchPageSchema)
@blueprint.described(operationId="listBatches")
def get_batches(query: dict[str, Any]) -> Any:
    """List your batches, newest first."""
    cursor, limit = query.pop("cursor"), query.pop("limit")
    found = list_batches(runtime(), caller(), only=BatchFilter(**query), before_id=cursor, limit=limit + 1)
    return page(found, of=_BATCHES, limit=limit)


@blueprint.route("/<batch_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, BatchSchema, headers=ETAG_DOC | {"Retry-After": _RETRY_AFTER})
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getBatch")
def get_one_batch(batch_id: str) -> Any:
    """Read how far a batch is."""
    found = get_batch(runtime(), caller(), batch_id)
    body = batch_json(found)
    hurry = {"Retry-After": _RETRY_AFTER_S} if found.status in OPEN_BATCHES else {}
    return Response(body, HTTPStatus.OK, {**tagged("batch", body), **hurry}, mimetype=MEDIA_TYPE)


@blueprint.route("/<batch_id>/items", methods=["GET"])
@blueprint.arguments(BatchItemQuerySchema, location="query")
@blueprint.response(200, BatchItemPageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listBatchItems")
def get_batch_items(query: dict[str, Any], batch_id: str) -> Any:
    """List the items of a batch in the order of their lines, each with its answer in short."""
    after, limit = query.pop("cursor") or 0, query.pop("limit")
    found = list_items(runtime(), caller(), batch_id, only=ItemFilter(**query), after_line=after, limit=limit + 1)
    return page(found, of=_ITEMS, limit=limit, id_of="line")


@blueprint.route("/<batch_id>/results", methods=["GET"])
@blueprint.arguments(ItemChoiceSchema, location="query")
@blueprint.response(200, {}, content_type=NDJSON)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="downloadBatchResults",
    description="All items in the order of their lines, one per line (application/x-ndjson) or as CSV, whichever is "
    "accepted. While the batch is worked on each item is as it is when its turn comes: open ones have no answer yet.",
    responses={200: {"content": _FORMS}},
)
def get_batch_results(query: dict[str, Any], batch_id: str) -> Any:
    """Read all items of a batch in one answer, which comes as it is read."""
    form = request.accept_mimetypes.best_match([NDJSON, CSV], default=NDJSON)
    found = results(runtime(), caller(), batch_id, only=ItemFilter(**query))
    pieces = batch_csv(cast("Any", found)) if form == CSV else _lines(found)
    return Response(pieces, HTTPStatus.OK, mimetype=form)


def _lines(items: Iterator[ItemView]) -> Iterator[bytes]:
    lines: list[bytes] = []
    for item in items:
        lines.append(item_line(item))
        if len(lines) == _LINES_TOGETHER:
            yield b"".join(lines)
            lines = []
    if lines:
        yield b"".join(lines)


@blueprint.route("/<batch_id>/cancel", methods=["POST"])
@blueprint.response(200, BatchSchema, description="The batch is cancelled, by this call or an earlier one.")
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(
    operationId="cancelBatch",
    description="Ends an open batch for good; a second call changes nothing. What was sized stays, what was not is "
    "cancelled. One that is done cannot be cancelled: 409.",
)
def cancel_batch(batch_id: str) -> Any:
    """Cancel a batch."""
    return cancel(runtime(), caller(), batch_id, request_id=request_id())
