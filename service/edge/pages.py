"""What every page has: a session with a permission, the token of its forms, a strict policy, and errors as pages."""

import gzip
import zlib
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar, cast
from urllib.parse import quote

import structlog
from flask import Blueprint, Flask, Response, current_app, g, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.edge.answers import HTML_MEDIA_TYPE
from service.edge.authentication import open_to_all
from service.edge.context import runtime
from service.edge.limits import spend_for_address, spend_for_tenant
from service.edge.senders import SIGN_IN_PATH
from service.edge.sessions import check_form_token, rotate_when_due, send_cookie, session_of
from service.errors import ForbiddenError, UnauthenticatedError
from service.store.scope import act_for

PREFIX = "pages-"
_EXTENSION = "headroom-problem-page"
_SAFE = frozenset({"GET", "HEAD"})
# Beyond these everything that nobody knows may have been meant as a page.
_NOT_PAGES = ("/v1", "/healthz", "/readyz", "/metrics", "/openapi.json", "/docs", "/problems")
# No other host, and neither script nor style in a page; charts are drawn with attributes and classes.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# What a browser shows again when it goes back is what was typed into it; nobody else may keep it.
_KEPT_BY_NOBODY_ELSE = "private, no-cache"
_WORTH_COMPRESSING_BYTES = 800
_HTMX = "HX-Request"

View = TypeVar("View", bound=Callable[..., Any])
ProblemPage = Callable[[Mapping[str, Any]], str]


class PageBlueprint(Blueprint):
    """Pages that need a session whose role grants the permission (None: open to all)."""

    def __init__(self, name: str, import_name: str, *, permission: Permission | None, **options: Any) -> None:
        super().__init__(f"{PREFIX}{name}", import_name, **options)
        # Views that take as much as a batch may be; a long file goes to a disk as it comes.
        self.taking_batches: set[str] = set()
        if permission is None:
            open_to_all(self)
        else:
            _protect(self, permission)
        for after in (_told, send_cookie):
            self.after_request(after)

    def takes_batch(self, view: View) -> View:
        """A view whose form may carry a file as long as a batch may be."""
        self.taking_batches.add(f"{self.name}.{view.__name__}")
        return view


def _protect(blueprint: PageBlueprint, permission: Permission) -> None:
    def check() -> AnyResponse | None:
        try:
            session = session_of(current_app, request.environ)
        except UnauthenticatedError:
            spend_for_address()
            return _to_sign_in()
        caller = g.caller = session.caller
        g.browser_session = session
        spend_for_tenant(caller)
        act_for(caller.tenant_id)
        structlog.contextvars.bind_contextvars(tenant_id=caller.tenant_id, key_id=caller.key_id)
        if request.endpoint in blueprint.taking_batches:
            settings = runtime().settings
            request.max_content_length = settings.batch_limit_bytes + settings.body_limit_bytes
            request.max_form_memory_size = settings.body_limit_bytes
        if request.method not in _SAFE:
            check_form_token(session.form_token)
        if not caller.may(permission):
            raise ForbiddenError(f"A key of role {caller.role} may not use {permission}.")
        rotate_when_due(session)
        return None

    check.permission = permission  # type: ignore[attr-defined]
    blueprint.before_request(check)


def _to_sign_in() -> AnyResponse:
    """Sign in, and come back; a part of a page sends the whole page there."""
    if is_part():
        return Response("", headers={"HX-Redirect": SIGN_IN_PATH})
    asked = request.full_path.rstrip("?") if request.method in _SAFE else "/"
    return redirect(f"{SIGN_IN_PATH}?next={quote(asked, safe='/')}", code=303)


def is_part() -> bool:
    """Whether a page asks for a part of itself."""
    return request.headers.get(_HTMX) == "true"


def shown_once(response: Response) -> Response:
    """What is told now and never again is kept by no browser either."""
    response.headers["Cache-Control"] = "no-store"
    return response


def is_page_endpoint(endpoint: str) -> bool:
    """Whether a route is one of the pages'."""
    return endpoint.startswith(PREFIX)


def wants_page() -> bool:
    """Whether this request is to be answered with a page, whatever comes of it."""
    if request.url_rule is not None:
        return is_page_endpoint(request.endpoint or "")
    reads_html = HTML_MEDIA_TYPE in request.headers.get("Accept", "")
    return reads_html and not request.path.startswith(_NOT_PAGES)


def show_problems_with(app: Flask, problem_page: ProblemPage) -> None:
    """Let what goes wrong with a page be told by a page."""
    app.extensions[_EXTENSION] = problem_page


def as_page(problem: Mapping[str, Any]) -> Response | None:
    """The problem as a page, for who reads one; None for all others."""
    problem_page = cast("ProblemPage | None", current_app.extensions.get(_EXTENSION))
    if problem_page is None or not wants_page():
        return None
    if problem["status"] == HTTPStatus.NOT_FOUND and (meant := _without_slash()) is not None:
        return _told(cast("Response", redirect(meant, code=HTTPStatus.PERMANENT_REDIRECT, Response=Response)))
    response = Response(problem_page(problem), status=problem["status"], mimetype=HTML_MEDIA_TYPE)
    return _told(response)


def _without_slash() -> str | None:
    """The address of the page that was meant, where a slash at the end is all that is wrong with this one."""
    path = request.path.rstrip("/")
    if path in {"", request.path} or request.method not in _SAFE:
        return None
    try:
        endpoint, _ = current_app.url_map.bind(request.host).match(path, method="GET")
    except HTTPException:
        return None
    if not is_page_endpoint(endpoint):
        return None
    query = request.query_string.decode("ascii", "replace")
    return f"{quote(path)}?{query}" if query else quote(path)


def _told(response: Response) -> Response:
    """The headers that every page has, and the body in less."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", _KEPT_BY_NOBODY_ELSE)
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if response.mimetype == HTML_MEDIA_TYPE and "Content-Encoding" not in response.headers:
        _compress(response)
    return response


def _compress(response: Response) -> None:
    response.headers.add("Vary", "Accept-Encoding")
    body = response.get_data()
    if len(body) < _WORTH_COMPRESSING_BYTES or "gzip" not in request.headers.get("Accept-Encoding", ""):
        return
    response.set_data(gzip.compress(body, compresslevel=zlib.Z_BEST_SPEED + 4, mtime=0))
    response.headers["Content-Encoding"] = "gzip"
