"""/admin/keys: keys are made, replaced by new ones, and revoked; what opens them is shown once."""

from dataclasses import dataclass, field
from typing import Any

from flask import Response, redirect, request
from marshmallow import Schema, ValidationError
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.context import caller, request_id, runtime
from service.edge.pages import PageBlueprint, shown_once
from service.errors import ConflictError, FieldError, InvalidRequestError
from service.planning.own_keys import KeyView, end_key, list_keys, make_key, rotate_key
from service.schemas.issue import field_errors
from service.schemas.keys import KeyRequestSchema, RotationSchema
from service.web.rendering import page

blueprint = PageBlueprint("keys", __name__, permission=Permission.KEYS)

_PER_PAGE = 50
_KEY, _ROTATION = KeyRequestSchema(), RotationSchema()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wrong:
    """What is wrong with a form, by its field; `key_id` is the key that was to be replaced."""

    errors: dict[str, list[FieldError]] = field(default_factory=dict)
    key_id: str = ""


@blueprint.get("/admin/keys")
def show_keys() -> Response:
    """The keys of the tenant, without what opens them."""
    return _keys()


def _keys(*, made: KeyView | None = None, wrong: _Wrong | None = None, status: int = 200) -> Response:
    before = request.args.get("before")
    found = list_keys(runtime(), caller(), before_id=before, limit=_PER_PAGE + 1)
    return page(
        "admin_keys.html",
        status=status,
        keys=found[:_PER_PAGE],
        older=found[_PER_PAGE - 1].id if len(found) > _PER_PAGE else None,
        roles=tuple(_KEY.load_fields["role"].metadata["enum"]),
        made=made,
        wrong=wrong or _Wrong(),
        typed={} if made else request.form.to_dict(),
        mine=caller().key_id,
    )


@blueprint.post("/admin/keys")
def add_key() -> Response:
    """A new key; its token is told on this page, and never again."""
    body = {name: request.form.get(name, "").strip() for name in ("principal", "role")} | _end()
    try:
        made = make_key(runtime(), caller(), _loaded(_KEY, body), request_id=request_id())
    except InvalidRequestError as error:
        return _keys(wrong=_Wrong(errors=_by_field(error)), status=422)
    return shown_once(_keys(made=made))


@blueprint.post("/admin/keys/<key_id>/rotate")
def rotate(key_id: str) -> Response:
    """A new key in the place of another one, which still opens for a while."""
    try:
        made = rotate_key(runtime(), caller(), key_id, _loaded(_ROTATION, _end() | _grace()), request_id=request_id())
    except InvalidRequestError as error:
        return _keys(wrong=_Wrong(errors=_by_field(error), key_id=key_id), status=422)
    except ConflictError as error:
        told = [FieldError(field="", message=error.message)]
        return _keys(wrong=_Wrong(errors={"": told}, key_id=key_id), status=409)
    return shown_once(_keys(made=made))


@blueprint.post("/admin/keys/<key_id>/revoke")
def revoke(key_id: str) -> AnyResponse:
    """Revoke a key at once; sessions that were opened with it end too."""
    end_key(runtime(), caller(), key_id, request_id=request_id())
    return redirect("/admin/keys", code=303)


def _end() -> dict[str, Any]:
    """The end of the last day of a key, where one was chosen."""
    day = request.form.get("ends_on", "").strip()
    return {"expires_at": f"{day}T23:59:59Z"} if day else {}


def _grace() -> dict[str, Any]:
    """For how many hours the old key still opens, where that was typed."""
    text = request.form.get("grace_h", "").strip()
    if not text:
        return {}
    return {"grace_h": int(text) if text.isascii() and text.isdecimal() and len(text) < 9 else text}


def _loaded(schema: Schema, body: dict[str, Any]) -> Any:
    try:
        return schema.load(body)
    except ValidationError as error:
        errors = field_errors(error.messages)
        raise InvalidRequestError(errors[0].message, errors=errors) from error


def _by_field(error: InvalidRequestError) -> dict[str, list[FieldError]]:
    found: dict[str, list[FieldError]] = {}
    for one in error.detail.errors or (FieldError(field="", message=error.message),):
        found.setdefault("ends_on" if one.field == "expires_at" else one.field, []).append(one)
    return found
