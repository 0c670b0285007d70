"""/healthz, /readyz: is the process alive, and are the parts that it needs."""

from http import HTTPStatus
from typing import Any

from service.edge.blueprint import ResourceBlueprint
from service.edge.recent_readiness import recent_readiness
from service.schemas.health import AliveSchema, ReadinessSchema

blueprint = ResourceBlueprint("health", __name__, permission=None, description="For those who run the service.")

_RETRY_AFTER_S = 5
_RETRY_AFTER_DOC = {
    "Retry-After": {
        "description": "Seconds to wait before asking again.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
}


@blueprint.route("/healthz", methods=["GET"])
@blueprint.response(200, AliveSchema)
@blueprint.described(operationId="getHealth")
def get_health() -> Any:
    """Ask whether the process is alive."""
    return {"status": "alive"}


@blueprint.route("/readyz", methods=["GET"])
@blueprint.response(200, ReadinessSchema)
@blueprint.alt_response(
    503,
    schema=ReadinessSchema,
    headers=_RETRY_AFTER_DOC,
    description="A part is missing; its reason is beside it.",
)
@blueprint.described(
    operationId="getReadiness",
    description="Each process looks once a second at most, however often it is asked. Worker and dispatcher are missed "
    "once the last of them has been silent for HEADROOM_SILENT_AFTER_S: 10 s, unless the operator has set it.",
)
def get_readiness() -> Any:
    """Ask whether every part that the service needs is there, and why not."""
    state = recent_readiness()
    headers = {} if state.ready else {"Retry-After": str(_RETRY_AFTER_S)}
    return state, HTTPStatus.OK if state.ready else HTTPStatus.SERVICE_UNAVAILABLE, headers
