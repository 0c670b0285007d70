"""/batches and /schedules: many workloads at once, how far they are, and what moved when they were sized again."""

import io
from typing import Any

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
from service.planning.schedule.reading import (
    get_occurrence,
    get_schedule,
    list_occurrence_items,
    list_occurrences,
    list_schedules,
)
from service.schemas.json_text import MalformedBodyError
from service.schemas.uploaded import CSV, JSON, NDJSON, uploaded
from service.store.batches import BatchFilter, ItemFilter
from service.store.occurrences import OccurrenceFilter
from service.store.schedules import ScheduleFilter
from service.store.tables.batches import OPEN_BATCHES, ItemState
from service.web.rendering import page

blueprint = PageBlueprint("batches", __name__, permission=Permission.BATCHES)
schedules = PageBlueprint("schedules", __name__, permission=Permission.SCHEDULES)

_PER_PAGE = 50
_PASTED = "items"


@blueprint.get("/batches")
def show_batches() -> Response:
    """The batches of the tenant, newest first, and a place to send another."""
    return _list()


def _list(*, problem: str | None = None, typed: str = "", status: int = 200) -> Response:
    found = list_batches(
        runtime(), caller(), only=BatchFilter(), before_id=request.args.get("before"), limit=_PER_PAGE + 1
    )
    older = found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None
    return page("batches.html", status=status, batches=found[:_PER_PAGE], older=older, problem=problem, typed=typed)


@blueprint.post("/batches")
def upload() -> AnyResponse:
    """A batch from a file or from what was pasted: lines of JSON, a JSON list, or a table."""
    file = request.files.get("file")
    content = file.read() if file is not None and file.filename else b""
    pasted = request.form.get(_PASTED, "")
    content = content or pasted.encode()
    name = request.form.get("name", "").strip() or None
    if not content.strip():
        return _list(problem="Choose a file, or paste workloads: one per line, a JSON list, or a table.", status=422)
    try:
        items = uploaded(io.BytesIO(content), _type_of(content), most_bytes=runtime().settings.body_limit_bytes)
        made = receive(runtime(), caller(), items, name=name, request_id=request_id())
    except (InvalidRequestError, MalformedBodyError) as error:
        return _list(problem=error.message, typed=pasted, status=422)
    return redirect(f"/batches/{made.id}", code=303)


def _type_of(content: bytes) -> str:
    """What was sent, by how it begins."""
    start = content.lstrip()[:1]
    return JSON if start == b"[" else NDJSON if start == b"{" else CSV


@blueprint.get("/batches/<batch_id>")
def show_batch(batch_id: str) -> Response:
    """How far a batch is, and its items; while it is worked on the page asks again by itself."""
    return _page(get_batch(runtime(), caller(), batch_id))


def _page(batch: BatchView, *, problem: str | None = None, status: int = 200) -> Response:
    state = next((one for one in ItemState if one.value == request.args.get("state")), None)
    after = request.args.get("after", "0")
    line = int(after) if after.isascii() and after.isdecimal() and len(after) < 9 else 0
    found = list_items(
        runtime(), caller(), batch.id, only=ItemFilter(state=state), after_line=line, limit=_PER_PAGE + 1
    )
    return page(
        "batch_part.html" if is_part() else "batch.html",
        status=status,
        batch=batch,
        open=batch.status in OPEN_BATCHES,
        items=[_told(item) for item in found[:_PER_PAGE]],
        more=found[_PER_PAGE - 1].line if len(found) > _PER_PAGE else None,
        states=tuple(ItemState),
        state=state.value if state is not None else "",
        problem=problem,
    )


def _told(item: ItemView) -> dict[str, Any]:
    """An item with its answer, or what is wrong with it, read."""
    answer = orjson.loads(item.answer) if item.answer else {}
    problem = orjson.loads(item.problem) if item.problem else None
    return {"item": item, "option": answer.get("option"), "shortfall": answer.get("shortfall"), "problem": problem}


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


@schedules.get("/schedules")
def show_schedules() -> Response:
    """The schedules of the tenant."""
    return page("schedules.html", schedules=list_schedules(runtime(), caller(), only=ScheduleFilter()))


@schedules.get("/schedules/<schedule_id>")
def show_schedule(schedule_id: str) -> Response:
    """One schedule with its occurrences, newest first."""
    schedule = get_schedule(runtime(), caller(), schedule_id)
    found = list_occurrences(runtime(), caller(), schedule_id, only=OccurrenceFilter())
    return page("schedule.html", schedule=schedule, occurrences=found)


@schedules.get("/occurrences/<occurrence_id>")
def show_occurrence(occurrence_id: str) -> Response:
    """What moved in one occurrence, workload by workload."""
    occurrence = get_occurrence(runtime(), caller(), occurrence_id)
    items = list_occurrence_items(runtime(), caller(), occurrence_id)
    return page("occurrence.html", occurrence=occurrence, items=items)
