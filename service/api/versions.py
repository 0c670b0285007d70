"""/v1/workloads/{workload_id}: a workload is changed or archived; its versions are read."""

from http import HTTPStatus
from typing import Any

from service.access import Permission
from service.api.runs import OPEN_RUN_DOC, answer_run
from service.api.workloads import LOCATION_DOC, identity
from service.edge.answers import without_content
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, documents_if_match, entity_tag, if_match, tagged
from service.edge.context import caller, request_id, runtime
from service.edge.run_content import ENCODED_DOC
from service.edge.waiting import APPLIED_DOC, PREFER, as_preferred
from service.planning.change import archive, change
from service.planning.history import get_version, list_versions
from service.planning.reading import get_workload
from service.planning.view import WorkloadView
from service.schemas.page import CursorField, PageQuerySchema, ordinal, page
from service.schemas.run import RunSchema, WorkloadVersionPageSchema, WorkloadVersionSchema
from service.schemas.workload import SizingRequest, SizingRequestSchema

blueprint = ResourceBlueprint(
    "versions",
    __name__,
    url_prefix="/v1/workloads",
    permission=Permission.WORKLOADS,
    description="What customers wanted before.",
)
_VERSIONS = "versions"
_CHANGE = (
    "Writes the next version, all of it, and makes a run as POST does: cached, joined or queued. The body is that run; "
    "ETag is that of the workload as it is now. The old version stays to be read, and so do its runs. Where name, "
    "labels and question are those of the newest version there is no new one: the answer is its run that is open, or "
    "done under the catalog, calibration, engine and price book of now; when it has none of these, because it failed, "
    "was cancelled or was answered under others, another run of the same version is made. An archived workload is "
    "changed no more: 409."
)
_ARCHIVE = (
    "The workload is read as before, and neither listed nor changed any more; open runs go on. A second time is 204 "
    "too, whatever If-Match names, and changes nothing."
)


class VersionQuerySchema(PageQuerySchema):
    """The query of the list of versions."""

    cursor = CursorField(_VERSIONS, read=ordinal)


@blueprint.route("/<workload_id>", methods=["PUT"])
@documents_if_match(blueprint)
@blueprint.arguments(SizingRequestSchema)
@blueprint.response(
    202,
    RunSchema,
    description="The run is queued.",
    headers=LOCATION_DOC | ETAG_DOC | OPEN_RUN_DOC | APPLIED_DOC,
)
@blueprint.alt_response(
    200,
    schema=RunSchema,
    success=True,
    headers=LOCATION_DOC | ETAG_DOC | APPLIED_DOC | ENCODED_DOC,
    description="The run has ended: the question had been answered before, or you waited, or nothing was changed.",
)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="putWorkload", description=_CHANGE, parameters=[PREFER])
def put_workload(sizing_request: SizingRequest, workload_id: str) -> Any:
    """Change a workload: makes its next version and a run of that."""
    version = _named_version(get_workload(runtime(), caller(), workload_id))
    changed = change(runtime(), caller(), workload_id, sizing_request, version=version, request_id=request_id())
    run, applied = as_preferred(changed)
    tag = entity_tag(*identity(run.workload_id, run.workload_version))
    return answer_run(run, headers={"Location": f"/v1/runs/{run.id}", "ETag": f'"{tag}"', **applied})


@blueprint.route("/<workload_id>", methods=["DELETE"])
@documents_if_match(blueprint)
@blueprint.response(204, description="The workload is archived, by this call or an earlier one.")
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="deleteWorkload", description=_ARCHIVE)
def delete_workload(workload_id: str) -> Any:
    """Archive a workload."""
    version = _named_version(get_workload(runtime(), caller(), workload_id))
    archive(runtime(), caller(), workload_id, version=version, request_id=request_id())
    return without_content(HTTPStatus.NO_CONTENT)


def _named_version(workload: WorkloadView) -> int | None:
    """The version that If-Match names; None for any. Of an archived one there is nothing to overwrite."""
    condition = if_match()
    if workload.archived_at is not None:
        return None
    return workload.version if condition.names(entity_tag(*identity(workload.id, workload.version))) else None


@blueprint.route("/<workload_id>/versions", methods=["GET"])
@blueprint.arguments(VersionQuerySchema, location="query")
@blueprint.response(200, WorkloadVersionPageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listWorkloadVersions")
def get_versions(query: dict[str, Any], workload_id: str) -> Any:
    """List the versions of a workload, newest first."""
    found = list_versions(runtime(), caller(), workload_id, before=query["cursor"], limit=query["limit"] + 1)
    return page(found, of=_VERSIONS, limit=query["limit"], id_of="version")


@blueprint.route("/<workload_id>/versions/<number>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, WorkloadVersionSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getWorkloadVersion")
def get_one_version(workload_id: str, number: str) -> Any:
    """Read one version of a workload, with every default spelled out."""
    found = get_version(runtime(), caller(), workload_id, number=number)
    return found, tagged(found.workload_id, str(found.version), "replaced" if found.replaced_at else "newest")
