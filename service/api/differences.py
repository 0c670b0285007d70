"""/v1/runs/{run_id}/diff/{other_id}: what changed between two runs, and why."""

from typing import Any

from flask import request

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.planning.difference import run_difference
from service.schemas.difference import DifferenceSchema

blueprint = ResourceBlueprint(
    "differences", __name__, url_prefix="/v1/runs", permission=Permission.RUNS, description="What changed, and why."
)


@blueprint.route("/<run_id>/diff/<other_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, DifferenceSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="getRunDifference")
def get_run_difference(run_id: str, other_id: str) -> Any:
    """Read what changed from one done run to another: causes, and effects."""
    found = run_difference(runtime(), caller(), run_id, other_id=other_id)
    return found, tagged(found.old_digest, found.new_digest, request.path)
