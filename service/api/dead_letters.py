"""/v1/dead-letters: an operator sees which runs ended without an answer."""

from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.context import runtime
from service.planning.dead_letters import list_dead_letters
from service.schemas.dead_letters import DeadLetterPageSchema
from service.schemas.page import CursorField, PageQuerySchema, page

_DEAD_LETTERS = "dead-letters"

blueprint = ResourceBlueprint(
    "dead_letters",
    __name__,
    url_prefix="/v1/dead-letters",
    permission=Permission.INSTALLATION,
    description="Runs that ended without an answer, of all tenants.",
)


class DeadLetterQuerySchema(PageQuerySchema):
    """The query of the list of dead letters."""

    cursor = CursorField(_DEAD_LETTERS)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(DeadLetterQuerySchema, location="query")
@blueprint.response(200, DeadLetterPageSchema)
@blueprint.described(
    operationId="listDeadLetters",
    description="For operators of the installation. `poison`: every attempt ended its worker; `time_limit`: sizing "
    "computed for too long, or was stopped again and again without having computed; `engine_error`: a fault of the "
    "engine, whose traceback lies in the database under the run's id. Neither whose a run was nor what was asked is "
    "told.",
)
def get_dead_letters(query: dict[str, Any]) -> Any:
    """List the runs that failed, newest first."""
    found = list_dead_letters(runtime(), before_id=query["cursor"], limit=query["limit"] + 1)
    return page(found, of=_DEAD_LETTERS, limit=query["limit"])
