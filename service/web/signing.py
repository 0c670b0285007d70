"""/sign-in and /sign-out: an API key opens a session of the browser."""

import hashlib
from http import HTTPStatus

from flask import Response, g, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.context import runtime
from service.edge.limits import spend_for_address, spend_for_tenant
from service.edge.pages import PageBlueprint
from service.edge.senders import SIGN_IN_PATH
from service.edge.sessions import (
    check_form_token,
    forget_session_cookie,
    masked,
    send_visit,
    set_session_cookie,
    signed_in,
    visit,
)
from service.errors import ForbiddenError, TenantDisabledError, UnauthenticatedError
from service.planning import sessions
from service.planning.keys import authenticate
from service.web.rendering import page

blueprint = PageBlueprint("signing", __name__, permission=None, template_folder="templates")
blueprint.after_request(send_visit)
ending = PageBlueprint("ending", __name__, permission=Permission.CATALOG)

_HOME = "/size"
_LONGEST_FORM_BYTES = 20_000


def _token() -> str:
    """What the form of this browser carries before there is a session."""
    return hashlib.sha256(f"sign-in {visit()}".encode()).hexdigest()


def _next() -> str:
    """Where to go afterwards: a path of ours, whatever the address says."""
    wanted = request.values.get("next", "")
    # One slash and no more: what begins so is a path to every browser, whatever follows.
    ours = wanted.startswith("/") and not wanted.startswith(("//", "/\\"))
    return wanted if ours and wanted.isprintable() else _HOME


def _form(*, problem: str | None = None, status: int = 200) -> Response:
    return page("sign_in.html", problem=problem, next=_next(), form_token=masked(_token()), status=status)


@blueprint.get("/")
def home() -> AnyResponse:
    """The first page; without a session that leads to signing in."""
    return redirect(_HOME, code=303)


@blueprint.get(SIGN_IN_PATH)
def show_form() -> AnyResponse:
    """The form; who is signed in already goes on."""
    return _form() if signed_in() is None else redirect(_next(), code=303)


@blueprint.post(SIGN_IN_PATH)
def sign_in() -> AnyResponse:
    """Open a session with the key that was typed in; a wrong one is told beside its field."""
    request.max_content_length = _LONGEST_FORM_BYTES
    try:
        check_form_token(_token())
        key = request.form.get("key", "").strip()
        # A session is a row that lasts for hours: opening many costs its tenant what other writing calls do.
        spend_for_tenant(authenticate(runtime(), key))
        session = sessions.sign_in(runtime(), key)
    except (ForbiddenError, UnauthenticatedError, TenantDisabledError) as error:
        spend_for_address()
        return _form(problem=error.message, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    response = redirect(_next(), code=303)
    assert session.cookie is not None
    set_session_cookie(response, session.cookie)
    return response


@ending.post("/sign-out")
def sign_out() -> AnyResponse:
    """End the session for good."""
    sessions.sign_out(runtime(), g.browser_session.id)
    response = redirect(SIGN_IN_PATH, code=303)
    forget_session_cookie(response)
    return response
