"""/v1/runs/{run_id}/options/{rank}/working: how the numbers of a ranked option were found."""

from typing import Any

from flask import request

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.planning.working import option_working
from service.schemas.working import WorkingSchema

blueprint = ResourceBlueprint(
    "working", __name__, url_prefix="/v1/runs", permission=Permission.RUNS, description="How the numbers were found."
)


@blueprint.route("/<run_id>/options/<rank>/working", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, WorkingSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="getOptionWorking")
def get_option_working(run_id: str, rank: str) -> Any:
    """Read the working of a ranked option: each quantity, its formula, its inputs and their source."""
    found = option_working(runtime(), caller(), run_id, rank=rank)
    return found, tagged(found.digest, request.path)
