"""/v1/keys: a tenant's administrators make, rotate and revoke its keys."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, request_id, runtime
from service.edge.idempotency import IDEMPOTENCY_KEY, idempotent
from service.edge.posting import PostedNow, created, created_doc
from service.planning.idempotency import FirstAnswer, Once
from service.planning.own_keys import KeyView, end_key, get_key, list_keys, make_key, rotate_key
from service.schemas.keys import (
    KeyPageSchema,
    KeyRequest,
    KeyRequestSchema,
    KeySchema,
    NewKeySchema,
    Rotation,
    RotationSchema,
)
from service.schemas.page import CursorField, PageQuerySchema, page

_PLACE = "/v1/keys"
_KEYS = "keys"
_NEW_KEY = NewKeySchema()
_MAKE = (
    "For administrators. The answer holds the key itself, once: only its hash is kept. Make one for each person and "
    "each machine: every change is noted under the principal of its key. Keys of operators are made on the host."
)
_ROTATE = (
    "A new key for the same principal in the same role; the old one still opens for `grace_h` hours, so that whoever "
    "uses it can change over. A key that is expired or revoked is not rotated: 409."
)

blueprint = ResourceBlueprint(
    "keys", __name__, url_prefix=_PLACE, permission=Permission.KEYS, description="Who may call, and in which role."
)


class KeyQuerySchema(PageQuerySchema):
    """The query of the list of keys."""

    cursor = CursorField(_KEYS)


@dataclass(frozen=True, slots=True, kw_only=True)
class _PostedKey(PostedNow[KeyView]):
    """A key that is made: its first answer is not kept, because nobody is to find the key in the database."""

    def answer(self, made: KeyView, waited: Mapping[str, str]) -> FirstAnswer:
        """Written again without the key where it is given again."""
        # Without super(): a dataclass with slots is another class than the one that this was written in.
        return replace(PostedNow.answer(self, made, waited), body=None)


def _posted(making: Any) -> Any:
    posting = _PostedKey(
        making=making,
        reading=lambda key_id: get_key(runtime(), caller(), key_id),
        schema=_NEW_KEY,
        place=_PLACE,
        identity=identity,
    )
    return created(posting)


def identity(key: KeyView) -> tuple[str, ...]:
    """What the ETag of a key stands for: what callers read of it changes with these only."""
    return "key", key.id, key.state, str(key.expires_at), str(key.last_used_at)


@blueprint.route("", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(KeyRequestSchema)
@blueprint.response(201, NewKeySchema, description="The key is made.", headers=created_doc(_PLACE))
@blueprint.described(operationId="postKey", description=_MAKE, parameters=[IDEMPOTENCY_KEY])
def post_key(key_request: KeyRequest) -> Any:
    """Make a key."""

    def making(once: Once[KeyView] | None) -> KeyView:
        return make_key(runtime(), caller(), key_request, request_id=request_id(), once=once)

    return _posted(making)


@blueprint.route("", methods=["GET"])
@blueprint.arguments(KeyQuerySchema, location="query")
@blueprint.response(200, KeyPageSchema)
@blueprint.described(operationId="listKeys", description="Of your tenant, revoked and expired ones too.")
def get_keys(query: dict[str, Any]) -> Any:
    """List the keys of your tenant, newest first."""
    found = list_keys(runtime(), caller(), before_id=query["cursor"], limit=query["limit"] + 1)
    return page(found, of=_KEYS, limit=query["limit"])


@blueprint.route("/<key_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, KeySchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getKey")
def get_one_key(key_id: str) -> Any:
    """Read what is known of a key."""
    found = get_key(runtime(), caller(), key_id)
    return found, tagged(*identity(found))


@blueprint.route("/<key_id>/rotate", methods=["POST"])
@idempotent(blueprint)
@blueprint.arguments(RotationSchema)
@blueprint.response(201, NewKeySchema, description="The new key is made.", headers=created_doc(_PLACE))
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="rotateKey", description=_ROTATE, parameters=[IDEMPOTENCY_KEY])
def rotate_one_key(rotation: Rotation, key_id: str) -> Any:
    """Replace a key by a new one."""

    def making(once: Once[KeyView] | None) -> KeyView:
        return rotate_key(runtime(), caller(), key_id, rotation, request_id=request_id(), once=once)

    return _posted(making)


@blueprint.route("/<key_id>/revoke", methods=["POST"])
@blueprint.response(200, KeySchema, description="The key is revoked, by this call or an earlier one.")
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="revokeKey",
    description="Ends a key for good, a moment later (`HEADROOM_KEY_MEMORY_S`) everywhere; a second call changes "
    "nothing. You may revoke your own: this is then its last answer.",
)
def revoke_one_key(key_id: str) -> Any:
    """Revoke a key."""
    return end_key(runtime(), caller(), key_id, request_id=request_id())
