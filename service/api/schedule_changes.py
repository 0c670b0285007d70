"""/v1/schedules: an administrator makes, changes, pauses and removes schedules, and asks for an occurrence at once."""

from http import HTTPStatus
from typing import Any

from service.access import Permission
from service.api.occurrences import PLACE as OCCURRENCES
from service.api.occurrences import identity as identity_of_occurrence
from service.api.schedules import identity
from service.edge.answers import without_content
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_if_match, entity_tag, if_match
from service.edge.context import caller, request_id, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, idempotent
from service.edge.posting import PostedNow, created, created_doc
from service.planning.schedule.asking import preview, run_now
from service.planning.schedule.reading import get_occurrence, get_schedule
from service.planning.schedule.view import OccurrenceView, ScheduleView
from service.planning.schedule.writing import MOST_SCHEDULES, change, create, pause, remove, resume
from service.schemas.occurrence import OccurrenceSchema, PreviewSchema, ScheduleSchema
from service.schemas.schedule import ScheduleRequest, ScheduleRequestSchema

blueprint = ResourceBlueprint(
    "schedule_changes",
    __name__,
    url_prefix="/v1/schedules",
    permission=Permission.SCHEDULE_CHANGES,
    description="Schedules are made, changed, paused and removed.",
)
_PLACE = "/v1/schedules"
_SCHEDULE = ScheduleSchema()
_OCCURRENCE = OccurrenceSchema()
_POST = (
    f"For administrators; a tenant has {MOST_SCHEDULES} at most. Each tick of the cron expression and each release "
    "that a trigger names makes one occurrence, which re-sizes the selected workloads, 100,000 at most, and compares "
    "each answer with the one before. One occurrence of a schedule is open at a time; ticks missed meanwhile, "
    "or in an outage, run once, for the last of them."
)
_PUT = (
    "For administrators. The schedule says what the body says; an open occurrence goes on as it began, and a paused "
    "schedule stays paused. The same again changes nothing."
)
_DELETE = (
    "For administrators. It is due no more; its open occurrence goes on, and its occurrences can still be read by id."
)
_PAUSE = "For administrators. Nothing is due until it is resumed. One that is paused already stays as it is."
_RESUME = "For administrators. It is due again from now on; what came and went while it was paused is not made up for."
_RUN = (
    "For administrators. An occurrence at once, of a paused schedule too; its ticks stay as they are. 409 while an "
    "occurrence of the schedule is open."
)


@blueprint.route("", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(ScheduleRequestSchema)
@blueprint.response(201, ScheduleSchema, description="The schedule is made.", headers=created_doc(_PLACE))
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="postSchedule", description=_POST, parameters=[IDEMPOTENCY_KEY])
def post_schedule(asked: ScheduleRequest) -> Any:
    """Re-size workloads again and again."""
    posting: PostedNow[ScheduleView] = PostedNow(
        making=lambda once: create(runtime(), caller(), asked, request_id=request_id(), once=once),
        reading=lambda schedule_id: get_schedule(runtime(), caller(), schedule_id),
        schema=_SCHEDULE,
        place=_PLACE,
        identity=identity,
    )
    return created(posting)


@blueprint.route("/preview", methods=["POST"])
@blueprint.arguments(ScheduleRequestSchema)
@blueprint.response(200, PreviewSchema)
@blueprint.described(
    operationId="postSchedulePreview",
    description="For administrators. What a schedule would do; nothing is kept of it.",
)
def post_schedule_preview(asked: ScheduleRequest) -> Any:
    """Ask what a schedule would do: its next five ticks, and the workloads that it would re-size now."""
    return preview(runtime(), caller(), asked)


@blueprint.route("/<schedule_id>", methods=["PUT"])
@documents_if_match(blueprint)
@blueprint.arguments(ScheduleRequestSchema)
@blueprint.response(200, ScheduleSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="putSchedule", description=_PUT)
def put_schedule(asked: ScheduleRequest, schedule_id: str) -> Any:
    """Change what a schedule says."""
    version = _named_version(schedule_id)
    return _answer(change(runtime(), caller(), schedule_id, asked, version=version, request_id=request_id()))


@blueprint.route("/<schedule_id>", methods=["DELETE"])
@documents_if_match(blueprint)
@blueprint.response(204, description="The schedule is removed.")
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="deleteSchedule", description=_DELETE)
def delete_schedule(schedule_id: str) -> Any:
    """Remove a schedule."""
    remove(runtime(), caller(), schedule_id, version=_named_version(schedule_id), request_id=request_id())
    return without_content(HTTPStatus.NO_CONTENT)


@blueprint.route("/<schedule_id>/pause", methods=["POST"])
@documents_if_match(blueprint)
@blueprint.response(200, ScheduleSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="pauseSchedule", description=_PAUSE)
def pause_schedule(schedule_id: str) -> Any:
    """Let a schedule rest."""
    version = _named_version(schedule_id)
    return _answer(pause(runtime(), caller(), schedule_id, version=version, request_id=request_id()))


@blueprint.route("/<schedule_id>/resume", methods=["POST"])
@documents_if_match(blueprint)
@blueprint.response(200, ScheduleSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="resumeSchedule", description=_RESUME)
def resume_schedule(schedule_id: str) -> Any:
    """End the rest of a schedule."""
    version = _named_version(schedule_id)
    return _answer(resume(runtime(), caller(), schedule_id, version=version, request_id=request_id()))


@blueprint.route("/<schedule_id>/run", methods=["POST"])
@idempotent(blueprint)
@blueprint.response(201, OccurrenceSchema, description="The occurrence is due.", headers=created_doc(OCCURRENCES))
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.alt_response(409, response="CONFLICT")
@blueprint.described(operationId="runSchedule", description=_RUN, parameters=[IDEMPOTENCY_KEY])
def run_schedule(schedule_id: str) -> Any:
    """Re-size the workloads of a schedule now."""
    posting: PostedNow[OccurrenceView] = PostedNow(
        making=lambda once: run_now(runtime(), caller(), schedule_id, request_id=request_id(), once=once),
        reading=lambda occurrence_id: get_occurrence(runtime(), caller(), occurrence_id),
        schema=_OCCURRENCE,
        place=OCCURRENCES,
        identity=identity_of_occurrence,
    )
    return created(posting)


def _named_version(schedule_id: str) -> int | None:
    """The version that If-Match names; None for any."""
    read = get_schedule(runtime(), caller(), schedule_id)
    return read.version if if_match().names(entity_tag(*identity(read))) else None


def _answer(schedule: ScheduleView) -> Any:
    return schedule, {"ETag": f'"{entity_tag(*identity(schedule))}"'}
