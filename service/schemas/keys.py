"""Keys of a tenant on the wire; what a key opens with stands in the first answer to who made it, and nowhere else."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from marshmallow import fields

from service.access import TENANT_ROLES
from service.schemas.plain import many, text
from service.schemas.query import TimeField
from service.schemas.run import PageSchema, moment
from service.schemas.strict import Choice, Count, RecordSchema, Text
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}
_LONGEST_GRACE_H = 24 * 90
_GRACE_H = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRequest:
    """Whose key it is to be, and what it may do."""

    principal: str
    role: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotation:
    """How long the old key still opens, and when the new one ends."""

    grace_h: int
    expires_at: datetime | None


class KeyRequestSchema(RecordSchema):
    """A key to be made."""

    record: ClassVar[type] = KeyRequest

    principal = Text(
        "Who uses it: a person or a machine of yours. Every change is noted under this name.", required=True
    )
    role = Choice("What it may do.", TENANT_ROLES, required=True)
    expires_at = TimeField("When it ends; never without it.")


class RotationSchema(RecordSchema):
    """How a key is replaced."""

    record: ClassVar[type] = Rotation

    grace_h = Count(
        "For so many hours the old key opens beside the new one; 0 ends it now.",
        low=0,
        high=_LONGEST_GRACE_H,
        load_default=_GRACE_H,
    )
    expires_at = TimeField("When the new key ends; never without it.")


class KeySchema(WordedSchema):
    """A key. Only its hash is kept; `start` is how it begins, which finds it in a list and opens nothing."""

    id = text("Id of the key; it stands in the audit and in log lines.")
    start = text("How the key begins.")
    principal = text("Who uses it.")
    role = text("What it may do.")
    state = text("live, expired or revoked.")
    created_at = moment("When it was made.")
    expires_at = moment("When it ends; null for never.", **_OPTIONAL)
    revoked_at = moment("When it was revoked; null unless it was.", **_OPTIONAL)
    last_used_at = moment("When it was last used, to the minute; null for never.", **_OPTIONAL)


class NewKeySchema(KeySchema):
    """A key that was just made."""

    token = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The key itself, told once: null in every later answer, also in one that is given again "
            "under an idempotency key."
        },
    )


class KeyPageSchema(PageSchema):
    """Keys, newest first."""

    items = many(KeySchema, "The keys of this page.")
