"""/v1/workloads: a workload arrives, and is read again."""

from typing import Any

from service.access import Permission
from service.api.runs import OPEN_RUN_DOC, answer_run
from service.edge.blueprint import ResourceBlueprint
from service.edge.context import caller, request_id, runtime
from service.edge.waiting import as_preferred
from service.planning.reading import get_workload, list_workload_runs, list_workloads
from service.planning.submit import submit
from service.schemas.page import PageQuerySchema, page
from service.schemas.run import RunPageSchema, RunSchema, WorkloadPageSchema, WorkloadSchema
from service.schemas.workload import SizingRequest, SizingRequestSchema

blueprint = ResourceBlueprint(
    "workloads",
    __name__,
    url_prefix="/v1/workloads",
    permission=Permission.WORKLOADS,
    description="What customers want to do.",
)
_LOCATION_DOC = {
    "Location": {
        "description": "Address of the run.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "pattern": "^/v1/runs/"},
    }
}
_APPLIED_DOC = {"Preference-Applied": {"description": "The wait that was granted.", "schema": {"type": "string"}}}
_PREFER = {
    "in": "header",
    "name": "Prefer",
    "schema": {"type": "string", "examples": ["wait=10"]},
    "description": "wait=N: answer once the run has ended, after at most N (<= 30) seconds. When too many callers "
    "wait already the answer comes at once, without Preference-Applied.",
}
_NOT_IDEMPOTENT = (
    "Idempotency-Key is not read yet: a request that is sent again makes another workload and another run, though the "
    "same question is still computed only once."
)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(SizingRequestSchema)
@blueprint.response(
    202, RunSchema, description="The run is queued.", headers=_LOCATION_DOC | OPEN_RUN_DOC | _APPLIED_DOC
)
@blueprint.alt_response(
    200,
    schema=RunSchema,
    success=True,
    headers=_LOCATION_DOC | _APPLIED_DOC,
    description="The run has ended: the question had been answered before, or you waited.",
)
@blueprint.described(operationId="postWorkload", description=_NOT_IDEMPOTENT, parameters=[_PREFER])
def post_workload(sizing_request: SizingRequest) -> Any:
    """Ask how a workload would be served: makes a workload and its run."""
    run = submit(runtime(), caller(), sizing_request, request_id=request_id())
    run, applied = as_preferred(run)
    return answer_run(run, headers={"Location": f"/v1/runs/{run.id}", **applied})


@blueprint.route("", methods=["GET"])
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, WorkloadPageSchema)
@blueprint.described(operationId="listWorkloads")
def get_workloads(query: dict[str, Any]) -> Any:
    """List your workloads, newest first."""
    found = list_workloads(runtime(), caller(), before_id=query["cursor"], limit=query["limit"] + 1)
    return page(found, limit=query["limit"])


@blueprint.route("/<workload_id>", methods=["GET"])
@blueprint.response(200, WorkloadSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getWorkload")
def get_one_workload(workload_id: str) -> Any:
    """Read one workload, with every default spelled out."""
    return get_workload(runtime(), caller(), workload_id)


@blueprint.route("/<workload_id>/runs", methods=["GET"])
@blueprint.arguments(PageQuerySchema, location="query")
@blueprint.response(200, RunPageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listWorkloadRuns")
def get_workload_runs(query: dict[str, Any], workload_id: str) -> Any:
    """List the runs of one workload, newest first."""
    found = list_workload_runs(runtime(), caller(), workload_id, before_id=query["cursor"], limit=query["limit"] + 1)
    return page(found, limit=query["limit"])
