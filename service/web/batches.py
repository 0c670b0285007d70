"""/batches: many workloads at once, how far they are, and what came of each."""

import codecs
from collections.abc import Iterator
from typing import Any, BinaryIO

import orjson
from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.documents.batch_csv import batch_csv
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint, is_part
from service.errors import ConflictError, InvalidRequestError
from service.planning.batch.cancel import cancel
from service.planning.batch.reading import get_batch, list_batches, list_items, results
from service.planning.batch.receive import receive
from service.planning.batch.view import BatchView, ItemView
from service.schemas.json_text import MalformedBodyError
from service.schemas.uploaded import CSV, JSON, MOST_ITEMS, NDJSON, uploaded
from service.schemas.uploaded_item import Uploaded
from service.sizing.kind import Kind
from service.sizing.units import MEGA
from service.store.batches import BatchFilter, ItemFilter
from service.store.tables.batches import OPEN_BATCHES, ItemState
from service.web.quote_writing import number_of
from service.web.rendering import page
from service.web.sent import sent_file
from service.web.sentence import server_name

blueprint = PageBlueprint("batches", __name__, permission=Permission.BATCHES)

_PER_PAGE = 50
_PASTED = "items"
_BEGINNING_BYTES = 1024


@blueprint.get("/batches")
def show_batches() -> Response:
    """The batches of the tenant, newest first, and a place to send another."""
    return _list()


def _list(*, problem: str | None = None, typed: str = "", name: str = "", status: int = 200) -> Response:
    found = list_batches(
        runtime(), caller(), only=BatchFilter(), before_id=request.args.get("before"), limit=_PER_PAGE + 1
    )
    older = found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None
    return page(
        "batches.html",
        status=status,
        batches=found[:_PER_PAGE],
        older=older,
        problem=problem,
        typed=typed,
        name=name,
        most_items=MOST_ITEMS,
        most_mb=runtime().settings.batch_limit_bytes / MEGA,
    )


@blueprint.post("/batches")
@blueprint.takes_batch
def upload() -> AnyResponse:
    """A batch from a file or from what was pasted: lines of JSON, a JSON list, or a table."""
    name = request.form.get("name", "").strip() or None
    pasted = request.form.get(_PASTED, "")
    sent = sent_file(_PASTED)
    if sent is None:
        problem = "Choose a file, or paste workloads: one per line, a JSON list, or a table."
        return _list(problem=problem, typed=pasted, name=name or "", status=422)
    try:
        made = receive(runtime(), caller(), lambda: _items(sent), name=name, request_id=request_id())
    except (InvalidRequestError, MalformedBodyError) as error:
        return _list(problem=error.message, typed=pasted, name=name or "", status=422)
    return redirect(f"/batches/{made.id}", code=303)


def _items(sent: BinaryIO) -> Iterator[Uploaded]:
    return uploaded(sent, _type_of(sent), most_bytes=runtime().settings.body_limit_bytes)


def _type_of(sent: BinaryIO) -> str:
    """What was sent, by how it begins."""
    start = sent.read(_BEGINNING_BYTES).removeprefix(codecs.BOM_UTF8).lstrip()[:1]
    sent.seek(0)
    return JSON if start == b"[" else NDJSON if start == b"{" else CSV


@blueprint.get("/batches/<batch_id>")
def show_batch(batch_id: str) -> Response:
    """How far a batch is, and its items; while it is worked on the page asks again by itself."""
    return _page(get_batch(runtime(), caller(), batch_id))


def _page(batch: BatchView, *, problem: str | None = None, status: int = 200) -> Response:
    state = next((one for one in ItemState if one.value == request.args.get("state")), None)
    kind = next((one.value for one in Kind if one.value == request.args.get("kind")), None)
    name = request.args.get("name", "").strip()
    after = number_of(request.args.get("after", "0"))
    only = ItemFilter(state=state, kind=kind, name=name or None)
    found = list_items(runtime(), caller(), batch.id, only=only, after_line=after, limit=_PER_PAGE + 1)
    return page(
        "batch_part.html" if is_part() else "batch.html",
        status=status,
        part=is_part(),
        batch=batch,
        open=batch.status in OPEN_BATCHES,
        items=[_told(item) for item in found[:_PER_PAGE]],
        more=found[_PER_PAGE - 1].line if len(found) > _PER_PAGE else None,
        states=tuple(ItemState),
        asked={"state": "" if state is None else state.value, "kind": kind or "", "name": name},
        kinds=tuple(one.value for one in Kind),
        problem=problem,
    )


def _told(item: ItemView) -> dict[str, Any]:
    """An item with its answer, or what is wrong with it, read."""
    answer = orjson.loads(item.answer) if item.answer else {}
    problem = orjson.loads(item.problem) if item.problem else None
    option = answer.get("option")
    return {
        "item": item,
        "option": option,
        "server": "" if option is None else server_name(str(option["server_name"])),
        "total_usd": None if option is None else (option.get("cost") or {}).get("total_usd"),
        "shortfall": answer.get("shortfall"),
        "problem": problem,
    }


@blueprint.get("/batches/<batch_id>/results.csv")
def read_results(batch_id: str) -> Response:
    """All items as a table."""
    found: Any = results(runtime(), caller(), batch_id)
    headers = {"Content-Disposition": f'attachment; filename="{batch_id}.csv"'}
    return Response(batch_csv(found), mimetype=CSV, headers=headers)


@blueprint.post("/batches/<batch_id>/cancel")
def stop(batch_id: str) -> AnyResponse:
    """End an open batch; what is sized stays."""
    try:
        cancel(runtime(), caller(), batch_id, request_id=request_id())
    except ConflictError as error:
        return _page(get_batch(runtime(), caller(), batch_id), problem=error.message, status=409)
    return redirect(f"/batches/{batch_id}", code=303)
