"""/v1/runs/{run_id}/diff/{other_id}: what changed between two runs, and why."""

from typing import Any

from flask import request

from service.access import Permission
from service.api.runs import RETRY_AFTER_DOC
from service.edge.answers import PROBLEM_MEDIA_TYPE
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.planning.difference import run_difference
from service.schemas.difference import DifferenceSchema
from service.schemas.problem import ProblemSchema

blueprint = ResourceBlueprint(
    "differences", __name__, url_prefix="/v1/runs", permission=Permission.RUNS, description="What changed, and why."
)
_PARAMETERS = [
    {"in": "path", "name": "run_id", "description": "Id of the first, old run."},
    {"in": "path", "name": "other_id", "description": "Id of the second, new run."},
]


@blueprint.route("/<run_id>/diff/<other_id>", methods=["GET"], parameters=_PARAMETERS)
@documents_etag(blueprint)
@blueprint.response(200, DifferenceSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(
    409,
    schema=ProblemSchema,
    content_type=PROBLEM_MEDIA_TYPE,
    headers=RETRY_AFTER_DOC,
    description="One of the runs is not done.",
)
@blueprint.described(operationId="getRunDifference")
def get_run_difference(run_id: str, other_id: str) -> Any:
    """Read what changed from one done run to another: causes, and effects."""
    found = run_difference(runtime(), caller(), run_id, other_id=other_id)
    return found, tagged(found.old_digest, found.new_digest, request.path)
