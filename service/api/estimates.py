"""/v1/estimates: what a workload does on fixed hardware, at once."""

from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.context import runtime
from service.planning.estimate import estimate
from service.schemas.estimate import EstimateAnswer, EstimateAnswerSchema, EstimateRequest, EstimateRequestSchema

blueprint = ResourceBlueprint(
    "estimates",
    __name__,
    url_prefix="/v1/estimates",
    permission=Permission.ESTIMATES,
    description="Fixed hardware, evaluated.",
)


@blueprint.route("", methods=["POST"])
@blueprint.arguments(EstimateRequestSchema)
@blueprint.response(200, EstimateAnswerSchema)
@blueprint.described(operationId="postEstimate")
def post_estimate(asked: EstimateRequest) -> Any:
    """Ask what a workload, without demand or target, does on fixed hardware."""
    catalog = runtime().catalog
    return EstimateAnswer(
        estimate=estimate(runtime(), asked.workload, asked.deployment),
        catalog_version=catalog.version,
        calibration_version=catalog.calibration.version,
    )
