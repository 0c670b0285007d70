"""/v1/workloads: a workload arrives, and is read again."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from service.access import Permission
from service.api.posted_run import PostedRun
from service.api.runs import OPEN_RUN_DOC, RUNS, answer_run
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, REPLAYED_DOC, answer_once, asked_once, idempotent
from service.edge.run_content import ENCODED_DOC
from service.edge.waiting import APPLIED_DOC, PREFER
from service.planning.reading import get_workload, list_workload_runs, list_workloads
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.query import LabelsField, TimeField
from service.schemas.run import RunPageSchema, RunSchema, WorkloadPageSchema, WorkloadSchema
from service.schemas.strict import Choice, Text
from service.schemas.workload import SizingRequest, SizingRequestSchema
from service.sizing.kind import Kind
from service.store.filters import WorkloadFilter

blueprint = ResourceBlueprint(
    "workloads",
    __name__,
    url_prefix="/v1/workloads",
    permission=Permission.WORKLOADS,
    description="What customers want to do.",
)
_WORKLOADS = "workloads"
LOCATION_DOC = {
    "Location": {
        "description": "Address of the run.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "pattern": "^/v1/runs/"},
    }
}


class Archived(StrEnum):
    """Whether a list shows what was archived."""

    FALSE = "false"
    TRUE = "true"
    ANY = "any"


class WorkloadQuerySchema(PageQuerySchema):
    """The query of the list of workloads."""

    cursor = CursorField(_WORKLOADS)
    kind = Choice("Only workloads of this kind.", Kind, load_default=None, allow_none=False)
    name = Text("Only workloads of exactly this name.", load_default=None, allow_none=False)
    labels = LabelsField("Only workloads with this label, as key:value; several: all of them.")
    archived = Choice(
        "Archived workloads: left out, nothing else, or among the others.",
        Archived,
        load_default=Archived.FALSE,
        allow_none=False,
    )
    created_after = TimeField("Only workloads that were posted at this time or later.")
    created_before = TimeField("Only workloads that were posted before this time.")


class WorkloadRunQuerySchema(PageQuerySchema):
    """The query of the list of runs of one workload."""

    cursor = CursorField(RUNS)


def identity(workload_id: str, version: int, archived_at: datetime | None = None) -> tuple[str, ...]:
    """What the ETag of a workload stands for: what callers read of it changes with these only."""
    return "workload", workload_id, str(version), "" if archived_at is None else archived_at.isoformat()


@blueprint.route("", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(SizingRequestSchema)
@blueprint.response(
    202,
    RunSchema,
    description="The run is queued.",
    headers=LOCATION_DOC | OPEN_RUN_DOC | APPLIED_DOC | REPLAYED_DOC,
)
@blueprint.alt_response(
    200,
    schema=RunSchema,
    success=True,
    headers=LOCATION_DOC | APPLIED_DOC | REPLAYED_DOC | ENCODED_DOC,
    description="The run has ended: the question had been answered before, or you waited.",
)
@blueprint.described(operationId="postWorkload", parameters=[IDEMPOTENCY_KEY, PREFER])
def post_workload(sizing_request: SizingRequest) -> Any:
    """Ask how a workload would be served: makes a workload and its run."""
    posted = PostedRun(request=sizing_request)
    if asked_once():
        return answer_once(posted)
    run, applied = posted.wait(posted.make())
    return answer_run(run, headers={"Location": f"/v1/runs/{run.id}", **applied})


@blueprint.route("", methods=["GET"])
@blueprint.arguments(WorkloadQuerySchema, location="query")
@blueprint.response(200, WorkloadPageSchema)
@blueprint.described(operationId="listWorkloads")
def get_workloads(query: dict[str, Any]) -> Any:
    """List your workloads, newest first."""
    cursor, limit, archived = query.pop("cursor"), query.pop("limit"), query.pop("archived")
    only = WorkloadFilter(**query, archived=None if archived is Archived.ANY else archived is Archived.TRUE)
    found = list_workloads(runtime(), caller(), only=only, before_id=cursor, limit=limit + 1)
    return page(found, of=_WORKLOADS, limit=limit)


@blueprint.route("/<workload_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, WorkloadSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getWorkload")
def get_one_workload(workload_id: str) -> Any:
    """Read one workload, with every default spelled out."""
    found = get_workload(runtime(), caller(), workload_id)
    return found, tagged(*identity(found.id, found.version, found.archived_at))


@blueprint.route("/<workload_id>/runs", methods=["GET"])
@blueprint.arguments(WorkloadRunQuerySchema, location="query")
@blueprint.response(200, RunPageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listWorkloadRuns")
def get_workload_runs(query: dict[str, Any], workload_id: str) -> Any:
    """List the runs of one workload, newest first."""
    found = list_workload_runs(runtime(), caller(), workload_id, before_id=query["cursor"], limit=query["limit"] + 1)
    return page(found, of=RUNS, limit=query["limit"])
