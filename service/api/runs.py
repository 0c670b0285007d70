"""/v1/runs: how far a run is, and what came out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from flask import Response, request

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, request_id, runtime
from service.edge.encoding import VARY
from service.edge.run_content import ENCODED_DOC, content, is_sent_by_gzip
from service.edge.waiting import APPLIED_DOC, PREFER, as_preferred, asked_wait_s
from service.planning.cancel import cancel
from service.planning.reading import RunAnswer, get_run, list_runs, read_run, run_answer
from service.planning.view import RunView
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.query import LabelsField, TimeField, YesOrNo
from service.schemas.run import RunPageSchema, RunSchema
from service.schemas.strict import Choice, Text
from service.sizing.kind import Kind
from service.store.filters import RunFilter
from service.store.tables.runs import OPEN, RunStatus

blueprint = ResourceBlueprint(
    "runs", __name__, url_prefix="/v1/runs", permission=Permission.RUNS, description="Executions of the engine."
)
RUNS = "runs"
RETRY_AFTER_S = "1"
_RETRY_AFTER_DOC = {
    "Retry-After": {
        "description": "Seconds to wait before asking again; while the run is open.",
        "schema": {"type": "integer", "minimum": 0},
    }
}
OPEN_RUN_DOC = {
    "Retry-After": {**_RETRY_AFTER_DOC["Retry-After"], "required": True},
}


class RunQuerySchema(PageQuerySchema):
    """The query of the list of runs."""

    cursor = CursorField(RUNS)
    status = Choice("Only runs of this status.", RunStatus, load_default=None, allow_none=False)
    kind = Choice("Only runs of this kind of workload.", Kind, load_default=None, allow_none=False)
    workload_id = Text("Only runs of this workload.", longest=64, load_default=None, allow_none=False)
    feasible = YesOrNo("Only done runs in which something fits, or in which nothing does.")
    cached = YesOrNo("Only runs whose question had been answered before, or only the others.")
    labels = LabelsField("Only runs whose workload has this label now, as key:value; several: all of them.")
    created_after = TimeField("Only runs of this time or later.")
    created_before = TimeField("Only runs before this time.")


def answer_run(run: RunView, *, headers: Mapping[str, str]) -> Response:
    """202 while a posted run is open, 200 once it has ended."""
    status = HTTPStatus.ACCEPTED if run.status in OPEN else HTTPStatus.OK
    return _written(run_answer(runtime(), run), status, headers)


def _written(run: RunAnswer, status: HTTPStatus, headers: Mapping[str, str]) -> Response:
    """The bytes as they are: RunSchema says what they hold, and every answer of the tests is held against it."""
    hurry = {"Retry-After": RETRY_AFTER_S} if run.status in OPEN else {}
    chunks, own_headers = content(runtime(), run, by_gzip=is_sent_by_gzip(run, request.environ))
    return Response(b"".join(chunks), status, {**dict((*own_headers, VARY)), **hurry, **headers})


@blueprint.route("", methods=["GET"])
@blueprint.arguments(RunQuerySchema, location="query")
@blueprint.response(200, RunPageSchema)
@blueprint.described(operationId="listRuns")
def get_runs(query: dict[str, Any]) -> Any:
    """List your runs, newest first, without their results."""
    cursor, limit = query.pop("cursor"), query.pop("limit")
    found = list_runs(runtime(), caller(), only=RunFilter(**query), before_id=cursor, limit=limit + 1)
    return page(found, of=RUNS, limit=limit)


@blueprint.route("/<run_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, RunSchema, headers=_RETRY_AFTER_DOC | ETAG_DOC | APPLIED_DOC | ENCODED_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="getRun",
    description="A run that has ended is answered at once, without Preference-Applied.",
    parameters=[PREFER],
)
def get_one_run(run_id: str) -> Any:
    """Read one run, with its result once it is done."""
    run, waited = _waited_for(read_run(runtime(), caller(), run_id), run_id)
    # The summary names the digest, and under one digest there is one answer.
    return _written(run, HTTPStatus.OK, {**_tagged(run), **waited})


def _tagged(run: RunAnswer) -> dict[str, str]:
    """By gzip it has the tag that it has without, made weak: whoever has it in one form need not read the other."""
    return tagged(run.summary, vary=VARY[1], weak=is_sent_by_gzip(run, request.environ))


def _waited_for(run: RunAnswer, run_id: str) -> tuple[RunAnswer, Mapping[str, str]]:
    """The run after the wait that the caller prefers; one that has ended is not waited for."""
    if run.status not in OPEN or not asked_wait_s():
        return run, {}
    later, waited = as_preferred(get_run(runtime(), caller(), run_id))
    return run_answer(runtime(), later), waited


@blueprint.route("/<run_id>/cancel", methods=["POST"])
@blueprint.response(200, RunSchema, description="The run is cancelled, by this call or an earlier one.")
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(
    operationId="cancelRun",
    description="Ends a queued or running run for good; a second call changes nothing. Other runs of the same question "
    "go on. One that is done or failed cannot be cancelled: 409.",
)
def cancel_run(run_id: str) -> Any:
    """Cancel a run."""
    return answer_run(cancel(runtime(), caller(), run_id, request_id=request_id()), headers={})
