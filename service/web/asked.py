"""What was asked, as a result tells it: every field of the question in the words of its form, defaults told as such."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.sizing.architecture import ModelArchitecture
from service.sizing.workload import Question
from service.web.change_words import iso_day
from service.web.form.countries import country_name
from service.web.form.field import MEAN, P95, SHARE, Form, FormField, Group, Shape
from service.web.form.reading import typed_of, value_at
from service.web.part_words import part_name
from service.web.wording import digits, lower_first, money

# What somebody typed is told as it was typed, not in the digits of a prediction.
_ALL_DIGITS = 12
_GAP = "\u00a0"
_APPLICATION = "workload.application"


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedLine:
    """One field with its value and unit; `value` is empty where nothing holds, `stated` where its author said it."""

    path: str
    label: str
    value: str
    stated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatWasAsked:
    """The question: what makes it first, with whatever was stated; the rest, which nobody stated, may be folded."""

    title: str
    lines: tuple[AskedLine, ...]
    unstated: tuple[AskedLine, ...]


def what_was_asked(question: Question, body: Mapping[str, Any], form: Form) -> WhatWasAsked:
    """The lines of a question; `body` is the same one on the wire, with all its defaults spelled out."""
    stated = typed_of(body, form)
    lines: list[AskedLine] = list(_subject(form))
    unstated: list[AskedLine] = []
    for group in form.groups:
        for field in _fields(group, body):
            line = AskedLine(
                path=field.path,
                label=_label(field, form),
                value=_told(question, field, value_at(body, field.place)),
                stated=field.path in stated or field.shape is Shape.MODEL,
            )
            # Of what every question says, such as the requests of a user, its default matters to the reader too.
            shown = line.stated or (not group.folded and line.value)
            (lines if shown else unstated).append(line)
    return WhatWasAsked(title=form.title, lines=tuple(lines), unstated=tuple(unstated))


def _subject(form: Form) -> Iterator[AskedLine]:
    if any(path == _APPLICATION for path, _ in form.fixed):
        yield AskedLine(path=_APPLICATION, label="Application", value=form.groups[0].title, stated=True)


def _fields(group: Group, body: Mapping[str, Any]) -> Iterator[FormField]:
    """The fields of a group; of its alternatives those of the one that was chosen."""
    for one in group.alternatives:
        if value_at(body, (*group.path.split("."), one.name)) is not None:
            yield from one.fields
    yield from group.fields


def _label(field: FormField, form: Form) -> str:
    """Its label; a percentile stands beside its mean in the form, and says here what it is of."""
    place, _, part = field.path.rpartition(".")
    if part != P95:
        return field.label
    mean = next(one for one in form.everything if one.path == f"{place}.{MEAN}")
    return f"{mean.label.removesuffix(f', {MEAN}')}, {lower_first(field.label)}"


def _told(question: Question, field: FormField, value: Any) -> str:
    if field.shape is Shape.MODEL:
        model = getattr(question.workload, "model", "")
        return model.id if isinstance(model, ModelArchitecture) else str(model)
    if value is None:
        # That of a length is the mean.
        return field.default if field.path.endswith(f".{P95}") else ""
    if field.shape is Shape.NUMBER:
        return _number(float(value), field)
    if field.shape is Shape.MONEY:
        return money(value)
    if field.shape is Shape.NAMES:
        return ", ".join(part_name(one) for one in value)
    return _word(field, value)


def _word(field: FormField, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if field.shape is Shape.DAY:
        return iso_day(text)
    if field.shape is Shape.COUNTRY:
        return country_name(text)
    return dict(field.options).get(text) or part_name(text)


def _number(value: float, field: FormField) -> str:
    if field.unit == SHARE:
        return f"{digits(value * 100, _ALL_DIGITS)}{_GAP}%"
    plain = digits(value, _ALL_DIGITS)
    # Targets per day are not told per day once more.
    return f"{plain}{_GAP}{field.unit}" if field.unit and not field.label.endswith(field.unit) else plain
