"""The browser session of a request: a cookie that no script can read, and the token that every form carries."""

import base64
import hashlib
import hmac
import secrets
from typing import Any, cast

from flask import Flask, Response, current_app, g, request
from werkzeug.wrappers import Response as AnyResponse

from service.edge.context import runtime, runtime_of
from service.errors import ForbiddenError, TenantDisabledError, UnauthenticatedError
from service.planning import sessions
from service.planning.sessions import LASTS, BrowserSession
from service.shelf import Shelf

SESSION_COOKIE = "headroom_session"
VISIT_COOKIE = "headroom_visit"
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
FORM_TOKEN_HEADER = "X-Form-Token"  # noqa: S105 - the name of a header
_FOUND = "headroom.session"
_EXTENSION = "headroom-sessions"
# About two thousand sessions.
_REMEMBERED_BYTES = 1_000_000
_ENTRY_BYTES = 500
_VISIT_BYTES = 32
_VISIT_LASTS_S = 3600
# Of a request that changes something, where it may have come from; browsers say so, and no page can lie about it.
_FROM_HERE = frozenset({"", "same-origin", "none"})


def session_of(app: Flask, environ: dict[str, Any]) -> BrowserSession:
    """Who is signed in; looked up once in a request. UnauthenticatedError without a session that still holds."""
    found = environ.get(_FOUND)
    if found is None:
        cookie = _cookie(environ)
        found = environ[_FOUND] = sessions.resume(runtime_of(app), cookie)
        _tenants(app).put(_fingerprint(cookie), found.caller.tenant_id, size_bytes=_ENTRY_BYTES)
    return cast("BrowserSession", found)


def remember_tenants(app: Flask) -> None:
    """Let the application remember whose sessions it has seen."""
    app.extensions[_EXTENSION] = Shelf(most_bytes=_REMEMBERED_BYTES)


def tenant_signed_in(app: Flask, environ: dict[str, Any]) -> str | None:
    """Whose session a request most likely has, without a look at the database: good for turns and for nothing else."""
    try:
        return _tenants(app).get(_fingerprint(_cookie(environ)))
    except UnauthenticatedError:
        return None


def _tenants(app: Flask) -> Shelf[bytes, str]:
    return cast("Shelf[bytes, str]", app.extensions[_EXTENSION])


def _fingerprint(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "surrogatepass")).digest()


def _cookie(environ: dict[str, Any]) -> str:
    for part in environ.get("HTTP_COOKIE", "").split(";"):
        name, _, value = part.strip().partition("=")
        if name == SESSION_COOKIE and value:
            return str(value)
    raise UnauthenticatedError("Sign in to see this page.")


def signed_in() -> BrowserSession | None:
    """The session of this request, where it has one."""
    try:
        return session_of(current_app, request.environ)
    except (UnauthenticatedError, TenantDisabledError):
        return None


def rotate_when_due(session: BrowserSession) -> None:
    """Give the browser another secret with the answer, where the old one has served its time."""
    if session.due_for_rotation and request.method == "GET":
        g.session_cookie = sessions.rotate(runtime(), request.cookies[SESSION_COOKIE])


def send_cookie(response: Response) -> Response:
    """The answer, with the cookie that this request has made due."""
    cookie: str | None = g.pop("session_cookie", None)
    if cookie is not None:
        set_session_cookie(response, cookie)
    return response


def set_session_cookie(response: AnyResponse, cookie: str) -> None:
    """Sign the browser in."""
    _set(response, SESSION_COOKIE, cookie, lasts_s=int(LASTS.total_seconds()))


def forget_session_cookie(response: AnyResponse) -> None:
    """Sign the browser out."""
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="Lax", secure=_over_tls())


def _set(response: AnyResponse, name: str, value: str, *, lasts_s: int) -> None:
    response.set_cookie(name, value, max_age=lasts_s, httponly=True, samesite="Lax", secure=_over_tls())


def _over_tls() -> bool:
    # Whoever lies about it gets a cookie that is kept more strictly.
    return request.is_secure or request.headers.get("X-Forwarded-Proto", "") == "https"


def visit() -> str:
    """What proves that a form without a session was served to this browser; made at its first visit."""
    known: str | None = request.cookies.get(VISIT_COOKIE) or g.get("visit")
    if known is None:
        known = g.visit = secrets.token_hex(_VISIT_BYTES)
    return known


def send_visit(response: Response) -> Response:
    """The answer, with the cookie of a first visit."""
    made: str | None = g.pop("visit", None)
    if made is not None:
        _set(response, VISIT_COOKIE, made, lasts_s=_VISIT_LASTS_S)
    return response


def masked(token: str) -> str:
    """The token behind a pad of its own, so that compression of a page tells nothing about it."""
    plain = token.encode()
    pad = secrets.token_bytes(len(plain))
    return base64.urlsafe_b64encode(pad + _mixed(pad, plain)).decode()


def check_form_token(expected: str) -> None:
    """ForbiddenError unless the form that was sent carries this token, and comes from a page of ours."""
    sent = request.headers.get(FORM_TOKEN_HEADER) or request.form.get(FORM_TOKEN, "")
    here = request.headers.get("Sec-Fetch-Site", "") in _FROM_HERE
    if not here or not hmac.compare_digest(_unmasked(sent), expected.encode()):
        raise ForbiddenError(
            "This form was not sent from a page of this session. Open the page again, and send it from there."
        )


def _unmasked(sent: str) -> bytes:
    try:
        both = base64.urlsafe_b64decode(sent.encode())
    except ValueError:
        return b""
    half = len(both) // 2
    return _mixed(both[:half], both[half : 2 * half])


def _mixed(pad: bytes, text: bytes) -> bytes:
    return bytes(one ^ other for one, other in zip(pad, text, strict=True))
