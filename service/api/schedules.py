"""/v1/schedules: what is re-sized when, and what came of it; for everybody of the tenant."""

from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.planning.schedule.asking import preview_of
from service.planning.schedule.reading import get_schedule, list_occurrences, list_schedules
from service.planning.schedule.view import ScheduleView
from service.schemas.occurrence import OccurrencePageSchema, PreviewSchema, SchedulePageSchema, ScheduleSchema
from service.schemas.page import CursorField, PageQuerySchema, page
from service.schemas.query import YesOrNo
from service.schemas.strict import Choice, Text
from service.store.occurrences import OccurrenceFilter
from service.store.schedules import ScheduleFilter
from service.store.tables.schedules import OccurrenceStatus

blueprint = ResourceBlueprint(
    "schedules",
    __name__,
    url_prefix="/v1/schedules",
    permission=Permission.SCHEDULES,
    description="What is re-sized when, and what moved.",
)
_SCHEDULES = "schedules"
_OCCURRENCES = "occurrences"


class ScheduleQuerySchema(PageQuerySchema):
    """The query of the list of schedules."""

    cursor = CursorField(_SCHEDULES)
    name = Text("Only schedules of exactly this name.", load_default=None, allow_none=False)
    paused = YesOrNo("Only schedules that are paused, or only the others.")


class OccurrenceQuerySchema(PageQuerySchema):
    """The query of the list of occurrences of one schedule."""

    cursor = CursorField(_OCCURRENCES)
    status = Choice("Only occurrences of this status.", OccurrenceStatus, load_default=None, allow_none=False)


def identity(schedule: ScheduleView) -> tuple[str, ...]:
    """What the ETag of a schedule stands for: what callers read of it changes with these only."""
    last = schedule.last_occurrence
    moving = ("", "") if last is None else (f"{last.id} {last.status}", f"{last.items} {last.moved}")
    return ("schedule", schedule.id, str(schedule.version), str(schedule.next_at), *moving)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(ScheduleQuerySchema, location="query")
@blueprint.response(200, SchedulePageSchema)
@blueprint.described(operationId="listSchedules")
def get_schedules(query: dict[str, Any]) -> Any:
    """List the schedules of your tenant, newest first."""
    cursor, limit = query.pop("cursor"), query.pop("limit")
    found = list_schedules(runtime(), caller(), only=ScheduleFilter(**query), before_id=cursor, limit=limit + 1)
    return page(found, of=_SCHEDULES, limit=limit)


@blueprint.route("/<schedule_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, ScheduleSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getSchedule")
def get_one_schedule(schedule_id: str) -> Any:
    """Read one schedule."""
    found = get_schedule(runtime(), caller(), schedule_id)
    return found, tagged(*identity(found))


@blueprint.route("/<schedule_id>/preview", methods=["GET"])
@blueprint.response(200, PreviewSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getSchedulePreview")
def get_schedule_preview(schedule_id: str) -> Any:
    """Read what a schedule would do: its next five ticks, and the workloads that it would re-size now."""
    return preview_of(runtime(), caller(), schedule_id)


@blueprint.route("/<schedule_id>/occurrences", methods=["GET"])
@blueprint.arguments(OccurrenceQuerySchema, location="query")
@blueprint.response(200, OccurrencePageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listOccurrences")
def get_occurrences(query: dict[str, Any], schedule_id: str) -> Any:
    """List the occurrences of a schedule, newest first."""
    cursor, limit = query.pop("cursor"), query.pop("limit")
    only = OccurrenceFilter(**query)
    found = list_occurrences(runtime(), caller(), schedule_id, only=only, before_id=cursor, limit=limit + 1)
    return page(found, of=_OCCURRENCES, limit=limit)
