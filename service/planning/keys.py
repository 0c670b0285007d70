"""Tenants, principals and API keys: made, checked, revoked. A key is shown once; only its SHA-256 is kept."""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.access import Caller, Role
from service.errors import NotFoundError, TenantDisabledError, UnauthenticatedError, UnavailableError
from service.planning.audit import Action, Author, Change, author_on_host, record
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.store import keys, tenants
from service.store.keys import KeyOwner
from service.store.tables.keys import ApiKeyRow

_SCHEME = "hr"
_PREFIX_BYTES = 6
_SECRET_BYTES = 32
_LONGEST_TOKEN = 200
# Writing "last used" on every request would make every read a write.
_TOUCH_EVERY = timedelta(minutes=1)
_NOBODY = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key that was just made; `token` is told now and never again."""

    token: str
    sheet: "KeySheet"

    @property
    def id(self) -> str:
        """Its id."""
        return self.sheet.id


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySheet:
    """What may be told about a key. `start` is how its token begins: it finds a key and opens nothing."""

    id: str
    start: str
    principal: str
    role: Role
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


def create_tenant(runtime: Runtime, name: str, *, author: Author | None = None) -> str:
    """The id of the tenant of that name, made when there is none."""
    now, by = runtime.clock(), author or author_on_host()

    def work(session: Session) -> str:
        tenant, made = tenants.ensure(session, name, now=now)
        if made:
            record(session, (by, _tenant_made(tenant.id, at=now)))
        return tenant.id

    return transact(runtime, work)


def find_tenant(runtime: Runtime, name: str) -> str:
    """The id of the tenant of that name. Raises NotFoundError when there is none."""
    found = read(runtime, lambda session: tenants.by_name(session, name))
    if found is None:
        raise NotFoundError(f"There is no tenant of the name {name[:64]!r}.")
    return found.id


def set_tenant_disabled(runtime: Runtime, tenant_id: str, *, disabled: bool, author: Author | None = None) -> None:
    """Disable or enable a tenant: its keys and its queued runs stop working, or work again."""
    now, by = runtime.clock(), author or author_on_host()
    action = Action.TENANT_DISABLED if disabled else Action.TENANT_ENABLED
    states = ("enabled", "disabled") if disabled else ("disabled", "enabled")

    def work(session: Session) -> None:
        if tenants.set_disabled(session, tenant_id, at=now if disabled else None):
            change = Change(
                at=now,
                action=action,
                tenant_id=tenant_id,
                resource_id=tenant_id,
                old_state=states[0],
                new_state=states[1],
            )
            record(session, (by, change))
        elif tenants.get(session, tenant_id) is None:
            raise NotFoundError(f"There is no tenant {tenant_id[:64]!r}.")

    transact(runtime, work)


def create_key(
    runtime: Runtime,
    tenant_id: str,
    *,
    principal: str,
    role: Role,
    expires_at: datetime | None = None,
    author: Author | None = None,
) -> NewKey:
    """A new key for a named principal of the tenant."""
    now, by = runtime.clock(), author or author_on_host()

    def work(session: Session) -> NewKey:
        if tenants.get(session, tenant_id) is None:
            raise NotFoundError(f"There is no tenant {tenant_id[:64]!r}.")
        return add_key(session, tenant_id, principal=principal, role=role, expires_at=expires_at, author=by, now=now)

    return transact(runtime, work)


def add_key(
    session: Session,
    tenant_id: str,
    *,
    principal: str,
    role: Role,
    expires_at: datetime | None,
    author: Author,
    now: datetime,
) -> NewKey:
    """The same as a part of a transaction."""
    prefix = secrets.token_hex(_PREFIX_BYTES)
    token = f"{_SCHEME}_{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
    owner = tenants.ensure_principal(session, tenant_id, principal, now=now)
    row = keys.add(
        session, owner, role=role, prefix=prefix, secret_sha256=hash_of(token), expires_at=expires_at, now=now
    )
    record(session, (author, _made(row, principal, at=now)))
    return NewKey(token=token, sheet=key_sheet(row, principal))


def list_keys(runtime: Runtime, tenant_id: str) -> list[KeySheet]:
    """The keys of the tenant, oldest first, revoked ones too; what a key opens with is nowhere in them."""
    rows = read(runtime, lambda session: keys.of_tenant(session, tenant_id))
    return [key_sheet(row, principal) for row, principal in rows]


def key_sheet(row: ApiKeyRow, principal: str) -> KeySheet:
    """What may be told about the key of a row."""
    return KeySheet(
        id=row.id,
        start=f"{_SCHEME}_{row.prefix}",
        principal=principal,
        role=Role(row.role),
        created_at=row.created_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        last_used_at=row.last_used_at,
    )


def revoke_key(runtime: Runtime, tenant_id: str, key_id: str, *, author: Author | None = None) -> None:
    """Revoke a key of the tenant at once."""
    now, by = runtime.clock(), author or author_on_host()

    def work(session: Session) -> None:
        if not keys.revoke(session, tenant_id, key_id, now=now):
            raise NotFoundError(f"There is no live key {key_id[:64]!r}.")
        record(session, *((by, change) for change in _revoked(session, tenant_id, {key_id}, at=now)))

    transact(runtime, work)


def revoke_all_keys(runtime: Runtime, tenant_id: str, *, author: Author) -> None:
    """Revoke every live key of the tenant at once."""
    now = runtime.clock()

    def work(session: Session) -> None:
        revoked = set(keys.revoke_all(session, tenant_id, now=now))
        if revoked:
            record(session, *((author, change) for change in _revoked(session, tenant_id, revoked, at=now)))

    transact(runtime, work)


def _tenant_made(tenant_id: str, *, at: datetime) -> Change:
    return Change(
        at=at,
        action=Action.TENANT_CREATED,
        tenant_id=tenant_id,
        resource_id=tenant_id,
        old_state=None,
        new_state="enabled",
    )


def _live(key: ApiKeyRow, principal: str) -> str:
    """The state of a live key as the audit tells it: who can do what with it."""
    return f"live, {key.role} for {principal}"


def _made(key: ApiKeyRow, principal: str, *, at: datetime) -> Change:
    return Change(
        at=at,
        action=Action.KEY_CREATED,
        tenant_id=key.tenant_id,
        resource_id=key.id,
        old_state=None,
        new_state=_live(key, principal),
    )


def _revoked(session: Session, tenant_id: str, key_ids: Collection[str], *, at: datetime) -> list[Change]:
    return [
        Change(
            at=at,
            action=Action.KEY_REVOKED,
            tenant_id=tenant_id,
            resource_id=key.id,
            old_state=_live(key, principal),
            new_state="revoked",
        )
        for key, principal in keys.of_tenant(session, tenant_id)
        if key.id in key_ids
    ]


def authenticate(runtime: Runtime, token: str) -> Caller:
    """Who holds this token; UnauthenticatedError for a bad one, TenantDisabledError for a disabled tenant's."""
    now = runtime.clock()
    owner = _owner(runtime, token)
    expected = owner.key.secret_sha256 if owner else _NOBODY
    # Compared even when there is no such key: both refusals take the same time and sound the same.
    if not hmac.compare_digest(expected, hash_of(token)) or owner is None:
        raise UnauthenticatedError("The API key is not valid.")
    key = owner.key
    if key.revoked_at is not None:
        raise UnauthenticatedError("The API key was revoked; ask for a new one.")
    if key.expires_at is not None and key.expires_at <= now:
        raise UnauthenticatedError("The API key has expired; ask for a new one.")
    if owner.tenant_disabled_at is not None:
        raise TenantDisabledError("The tenant of this API key is disabled.")
    if key.last_used_at is None or now - key.last_used_at >= _TOUCH_EVERY:
        _touch(runtime, key.id, now=now)
    return Caller(
        tenant_id=key.tenant_id, principal=owner.principal, role=Role(key.role), key_id=key.id, quota=owner.quota
    )


def _owner(runtime: Runtime, token: str) -> KeyOwner | None:
    parts = token.split("_", 2)
    if len(token) > _LONGEST_TOKEN or len(parts) != 3 or parts[0] != _SCHEME or not parts[1].isalnum():
        return None
    return read(runtime, lambda session: keys.by_prefix(session, parts[1]))


def _touch(runtime: Runtime, key_id: str, *, now: datetime) -> None:
    try:
        transact(runtime, lambda session: keys.touch(session, key_id, now=now))
    except UnavailableError:
        return  # a note for people; no reason to refuse a request that may only read


def hash_of(token: str) -> bytes:
    """What is remembered of a token, in place of it."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
