"""A tenant's administrators make, read, rotate and revoke its keys; those of operators are no tenant's business."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy.orm import Session

from service.access import Caller, Role
from service.errors import ConflictError, FieldError, InvalidRequestError, NotFoundError
from service.planning.audit import Action, Change, author_of, record
from service.planning.idempotency import Once, claimed, taken
from service.planning.keys import KeySheet, NewKey, add_key, key_sheet, revoke_key
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.schemas.keys import KeyRequest, Rotation
from service.store import keys
from service.store.tables.keys import ApiKeyRow

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyView:
    """A key as its tenant's administrators see it; `token` is in the first answer to who made it, and never again."""

    id: str
    start: str
    principal: str
    role: str
    state: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    token: str | None = None


def make_key(
    runtime: Runtime, caller: Caller, request: KeyRequest, *, request_id: str, once: Once[KeyView] | None = None
) -> KeyView:
    """A new key of the caller's tenant; InvalidRequestError for an end that is no more to come.

    With `once` only where its key is new, else KeyInProgressError, and nothing is written.
    """
    now = runtime.clock()
    _check_end(request.expires_at, now)

    def work(session: Session) -> KeyView:
        made = add_key(
            session,
            caller.tenant_id,
            principal=request.principal,
            role=Role(request.role),
            expires_at=request.expires_at,
            author=author_of(caller, request_id),
            now=now,
        )
        return _once(session, runtime, caller, made, once=once, now=now)

    return transact(runtime, work)


def rotate_key(
    runtime: Runtime,
    caller: Caller,
    key_id: str,
    request: Rotation,
    *,
    request_id: str,
    once: Once[KeyView] | None = None,
) -> KeyView:
    """A new key for the same principal in the same role; the old one ends after a grace, unless it ends before.

    Raises NotFoundError, and ConflictError for a key that opens nothing any more.
    """
    now = runtime.clock()
    _check_end(request.expires_at, now)
    ends_at = now + timedelta(hours=request.grace_h)
    author = author_of(caller, request_id)

    def work(session: Session) -> KeyView:
        row, principal = _found(session, caller, key_id)
        old = key_view(key_sheet(row, principal), now=now)
        if old.state != "live":
            raise ConflictError(f"Key {row.id} is {old.state}; make a new one in its place.")
        made = add_key(
            session,
            caller.tenant_id,
            principal=principal,
            role=Role(row.role),
            expires_at=request.expires_at,
            author=author,
            now=now,
        )
        view = _once(session, runtime, caller, made, once=once, now=now)
        keys.expire(session, caller.tenant_id, row.id, at=ends_at)
        end = min(ends_at, row.expires_at) if row.expires_at else ends_at
        record(session, (author, _rotated(row, principal, made.id, at=now, end=end)))
        return view

    return transact(runtime, work)


def _rotated(row: ApiKeyRow, principal: str, in_its_place: str, *, at: datetime, end: datetime) -> Change:
    return Change(
        at=at,
        action=Action.KEY_ROTATED,
        tenant_id=row.tenant_id,
        resource_id=row.id,
        old_state=f"live, {row.role} for {principal}",
        new_state=f"until {end:%Y-%m-%dT%H:%M:%SZ}, {in_its_place} in its place",
    )


def end_key(runtime: Runtime, caller: Caller, key_id: str, *, request_id: str) -> KeyView:
    """Revoke a key of the caller's tenant; again it changes nothing. NotFoundError when there is none."""
    found = get_key(runtime, caller, key_id)
    if found.revoked_at is None:
        revoke_key(runtime, caller.tenant_id, key_id, author=author_of(caller, request_id))
        log.info("key_revoked", tenant_id=caller.tenant_id, key_id=key_id)
    return get_key(runtime, caller, key_id)


def get_key(runtime: Runtime, caller: Caller, key_id: str) -> KeyView:
    """The key; NotFoundError when the caller's tenant has none of that id."""
    now = runtime.clock()
    return read(runtime, lambda session: key_view(key_sheet(*_found(session, caller, key_id)), now=now))


def list_keys(
    runtime: Runtime, caller: Caller, *, before_id: str | None = None, limit: int = 50
) -> tuple[KeyView, ...]:
    """The keys of the caller's tenant, newest first; `before_id` is the last id of the page before."""
    now = runtime.clock()
    rows = read(runtime, lambda session: keys.newest(session, caller.tenant_id, before_id=before_id, limit=limit))
    return tuple(key_view(key_sheet(row, principal), now=now) for row, principal in rows)


def key_view(sheet: KeySheet, *, now: datetime, token: str | None = None) -> KeyView:
    """The view of what may be told of a key."""
    has_ended = sheet.expires_at is not None and sheet.expires_at <= now
    state = "revoked" if sheet.revoked_at is not None else "expired" if has_ended else "live"
    return KeyView(
        id=sheet.id,
        start=sheet.start,
        principal=sheet.principal,
        role=sheet.role.value,
        state=state,
        created_at=sheet.created_at,
        expires_at=sheet.expires_at,
        revoked_at=sheet.revoked_at,
        last_used_at=sheet.last_used_at,
        token=token,
    )


def _once(
    session: Session, runtime: Runtime, caller: Caller, made: NewKey, *, once: Once[KeyView] | None, now: datetime
) -> KeyView:
    view = key_view(made.sheet, now=now, token=made.token)
    if once is not None and not claimed(
        session, runtime, caller.tenant_id, once, once.answer(view), resource_id=made.id, now=now
    ):
        # What was written is undone with the transaction.
        raise taken(once)
    return view


def _found(session: Session, caller: Caller, key_id: str) -> tuple[ApiKeyRow, str]:
    found = keys.get(session, caller.tenant_id, key_id)
    if found is None:
        raise NotFoundError(f"There is no key {key_id[:64]!r}.")
    return found


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and expires_at <= now:
        limit = "a time to come"
        message = f"Must be {limit}."
        raise InvalidRequestError(
            f"expires_at: {message}",
            errors=(FieldError(field="expires_at", message=message, value=expires_at.isoformat(), limit=limit),),
        )
