"""The form of a schedule: when it is due, which workloads it sizes again, and what counts as moved."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.schemas.schedule import TRIGGERS, ScheduleRequestSchema
from service.web.form.field import Form, FormField, Group, Shape, fields_of
from service.web.form.reading import body_of, typed_of

PREFIX = "schedule"
LABELS = f"{PREFIX}.selection.labels"
TRIGGER = f"{PREFIX}.triggers."
SCHEMA = ScheduleRequestSchema()
_WORDS = {
    "name": "Name",
    "cron": "Cron expression",
    "time_zone": "Time zone",
    "threshold_fraction": "Moved beyond",
    "kind": "Kind",
    "state": "Last answer",
    "asked_within_days": "Asked within days",
    "asked_before_days": "Not asked for days",
}
_NEW = {
    "catalog": "new facts in the catalog",
    "calibration": "a new calibration",
    "price_book": "new indicative prices of the installation",
    "engine": "a new engine",
}
INITIAL = {"schedule.cron": "0 6 * * MON-FRI", "schedule.time_zone": "Europe/Berlin"}


def _of(*names: str) -> tuple[FormField, ...]:
    return fields_of(SCHEMA, PREFIX, *names, words=_WORDS)


def triggers() -> tuple[tuple[str, str], ...]:
    """What may be new: the name of its field, and its words."""
    return tuple((f"{TRIGGER}{one.value}", _NEW[one.value]) for one in TRIGGERS)


_LABELS = FormField(
    path=LABELS,
    label="Labels",
    shape=Shape.TEXT,
    what="Only workloads with all of these labels, such as team=care, region=north; a comma inside one is \\,.",
    wide=True,
)
FORM = Form(
    kind=PREFIX,
    title="Size again and again",
    lead="",
    fixed=(),
    groups=(
        Group(
            title="When",
            fields=tuple(replace(one, wide=one.path.endswith(".name")) for one in _of("name", "cron", "time_zone")),
        ),
        Group(
            title="Which workloads",
            fields=(
                *_of("selection.kind", "selection.state", "selection.asked_within_days", "selection.asked_before_days"),
                _LABELS,
            ),
        ),
        Group(title="What counts", fields=_of("threshold_fraction")),
    ),
)


def body_typed(typed: Mapping[str, str]) -> dict[str, Any]:
    """The body of a request as the form asks for it."""
    body: dict[str, Any] = body_of(FORM, typed).get(PREFIX, {})
    body["triggers"] = [one.value for one in TRIGGERS if typed.get(f"{TRIGGER}{one.value}")]
    selection = body.setdefault("selection", {})
    if LABELS.rpartition(".")[2] in selection:
        selection["labels"] = _labels(selection["labels"])
    return body


def typed_schedule(body: Mapping[str, Any]) -> dict[str, str]:
    """What would have to be typed to ask this."""
    labels = ", ".join(f"{_spelled(name, '=')}={_spelled(text)}" for name, text in body["selection"]["labels"].items())
    typed = typed_of({PREFIX: body}, FORM) | {f"{TRIGGER}{one}": "yes" for one in body["triggers"]}
    return typed | ({LABELS: labels} if labels else {})


def _spelled(text: str, separator: str = "") -> str:
    """A name or value of a label, with a backslash before whatever would end it."""
    return re.sub(rf"([\\,{separator}])", r"\\\1", text)


def _labels(text: str) -> dict[str, str]:
    """Labels as they are typed: name=value, with commas between them."""
    found = (re.match(r"((?:\\.|[^=])*)=?(.*)", pair) for pair in re.findall(r"(?:\\.|[^,])+", text) if pair.strip())
    return {_plain(match[1]): _plain(match[2]) for match in found if match}


def _plain(text: str) -> str:
    return re.sub(r"\\([\\,=])", r"\1", text.strip())
