"""What was typed into a form becomes the body of a request, and a body what stands in a form."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from service.errors import FieldError
from service.schemas.json_text import MalformedBodyError, parse_json
from service.schemas.model import HF_CONFIG
from service.web.form.countries import country_code, country_name, near_countries
from service.web.form.doubt import NUMBERS, settled
from service.web.form.field import MEAN, PERCENT, SHARE, Form, FormField, Shape
from service.web.form.typed_number import ends, exact, number, percentage, percents, unmistakable

PASTED = "pasted"
"""The field that a configuration or a whole question is pasted into."""
NAME = "name"
_MODEL = "workload.model"
# How an error tells of a number that is written as text.
_OF_JSON = "decimal string"
_REQUIRED, _MISSING = "This field is required", "this member is missing."
# A member that marks what was pasted: a whole question, or the configuration of a model.
_OF_A_QUESTION = "workload"
_OF_A_CONFIG = ("model_type", "architectures", "text_config")


def body_of(form: Form, typed: Mapping[str, str]) -> dict[str, Any]:
    """The body of a request as this form asks for it; MalformedBodyError when what was pasted cannot be read."""
    body: dict[str, Any] = {}
    for path, value in form.fixed:
        _put(body, tuple(path.split(".")), value)
    for group in form.groups:
        chosen = typed.get(group.path, group.alternatives[0].name if group.alternatives else "")
        for one in group.alternatives:
            if one.name == chosen:
                _put_all(body, one.fields, typed)
        _put_all(body, group.fields, typed)
        if group.alternatives:
            _put_default(body, group.path)
    pasted = typed.get(PASTED, "").strip()
    if pasted and any(field.shape is Shape.MODEL for field in form.everything):
        _put(body, tuple(_MODEL.split(".")), _pasted_model(pasted))
    if name := typed.get(NAME, "").strip():
        body[NAME] = name
    return _lengths(body)


def _put_all(body: dict[str, Any], fields: tuple[FormField, ...], typed: Mapping[str, str]) -> None:
    for field in fields:
        text = typed.get(field.path, "").strip()
        if text:
            _put(body, field.place, _value(field, text))


def _value(field: FormField, text: str) -> Any:
    if field.shape is Shape.NUMBER:
        value = number(settled(field, text))
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if field.shape is Shape.NAMES:
        return [name for name in re.split(r"[\s,;]+", text) if name]
    if field.shape is Shape.EXACT:
        return _exact(field, text)
    if field.shape is Shape.RANGE:
        pair = ends(text)
        return text if pair is None else [_exact(field, end) for end in pair]
    if field.shape is Shape.MONEY:
        value = number(settled(field, text).removeprefix("$"))
        return f"{value:.2f}" if isinstance(value, float) else text
    if field.shape is Shape.FLAG:
        return {"true": True, "false": False}.get(text, text)
    return country_code(text) if field.shape is Shape.COUNTRY else text


def _exact(field: FormField, text: str) -> str:
    clear = settled(field, text)
    return percents(clear) if field.unit == PERCENT else exact(clear)


def _put(body: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    *parents, last = path
    place = body
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value


def _put_default(body: dict[str, Any], path: str) -> None:
    """A group of which nothing was given is an empty object: then its own error is told, beside it."""
    *parents, last = path.split(".")
    place = body
    for parent in parents:
        place = place.setdefault(parent, {})
    place.setdefault(last, {})


def _lengths(body: dict[str, Any]) -> dict[str, Any]:
    """A length of which the mean alone is given is a number."""
    workload = body.get("workload", {})
    for name, value in workload.items():
        if isinstance(value, dict) and value.keys() == {MEAN}:
            workload[name] = value[MEAN]
    return body


def _pasted_model(text: str) -> Any:
    """The model that was pasted: the contents of a config.json, or an architecture spelled out."""
    value = parse_json(text.encode())
    if not isinstance(value, dict):
        raise MalformedBodyError("Paste a JSON object: a config.json of Hugging Face, or a whole question.")
    if not value:
        raise MalformedBodyError("The pasted JSON is empty: paste a config.json of Hugging Face, or a whole question.")
    is_config = any(member in value for member in _OF_A_CONFIG)
    return {HF_CONFIG: value} if is_config else value


def question_in(text: str) -> dict[str, Any] | None:
    """The question that was pasted, where it is one; MalformedBodyError when it cannot be read."""
    if not text.strip():
        return None
    value = parse_json(text.encode())
    return value if isinstance(value, dict) and _OF_A_QUESTION in value else None


def typed_of(body: Mapping[str, Any], form: Form) -> dict[str, str]:
    """What would have to be typed into the form to ask this."""
    typed: dict[str, str] = {}
    for field in form.everything:
        value = value_at(body, field.place)
        text = "" if value is None else _shown(field, value)
        # What holds anyway is left empty, as its author has probably left it.
        if text and text != field.default.replace(",", ""):
            typed[field.path] = text
    for group in form.groups:
        given = _standing_at(body, tuple(group.path.split("."))) if group.path else None
        for one in group.alternatives:
            if isinstance(given, Mapping) and given.get(one.name) is not None:
                typed[group.path] = one.name
    if isinstance(body.get(NAME), str):
        typed[NAME] = body[NAME]
    return typed


def _shown(field: FormField, value: Any) -> str:
    """A value as it would be typed into its field, so that nobody is asked what it means."""
    if field.shape is Shape.COUNTRY:
        return country_name(_text(value))
    if field.unit == PERCENT:
        return " to ".join(percentage(end) for end in (value if field.shape is Shape.RANGE else (_text(value),)))
    if field.shape is Shape.RANGE:
        return " to ".join(unmistakable(end) for end in value)
    return unmistakable(_text(value)) if field.shape in NUMBERS else _text(value)


def value_at(body: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """What a body says at a place; None where it says nothing."""
    place = _standing_at(body, path)
    return None if isinstance(place, Mapping) else place


def _standing_at(body: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    place: Any = body
    for part in path:
        if part == MEAN and isinstance(place, int | float):
            return place
        if not isinstance(place, Mapping):
            return None
        place = place.get(part)
    return place


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(str(part) for part in value)
    if isinstance(value, float):
        return f"{int(value)}" if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    return str(value)


def beside_fields(form: Form, errors: tuple[FieldError, ...]) -> dict[str, list[FieldError]]:
    """The errors by the field, or the group, that they are told beside; those of no field under the empty path."""
    fields = {field.path: field for field in form.everything}
    paths = list(fields)
    groups = [group.path for group in form.groups if group.path]
    found: dict[str, list[FieldError]] = {}
    for error in errors:
        place = _place(error.field, paths, groups)
        beside, told = found.setdefault(place, []), _as_typed(fields.get(place), error)
        # Both ends of a range may be wrong in the same way.
        if all(other.message != told.message for other in beside):
            beside.append(told)
    return found


def _as_typed(field: FormField | None, error: FieldError) -> FieldError:
    """The error as whoever types reads it: forms take shares as percentages and countries by their names."""
    # What is asked about was put in the words of the form already.
    if field is None and (member := _pasted_member(error.field)):
        missing = error.message.startswith(_REQUIRED)
        return replace(error, message=f"{member}: {_MISSING if missing else error.message}")
    if field is None or (field.shape is Shape.RANGE and error.did_you_mean):
        return error
    if field.unit == SHARE and (meant := _in_percent(error.value)):
        return replace(error, did_you_mean=(meant,))
    if field.shape is Shape.RANGE:
        return replace(
            error, message=f"Type two numbers from {field.limit}, the lower one first, with to between them."
        )
    if field.shape is Shape.EXACT and _OF_JSON in error.message:
        share = "percents, at most 100, such as 15 or 12.5"
        message = f"Type {share if field.unit == PERCENT else 'a number, such as 12.50'}."
        return replace(error, message=message)
    if field.shape is Shape.COUNTRY and error.value is not None:
        near = near_countries(error.value)
        message = "There is no country of that name: take one of the list, or its two letters, such as DE."
        return replace(error, message=message, did_you_mean=near)
    return error


def _in_percent(value: str | None) -> str:
    """Of 80, where a share was asked for, what was probably meant: 80 %."""
    found = number(value or "")
    return f"{found:.12g} %" if isinstance(found, float) and 1 < found <= 100 else ""


def _pasted_member(path: str) -> str:
    """The member of what was pasted that an error is about; it has no field of its own, so the sentence names it."""
    return path.removeprefix(f"{_MODEL}.").removeprefix(f"{HF_CONFIG}.") if path.startswith(f"{_MODEL}.") else ""


def _place(path: str, paths: list[str], groups: list[str]) -> str:
    if path in paths or path in groups:
        return path
    if path == _MODEL or path.startswith(f"{_MODEL}."):
        return PASTED if path != _MODEL else _MODEL
    inside = [known for known in paths if known.startswith(f"{path}.")]
    if inside:
        return inside[0]
    above = [known for known in (*paths, *groups) if path.startswith(f"{known}.")]
    return max(above, key=len) if above else ""
