"""/v1/runs: how far a run is, and what came out."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.context import caller, runtime
from service.planning.reading import get_run, list_runs
from service.planning.view import RunView
from service.schemas.page import PageQuerySchema, page
from service.schemas.run import RunPageSchema, RunSchema
from service.schemas.strict import Choice, Text
from service.store.tables.runs import OPEN, RunStatus

blueprint = ResourceBlueprint(
    "runs", __name__, url_prefix="/v1/runs", permission=Permission.RUNS, description="Executions of the engine."
)
_RETRY_AFTER_S = "1"
RETRY_AFTER_DOC = {
    "Retry-After": {
        "description": "Seconds to wait before asking again; while the run is open.",
        "schema": {"type": "integer"},
    }
}


class RunQuerySchema(PageQuerySchema):
    """The query of the list of runs."""

    status = Choice("Only runs of this status.", RunStatus, load_default=None)
    workload_id = Text("Only runs of this workload.", load_default=None)


def answer_run(run: RunView, *, headers: Mapping[str, str] | None = None) -> Any:
    """202 while a posted run is open, 200 once it has ended."""
    if run.status in OPEN:
        return run, HTTPStatus.ACCEPTED, {"Retry-After": _RETRY_AFTER_S, **(headers or {})}
    return run, HTTPStatus.OK, dict(headers or {})


@blueprint.route("", methods=["GET"])
@blueprint.arguments(RunQuerySchema, location="query")
@blueprint.response(200, RunPageSchema)
@blueprint.described(operationId="listRuns")
def get_runs(query: dict[str, Any]) -> Any:
    """List your runs, newest first, without their results."""
    found = list_runs(
        runtime(),
        caller(),
        workload_id=query["workload_id"],
        status=query["status"],
        before_id=query["cursor"],
        limit=query["limit"] + 1,
    )
    return page(found, limit=query["limit"])


@blueprint.route("/<run_id>", methods=["GET"])
@blueprint.response(200, RunSchema, headers=RETRY_AFTER_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getRun")
def get_one_run(run_id: str) -> Any:
    """Read one run, with its result once it is done."""
    run = get_run(runtime(), caller(), run_id)
    return run, HTTPStatus.OK, {"Retry-After": _RETRY_AFTER_S} if run.status in OPEN else {}
