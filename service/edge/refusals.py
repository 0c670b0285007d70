"""Error answers in the OpenAPI document: one component per status, with its headers and an example of every kind."""

from http import HTTPStatus
from typing import Any

from service.edge.answers import PROBLEM_MEDIA_TYPE
from service.edge.limits import RATE_HEADERS_DOC
from service.edge.meanings import MEANINGS, problem_kind
from service.edge.problems import PROBLEM_PATH, problem_kinds
from service.schemas.problem import ProblemSchema

REQUEST_ID_DOC = {
    "X-Request-Id": {
        "description": "The id of this request: yours when you sent one, else a new one. Quote it when asking.",
        "required": True,
        "schema": {"type": "string", "minLength": 1, "maxLength": 128},
    }
}
_SECONDS = {"type": "integer", "minimum": 0}
_LATER = {"Retry-After": {"description": "Ask again after this many seconds.", "required": True, "schema": _SECONDS}}
_PERHAPS_LATER = {"Retry-After": {"description": "Seconds after which asking again may help.", "schema": _SECONDS}}
_HEADERS: dict[HTTPStatus, dict[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {
            "description": "How to authenticate.",
            "required": True,
            "schema": {"type": "string", "pattern": "^Bearer"},
        }
    },
    HTTPStatus.METHOD_NOT_ALLOWED: {
        "Allow": {"description": "The methods that the path has.", "required": True, "schema": {"type": "string"}}
    },
    HTTPStatus.CONFLICT: _PERHAPS_LATER,
    HTTPStatus.TOO_MANY_REQUESTS: _LATER,
    HTTPStatus.SERVICE_UNAVAILABLE: _LATER,
}
_ERRORS: dict[str, dict[str, Any]] = {
    "invalid-request": {
        "field": "workload.isl_tokens",
        "message": "Must be at least 1, at most 1e+07.",
        "value": "0",
        "limit": "at least 1, at most 1e+07",
    },
    "unknown-reference": {
        "field": "workload.model",
        "message": "There is no such model. Did you mean llama-3.3-70b?",
        "value": "lama-3.3-70b",
        "did_you_mean": ["llama-3.3-70b"],
    },
}
"""What the example of a kind says of a field; other kinds name none."""


def refusal(status: HTTPStatus) -> dict[str, Any]:
    """The answer of one error status; the types that come with it are those of the one table of problems."""
    kinds = {f"{PROBLEM_PATH}{slug}": slug for slug in _slugs_of(status)}
    narrowed = {
        "properties": {"type": {"enum": list(kinds)}, "status": {"const": int(status)}},
    }
    return {
        "description": _description(status, list(kinds.values())),
        "headers": {**REQUEST_ID_DOC, **RATE_HEADERS_DOC, **_HEADERS.get(status, {})},
        "content": {
            PROBLEM_MEDIA_TYPE: {
                "schema": {"allOf": [ProblemSchema, narrowed]},
                "examples": {slug: {"value": _example(slug)} for slug in kinds.values()},
            }
        },
    }


def _slugs_of(status: HTTPStatus) -> list[str]:
    of_status = sorted(code for code, (known, _) in problem_kinds().items() if known == status)
    # What has words of its own is what the service raises; the rest only HTTP defines.
    ours = [code for code in of_status if code in MEANINGS]
    return [code.replace("_", "-") for code in ours or of_status]


def _description(status: HTTPStatus, slugs: list[str]) -> str:
    found = [kind for slug in slugs if (kind := problem_kind(slug)) is not None]
    return " ".join((f"{status.phrase}.", *(f"`{kind.type}`: {kind.meaning}" for kind in found)))


def _example(slug: str) -> dict[str, Any]:
    kind = problem_kind(slug)
    assert kind is not None
    error = _ERRORS.get(slug)
    return {
        "type": kind.type,
        "title": kind.title,
        "status": kind.status,
        "detail": f"{error['field']}: {error['message']}" if error else kind.meaning,
        "instance": "/v1/workloads",
        "request_id": "6f1c2b7e9d0a4c5b8e3f1a2b3c4d5e6f",
        "errors": [error] if error else [],
    }
