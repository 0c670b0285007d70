"""From the text of an item to its question: what is wrong with it is told as a problem, and never ends the others."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from marshmallow import ValidationError

from service.catalog.resolve import Resolved, resolve
from service.errors import (
    FieldError,
    InvalidRequestError,
    PlannerError,
    UnknownReferenceError,
    UnsupportedWorkloadError,
)
from service.planning.versions import digest_of
from service.runtime import Runtime
from service.schemas.issue import field_errors
from service.schemas.json_text import MalformedBodyError, parse_json
from service.schemas.workload import SizingRequest, SizingRequestSchema
from service.sizing.check import check
from service.store.runs import Versions

# What an item says is wrong; whatever else happens is a failure of ours.
REFUSALS = (MalformedBodyError, InvalidRequestError, UnknownReferenceError, UnsupportedWorkloadError)
_REQUEST = SizingRequestSchema()
_MOST_ERRORS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An item that can be sized."""

    name: str | None
    kind: str
    digest: str
    resolved: Resolved


def asked(runtime: Runtime, text: str, versions: Versions) -> Asked:
    """The question of an item; one of REFUSALS where there is none."""
    request = _request(text)
    resolved = resolve(runtime.catalog, request.question)
    return Asked(
        name=request.name,
        kind=resolved.question.workload.kind.value,
        digest=digest_of(resolved.question, versions),
        resolved=resolved,
    )


def checked(runtime: Runtime, text: str, versions: Versions) -> Asked:
    """The same, and what the engine itself would refuse is refused too."""
    found = asked(runtime, text, versions)
    check(
        found.resolved.question.workload,
        architecture=found.resolved.architecture,
        application=found.resolved.application,
        calibration=runtime.catalog.calibration,
    )
    return found


def _request(text: str) -> SizingRequest:
    value = parse_json(text.encode())
    try:
        request: SizingRequest = _REQUEST.load(value)
    except ValidationError as error:
        errors = field_errors(error.messages)
        raise InvalidRequestError(_sentence(errors), errors=errors) from error
    return request


def _sentence(errors: tuple[FieldError, ...]) -> str:
    """What is wrong with each field: a table of items has no other place for it."""
    told = [f"{one.field}: {one.message}" if one.field else one.message for one in errors[:_MOST_ERRORS]]
    return " ".join([*told, *([f"And {len(errors) - len(told)} more."] if len(errors) > len(told) else [])])


def name_in(text: str) -> str | None:
    """The name that a refused item gives itself, so that whoever sent it finds it again."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    name = value.get("name") if isinstance(value, Mapping) else None
    return name if isinstance(name, str) and len(name) <= 200 and name.isprintable() else None


def problem_of(error: PlannerError) -> str:
    """Why an item was refused or failed, as JSON."""
    errors = error.detail.errors
    return told(error.code, _sentence(errors) if len(errors) > 1 else error.message, errors)


def told(code: str, message: str, errors: tuple[FieldError, ...] = ()) -> str:
    """A code, a sentence and the wrong fields, as JSON."""
    return orjson.dumps(
        {"code": code, "message": message, "errors": [e.told() for e in errors[:_MOST_ERRORS]]}
    ).decode()
