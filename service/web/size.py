"""/size: a short form whose answer follows every change, and from which a sizing is kept as a workload and its run."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from flask import Response, redirect, request, url_for
from marshmallow import ValidationError
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint
from service.errors import (
    FieldError,
    InvalidRequestError,
    NotFoundError,
    PlannerError,
    UnknownReferenceError,
    UnsupportedWorkloadError,
)
from service.planning.preview import preview
from service.planning.reading import get_run, get_workload
from service.planning.submit import submit
from service.schemas.issue import field_errors
from service.schemas.json_text import MalformedBodyError
from service.schemas.workload import SizingRequest, SizingRequestSchema
from service.sizing.architecture import ModelArchitecture, count
from service.sizing.kind import Kind
from service.web.answer import AnswerView, answer_view
from service.web.form import science
from service.web.form.doubt import unclear, with_doubts
from service.web.form.field import Form
from service.web.form.of_kind import form_of_kind, form_of_question
from service.web.form.reading import NAME, PASTED, beside_fields, body_of, question_in, typed_of
from service.web.rendering import page

blueprint = PageBlueprint("size", __name__, permission=Permission.WORKLOADS)

APPLICATION = "workload.application"
_REQUEST = SizingRequestSchema()
# What is wrong with what was typed, and told beside it; all else is told by a page of its own.
_TOLD_HERE = (InvalidRequestError, MalformedBodyError, UnknownReferenceError, UnsupportedWorkloadError)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastedModel:
    """What was read from a pasted configuration: by its size people see whether it was read as they meant it."""

    layers: int
    total_params: float
    active_params: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A form as it was filled in, and what came of it."""

    form: Form
    typed: Mapping[str, str]
    answer: AnswerView | None = None
    pasted: PastedModel | None = None
    errors: Mapping[str, list[FieldError]] = field(default_factory=dict)


@blueprint.get("/size")
def choose_kind() -> AnyResponse:
    """The first kind."""
    return redirect(url_for("pages-size.show_form", kind=Kind.INFERENCE.value), code=303)


@blueprint.get("/size/<kind>")
def show_form(kind: str) -> Response:
    """The form of a kind, filled with a usual question and its answer."""
    if (run_id := request.args.get("from")) is not None:
        return _page(_asked_before(run_id))
    form, initial = form_of_kind(kind, request.args.get("application", science.FIRST))
    return _page(asked(form, initial))


def _asked_before(run_id: str) -> Asked:
    """The form with the question of a run."""
    run = get_run(runtime(), caller(), run_id)
    body = orjson.loads(run.question)
    name = get_workload(runtime(), caller(), run.workload_id).name
    form = form_of_question(body)
    # The question has no name: it is the workload's, and whoever changes the one goes on with the other.
    return asked(form, typed_with(body | {NAME: name}, form))


@blueprint.post("/size/<kind>/answer")
def show_answer(kind: str) -> Response:
    """The answer to the form as it stands, and what is wrong beside each field.

    Where a whole question was pasted, the form that it fills takes the place of the one that it was pasted into.
    """
    typed = request.form.to_dict()
    found = _pasted_question(typed)
    if found is None:
        return page("size_answer.html", asked=asked(form_of_kind(kind, _application(typed))[0], typed))
    response = page("size_pasted.html", **_shown(_asked_by(found, kind)))
    response.headers["HX-Retarget"], response.headers["HX-Reswap"] = "#question", "outerHTML"
    return response


@blueprint.post("/size/<kind>")
def keep(kind: str) -> AnyResponse:
    """Keep the question as a workload, whose run is then shown; with a wrong field the form is shown again."""
    typed = request.form.to_dict()
    found = _pasted_question(typed)
    if found is not None:
        return _page(_asked_by(found, kind))
    form, _ = form_of_kind(kind, _application(typed))
    try:
        run = submit(runtime(), caller(), _read(form, typed), request_id=request_id())
    except _TOLD_HERE as error:
        return _page(Asked(form=form, typed=typed, errors=_beside(form, error)), status=422)
    return redirect(f"/runs/{run.id}", code=303)


