"""/schedules and /occurrences: what is sized again when, and what moved; administrators write, everybody reads."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from flask import Response, redirect, request
from marshmallow import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.documents.occurrence_csv import occurrence_csv
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint, is_part
from service.errors import ConflictError, FieldError, InvalidRequestError, NotFoundError, PreconditionFailedError
from service.planning.schedule.asking import Preview, preview, preview_of, run_now
from service.planning.schedule.reading import (
    get_occurrence,
    get_schedule,
    list_occurrence_items,
    list_occurrences,
    list_schedules,
    occurrence_results,
)
from service.planning.schedule.view import ScheduleView
from service.planning.schedule.writing import change, create, pause, remove, resume
from service.schemas.issue import field_errors
from service.schemas.schedule import ScheduleRequest
from service.schemas.uploaded import CSV
from service.store.occurrence_items import OccurrenceItemFilter
from service.store.tables.schedules import Outcome
from service.web.form.doubt import unclear, with_doubts
from service.web.form.overtaken import Overtaken, merged, overtaken, read_of, read_text
from service.web.form.reading import beside_fields
from service.web.form.schedule import FORM, INITIAL, PREFIX, SCHEMA, body_typed, triggers, typed_schedule
from service.web.quote_writing import number_of
from service.web.rendering import page

blueprint = PageBlueprint("schedules", __name__, permission=Permission.SCHEDULES)
writing = PageBlueprint("schedule-writing", __name__, permission=Permission.SCHEDULE_CHANGES)

_PER_PAGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """The form of a schedule as it was filled in, and what such a schedule would do."""

    typed: Mapping[str, str]
    read: Mapping[str, str] = field(default_factory=dict)
    preview: Preview | None = None
    errors: Mapping[str, list[FieldError]] = field(default_factory=dict)
    changed: tuple[Overtaken, ...] = ()


@blueprint.get("/schedules")
def show_schedules() -> Response:
    """The schedules of the tenant, newest first."""
    found = list_schedules(runtime(), caller(), before_id=request.args.get("before"), limit=_PER_PAGE + 1)
    return page(
        "schedules.html",
        schedules=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        writes=caller().may(Permission.SCHEDULE_CHANGES),
    )


@writing.get("/schedules/new")
def begin() -> Response:
    """The form of a new schedule."""
    return _form(_asked(INITIAL))


@writing.post("/schedules/preview")
def show_preview() -> Response:
    """When such a schedule would be due, and what it would size; nothing is kept."""
    return page("schedule_preview.html", asked=_asked(_typed()), form=FORM)


@writing.post("/schedules")
def add() -> AnyResponse:
    """A schedule that is due from now on."""
    typed = _typed()
    try:
        made = create(runtime(), caller(), _read(typed), request_id=request_id())
    except (InvalidRequestError, ConflictError) as error:
        return _form(_wrong(typed, error), status=422)
    return redirect(f"/schedules/{made.id}", code=303)


@blueprint.get("/schedules/<schedule_id>")
def show_schedule(schedule_id: str) -> Response:
    """One schedule: what it says and would do, and its occurrences, newest first."""
    return _page(get_schedule(runtime(), caller(), schedule_id))


def _page(schedule: ScheduleView, *, problem: str | None = None, status: int = 200) -> Response:
    before = request.args.get("before")
    found = list_occurrences(runtime(), caller(), schedule.id, before_id=before, limit=_PER_PAGE + 1)
    return page(
        "schedule.html",
        status=status,
        schedule=schedule,
        occurrences=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        preview=preview_of(runtime(), caller(), schedule.id),
        writes=caller().may(Permission.SCHEDULE_CHANGES),
        problem=problem,
    )


@writing.get("/schedules/<schedule_id>/change")
def begin_change(schedule_id: str) -> Response:
    """The form of a schedule as it stands."""
    schedule = get_schedule(runtime(), caller(), schedule_id)
    stored = _stored(schedule)
    return _form(_asked(stored, read=stored), schedule=schedule)


@writing.post("/schedules/<schedule_id>")
def rewrite(schedule_id: str) -> AnyResponse:
    """Write a schedule anew over the version that was read; whoever was overtaken sees by what, and loses nothing."""
    typed, read = _typed(), read_of(request.form)
    schedule = get_schedule(runtime(), caller(), schedule_id)
    version = number_of(request.form.get("version", "0"))
    try:
        change(runtime(), caller(), schedule_id, _read(typed), version=version, request_id=request_id())
    except PreconditionFailedError:
        stored = _stored(schedule)
        both = merged(read=read, stored=stored, typed=typed)
        changed = overtaken(FORM, read=read, stored=stored, typed=typed)
        return _form(_asked(both, read=stored, changed=changed), schedule=schedule, status=412)
    except InvalidRequestError as error:
        return _form(_wrong(typed, error, read=read), schedule=schedule, version=version, status=422)
    return redirect(f"/schedules/{schedule_id}", code=303)


@writing.post("/schedules/<schedule_id>/<step>")
def take(schedule_id: str, step: str) -> AnyResponse:
    """Pause, resume or remove a schedule over the version that was read, or let it be due now."""
    common: dict[str, Any] = {"version": number_of(request.form.get("version", "0")), "request_id": request_id()}
    steps: dict[str, Callable[..., ScheduleView | None]] = {"pause": pause, "resume": resume, "remove": remove}
    if step != "run" and step not in steps:
        raise NotFoundError(f"There is no step {step[:64]!r}.")
    try:
        if step == "run":
            made = run_now(runtime(), caller(), schedule_id, request_id=request_id())
            return redirect(f"/occurrences/{made.id}", code=303)
        left = steps[step](runtime(), caller(), schedule_id, **common)
        return redirect("/schedules" if left is None else f"/schedules/{left.id}", code=303)
    except (ConflictError, PreconditionFailedError) as error:
        return _page(get_schedule(runtime(), caller(), schedule_id), problem=error.message, status=409)


@blueprint.get("/occurrences/<occurrence_id>")
def show_occurrence(occurrence_id: str) -> Response:
    """What moved in one occurrence: the sums, the workloads that moved furthest, and each workload."""
    occurrence = get_occurrence(runtime(), caller(), occurrence_id)
    outcome = next((one for one in Outcome if one.value == request.args.get("outcome")), None)
    after = number_of(request.args.get("after", "0"))
    only = OccurrenceItemFilter(outcome=outcome)
    found = list_occurrence_items(runtime(), caller(), occurrence_id, only=only, after_line=after, limit=_PER_PAGE + 1)
    return page(
        "occurrence_part.html" if is_part() else "occurrence.html",
        occurrence=occurrence,
        schedule=_schedule_of(occurrence.schedule_id),
        summary=None if occurrence.summary is None else orjson.loads(occurrence.summary),
        items=[_told(item) for item in found[:_PER_PAGE]],
        more=found[_PER_PAGE - 1].line if len(found) > _PER_PAGE else None,
        outcome="" if outcome is None else outcome.value,
    )


def _schedule_of(schedule_id: str) -> ScheduleView | None:
    """The schedule; None where it has been removed since."""
    try:
        return get_schedule(runtime(), caller(), schedule_id)
    except NotFoundError:
        return None


def _told(item: Any) -> dict[str, Any]:
    """A workload with its new answer, or what is wrong with it, read."""
    problem = orjson.loads(item.problem) if item.problem else {}
    return {"item": item, "problem": problem.get("detail") or problem.get("message") or ""}


@blueprint.get("/occurrences/<occurrence_id>/results.csv")
def read_results(occurrence_id: str) -> Response:
    """All workloads of an occurrence as a table."""
    found: Any = occurrence_results(runtime(), caller(), occurrence_id)
    headers = {"Content-Disposition": f'attachment; filename="{occurrence_id}.csv"'}
    return Response(occurrence_csv(found), mimetype=CSV, headers=headers)


def _form(
    asked: _Asked, *, schedule: ScheduleView | None = None, version: int | None = None, status: int = 200
) -> Response:
    return page(
        "schedule_form.html",
        status=status,
        asked=asked,
        form=FORM,
        triggers=triggers(),
        schedule=schedule,
        version=version if version is not None or schedule is None else schedule.version,
        read_text=read_text(asked.read),
        address="/schedules" if schedule is None else f"/schedules/{schedule.id}",
    )


def _typed() -> dict[str, str]:
    """What was typed, without what the form carries beside it."""
    return {path: text for path, text in request.form.items() if path.startswith(f"{PREFIX}.")}


def _stored(schedule: ScheduleView) -> dict[str, str]:
    asked: dict[str, Any] = SCHEMA.dump(schedule)
    return typed_schedule(asked)


def _asked(
    typed: Mapping[str, str], *, read: Mapping[str, str] | None = None, changed: tuple[Overtaken, ...] = ()
) -> _Asked:
    """The form with what such a schedule would do, or what is wrong in it; a name is no part of either."""
    named = {**typed, f"{PREFIX}.name": typed.get(f"{PREFIX}.name", "").strip() or "unnamed"}
    try:
        found = preview(runtime(), caller(), _read(named))
    except InvalidRequestError as error:
        wrong = _wrong(typed, error)
        return _Asked(typed=typed, read=read or {}, errors=wrong.errors, changed=changed)
    return _Asked(typed=typed, read=read or {}, preview=found, changed=changed)


def _read(typed: Mapping[str, str]) -> ScheduleRequest:
    doubts = tuple(replace(one, field=one.field.removeprefix(f"{PREFIX}.")) for one in unclear(FORM, typed))
    try:
        loaded: ScheduleRequest = SCHEMA.load(body_typed(typed))
    except ValidationError as error:
        errors = with_doubts(field_errors(error.messages), doubts)
        raise InvalidRequestError(errors[0].message, errors=errors) from error
    if doubts:
        raise InvalidRequestError(doubts[0].message, errors=doubts)
    return loaded


def _wrong(
    typed: Mapping[str, str], error: InvalidRequestError | ConflictError, *, read: Mapping[str, str] | None = None
) -> _Asked:
    told = error.detail.errors or (FieldError(field="", message=error.message),)
    inside = tuple(replace(one, field=f"{PREFIX}.{one.field}" if one.field else "") for one in told)
    return _Asked(typed=typed, read=read or {}, errors=beside_fields(FORM, inside))
