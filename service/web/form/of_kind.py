"""The whole form of a kind of workload: its own part, and the part about the site that every form ends with."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.edge.context import runtime
from service.errors import NotFoundError
from service.schemas.issue import nearest
from service.sizing.kind import Kind
from service.web.form import inference, science, training
from service.web.form.field import Form
from service.web.form.site import SITE


def form_of_kind(kind: str, application: str) -> tuple[Form, Mapping[str, str]]:
    """The form of a kind, and what it opens with. Raises NotFoundError for a kind or an application that there is not:
    the form of another one would answer another question.
    """
    if kind == Kind.INFERENCE.value:
        return _with_site(inference.FORM), inference.INITIAL
    if kind == Kind.TRAINING.value:
        return _with_site(training.FORM), training.INITIAL
    known = runtime().catalog.applications
    if kind != Kind.SCIENCE.value:
        raise NotFoundError(f"There is no kind of workload {kind[:64]!r}.")
    if application not in known:
        near = nearest(application, known)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise NotFoundError(f"There is no scientific application {application[:64]!r}.{meant}")
    return _with_site(science.form_of(application, known[application].name)), science.initial(application)


def form_of_question(body: Mapping[str, Any]) -> Form:
    """The form that asks a question which was kept."""
    workload = body["workload"]
    return form_of_kind(str(workload["kind"]), str(workload.get("application", science.FIRST)))[0]


def _with_site(form: Form) -> Form:
    return replace(form, groups=(*form.groups, SITE))