def _application(typed: Mapping[str, str]) -> str:
    return typed.get(APPLICATION, science.FIRST)


def _pasted_question(typed: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The whole question that was pasted; what cannot be read is told beside its field by whoever reads the form."""
    try:
        return question_in(typed.get(PASTED, ""))
    except MalformedBodyError:
        return None


def _asked_by(body: Mapping[str, Any], kind: str) -> Asked:
    """The form of the kind that a question is of, filled by it."""
    workload = body["workload"] if isinstance(body["workload"], Mapping) else {}
    # Anything may stand there.
    asked_kind = str(workload.get("kind"))
    known = asked_kind in {one.value for one in Kind}
    try:
        form, _ = form_of_kind(asked_kind if known else kind, str(workload.get("application", science.FIRST)))
    except NotFoundError as error:
        pasted = {PASTED: json.dumps(body, indent=2)}
        wrong = {PASTED: [FieldError(field=PASTED, message=error.message)]}
        return Asked(form=form_of_kind(kind, science.FIRST)[0], typed=pasted, errors=wrong)
    return asked(form, typed_with(body, form))


def asked(form: Form, typed: Mapping[str, str]) -> Asked:
    """The answer to a form, or what is wrong in it."""
    try:
        found = preview(runtime(), caller(), _read(form, typed), request_id=request_id())
    except _TOLD_HERE as error:
        return Asked(form=form, typed=typed, errors=_beside(form, error))
    answer = answer_view(found.question, found.priced, runtime().catalog.hardware)
    pasted = found.architecture if typed.get(PASTED, "").strip() else None
    return Asked(form=form, typed=typed, answer=answer, pasted=None if pasted is None else _told(pasted))


def _told(architecture: ModelArchitecture) -> PastedModel:
    counts = count(architecture)
    return PastedModel(layers=architecture.layers, total_params=counts.total_params, active_params=counts.active_params)


def _read(form: Form, typed: Mapping[str, str]) -> SizingRequest:
    """The request that a form makes. Raises InvalidRequestError with every wrong field, MalformedBodyError."""
    doubts = unclear(form, typed)
    try:
        loaded: SizingRequest = _REQUEST.load(body_of(form, typed))
    except ValidationError as error:
        errors = with_doubts(field_errors(error.messages), doubts)
        raise InvalidRequestError(errors[0].message, errors=errors) from error
    if doubts:
        raise InvalidRequestError(doubts[0].message, errors=doubts)
    return loaded


def _beside(form: Form, error: PlannerError) -> Mapping[str, list[FieldError]]:
    if isinstance(error, MalformedBodyError):
        return {PASTED: [FieldError(field=PASTED, message=error.message)]}
    return beside_fields(form, error.detail.errors or (FieldError(field="", message=error.message),))


def typed_with(body: Mapping[str, Any], form: Form) -> dict[str, str]:
    """What would have to be typed to ask this; a model that is spelled out stands where it would be pasted."""
    typed = typed_of(body, form)
    workload = body.get("workload")
    model = workload.get("model") if isinstance(workload, Mapping) else None
    if isinstance(model, Mapping):
        inner = model.get("hf_config", model)
        typed[PASTED] = json.dumps(inner, indent=2)
    return typed


def kinds() -> tuple[tuple[str, str], ...]:
    """The kinds of workload, with their words."""
    return ((Kind.INFERENCE.value, "Serving"), (Kind.TRAINING.value, "Training"), (Kind.SCIENCE.value, "Science"))


def applications() -> tuple[tuple[str, str], ...]:
    """The scientific applications, with their names."""
    return tuple((name, one.name) for name, one in runtime().catalog.applications.items())


def _page(asked: Asked, *, status: int = 200) -> Response:
    return page("size.html", status=status, **_shown(asked))


def _shown(asked: Asked) -> dict[str, Any]:
    models = runtime().catalog.models.items()
    return {
        "asked": asked,
        "kinds": kinds(),
        "applications": applications(),
        "models": tuple(name for name, model in models if model.usable),
    }
