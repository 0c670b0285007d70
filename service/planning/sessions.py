"""Browser sessions: opened with an API key, looked up at every request, given another secret now and then, ended.

What a session may do is what its key may do at that moment: a key that is revoked or expired, or a tenant that is
disabled, ends it at once.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.access import Caller, Role
from service.errors import TenantDisabledError, UnauthenticatedError, UnavailableError
from service.planning.keys import authenticate
from service.planning.transact import read, transact
from service.runtime import Runtime
from service.store import sessions
from service.store.ids import new_id
from service.store.sessions import SessionOwner
from service.store.tables.sessions import BrowserSessionRow

LASTS = timedelta(hours=12)
_IDLE_AT_MOST = timedelta(hours=2)
_ROTATE_EVERY = timedelta(minutes=30)
# Requests that were under way when the secret was changed still carry the one before.
_PREVIOUS_HOLDS = timedelta(minutes=1)
_TOUCH_EVERY = timedelta(minutes=1)
_SECRET_BYTES = 32
_LONGEST_COOKIE = 200
_OVER = "Your session is over; sign in again."


@dataclass(frozen=True, slots=True, kw_only=True)
class BrowserSession:
    """Who is signed in; `cookie` is there when the browser is to be given another one."""

    id: str
    caller: Caller
    form_token: str
    expires_at: datetime
    due_for_rotation: bool
    cookie: str | None = None


def sign_in(runtime: Runtime, token: str) -> BrowserSession:
    """A new session of the holder of this API key; UnauthenticatedError and TenantDisabledError as for the key."""
    caller = authenticate(runtime, token)
    now = runtime.clock()
    secret, form_token = secrets.token_urlsafe(_SECRET_BYTES), secrets.token_hex(_SECRET_BYTES)
    session_id = new_id("ses", now)

    def work(session: Session) -> None:
        sessions.end_expired(session, now=now)
        row = BrowserSessionRow(
            id=session_id,
            tenant_id=caller.tenant_id,
            key_id=caller.key_id,
            secret_sha256=_hash(secret),
            form_token=form_token,
            created_at=now,
            rotated_at=now,
            used_at=now,
            expires_at=now + LASTS,
        )
        sessions.add(session, row)

    transact(runtime, work)
    return BrowserSession(
        id=session_id,
        caller=caller,
        form_token=form_token,
        expires_at=now + LASTS,
        due_for_rotation=False,
        cookie=f"{session_id}.{secret}",
    )


def resume(runtime: Runtime, cookie: str) -> BrowserSession:
    """The session that a cookie names. Raises UnauthenticatedError when it is over, TenantDisabledError."""
    session_id, _, secret = cookie.partition(".")
    if len(cookie) > _LONGEST_COOKIE or not (session_id and secret and cookie.isascii()):
        raise UnauthenticatedError(_OVER)
    found = read(runtime, lambda session: sessions.find(session, session_id))
    now = runtime.clock()
    if found is None or not _opens(found.row, _hash(secret), now=now):
        raise UnauthenticatedError(_OVER)
    caller = _caller(found, now=now)
    row = found.row
    if now - row.used_at >= _TOUCH_EVERY:
        _touch(runtime, session_id, now=now)
    return BrowserSession(
        id=session_id,
        caller=caller,
        form_token=row.form_token,
        expires_at=row.expires_at,
        due_for_rotation=now - row.rotated_at >= _ROTATE_EVERY,
    )


def rotate(runtime: Runtime, cookie: str) -> str | None:
    """The cookie that takes the place of this one; None where another request has just changed it."""
    session_id, _, old = cookie.partition(".")
    new, now = secrets.token_urlsafe(_SECRET_BYTES), runtime.clock()
    changed = transact(
        runtime, lambda session: sessions.rotate(session, session_id, old=_hash(old), new=_hash(new), now=now)
    )
    return f"{session_id}.{new}" if changed else None


def sign_out(runtime: Runtime, session_id: str) -> None:
    """End a session for good."""
    transact(runtime, lambda session: sessions.end(session, session_id))


def _opens(row: BrowserSessionRow, secret_sha256: bytes, *, now: datetime) -> bool:
    if row.expires_at <= now or now - row.used_at > _IDLE_AT_MOST:
        return False
    if hmac.compare_digest(row.secret_sha256, secret_sha256):
        return True
    previous = row.previous_sha256
    if previous is None or now - row.rotated_at > _PREVIOUS_HOLDS:
        return False
    return hmac.compare_digest(previous, secret_sha256)


def _caller(found: SessionOwner, *, now: datetime) -> Caller:
    key = found.owner.key
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now):
        raise UnauthenticatedError("The API key that you signed in with is no longer valid; sign in with another one.")
    if found.owner.tenant_disabled_at is not None:
        raise TenantDisabledError("The tenant of your API key is disabled.")
    return Caller(
        tenant_id=key.tenant_id,
        principal=found.owner.principal,
        role=Role(key.role),
        key_id=key.id,
        quota=found.owner.quota,
    )


def _touch(runtime: Runtime, session_id: str, *, now: datetime) -> None:
    try:
        transact(runtime, lambda session: sessions.touch(session, session_id, now=now))
    except UnavailableError:
        return  # the session lasts a little shorter; no reason to refuse a page


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
