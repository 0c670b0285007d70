"""Templates to pages: the words and figures that they may use, and the frame that each stands in."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask, Response, g, render_template, request
from jinja2 import StrictUndefined

from service.access import Permission
from service.edge.sessions import masked
from service.planning.sessions import BrowserSession
from service.web import change_words, field_words, part_words, titles, wording
from service.web.assets import asset_address, load_assets
from service.web.compiled import Compiled
from service.web.form.countries import country_names
from service.web.form.quote_lines import line_fields

_TEMPLATES = Path(__file__).resolve().parent / "templates"
_CODE = _TEMPLATES.parent.parent
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


# Pages that stand under another place of the navigation than their address says.
_INSIDE = (("/price-books", "/admin"), ("/schedules", "/batches"), ("/occurrences", "/batches"))


def teach_templates(app: Flask) -> None:
    """Give the templates their words."""
    app.jinja_env.filters.update(wording.FILTERS | change_words.FILTERS | part_words.FILTERS | field_words.FILTERS)
    app.jinja_env.filters.update(titles.FILTERS)
    app.jinja_env.globals.update(asset=asset_address, country_names=country_names, line_fields=line_fields)
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    # What a template does not know is a mistake in it.
    app.jinja_env.undefined = StrictUndefined
    app.context_processor(_frame)
    app.jinja_env.bytecode_cache = app.jinja_env.bytecode_cache or Compiled(_TEMPLATES, code=_CODE)
    load_all(app)


def load_all(app: Flask) -> None:
    """Read every template and file now: a tree that is updated under a running process changes nothing in it."""
    for name in sorted(path.name for path in _TEMPLATES.glob("*.html")):
        app.jinja_env.get_template(name)
    load_assets()


def _frame() -> dict[str, Any]:
    session: BrowserSession | None = g.get("browser_session")
    if session is None:
        return {"signed_in": None, "places": (), "form_token": "", "here": request.path, "inside": request.path}
    caller = session.caller
    home = next((place for start, place in _INSIDE if request.path.startswith(start)), request.path)
    return {
        "signed_in": caller,
        "inside": "/quotes" if home == "/admin" and not caller.may(Permission.AUDIT) else home,
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
