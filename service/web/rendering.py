"""Templates to pages: the words and figures that they may use, and the frame that each stands in."""

from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, g, render_template, request

from service.access import Permission
from service.edge.sessions import masked
from service.planning.sessions import BrowserSession
from service.web import wording
from service.web.assets import asset_address

# Where the navigation leads: address, word, what a role needs to see it.
PLACES: tuple[tuple[str, str, Permission], ...] = (
    ("/size", "Size", Permission.RUNS),
    ("/runs", "Runs", Permission.RUNS),
    ("/compare", "Compare", Permission.RUNS),
    ("/quotes", "Quotes", Permission.QUOTES),
    ("/batches", "Batches", Permission.BATCHES),
    ("/catalog", "Catalog", Permission.CATALOG),
    ("/accuracy", "Accuracy", Permission.CATALOG),
    ("/admin", "Admin", Permission.AUDIT),
)


def teach_templates(app: Flask) -> None:
    """Give the templates their words."""
    app.jinja_env.filters.update(wording.FILTERS)
    app.jinja_env.globals["asset"] = asset_address
    # What a template does not know is a mistake in it.
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.context_processor(_frame)


def _frame() -> dict[str, Any]:
    session: BrowserSession | None = g.get("browser_session")
    if session is None:
        return {"signed_in": None, "places": (), "form_token": "", "here": request.path}
    caller = session.caller
    return {
        "signed_in": caller,
        "places": tuple((address, word) for address, word, needed in PLACES if caller.may(needed)),
        "form_token": masked(session.form_token),
        "here": request.path,
    }


def page(template: str, *, status: int = 200, **context: Any) -> Response:
    """A page, or a part of one."""
    return Response(render_template(template, **context), status=status, mimetype="text/html")


def problem_page(problem: Mapping[str, Any]) -> str:
    """What went wrong, as a page; inside a page, as a part of it."""
    part = request.headers.get("HX-Request") == "true"
    return render_template("problem_part.html" if part else "problem.html", problem=problem)
