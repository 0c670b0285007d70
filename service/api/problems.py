"""/problems/{slug}: what the type of a problem document means, for people as a page and for programs as JSON."""

from html import escape
from typing import Any

from flask import Response, request

from service.edge.answers import HTML_MEDIA_TYPE, MEDIA_TYPE
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.meanings import ProblemKind, problem_kind
from service.errors import NotFoundError
from service.schemas.problem import ProblemKindSchema

blueprint = ResourceBlueprint(
    "problems", __name__, url_prefix="/problems", permission=None, description="What problems mean."
)
_POLICY = {"Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}
# The same for everybody, and changed by an update only.
_FOR_AN_HOUR = "public, max-age=3600"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} - Headroom</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>Problem <code>{type}</code>, HTTP status {status}.</p>
<h2>What it means</h2>
<p>{meaning}</p>
<h2>What usually causes it</h2>
<p>{cause}</p>
<h2>The way out</h2>
<p>{way_out}</p>
</main>
</body>
</html>
"""
_MEMBERS = ("type", "title", "status", "meaning", "cause", "way_out")


@blueprint.route("/<slug>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, ProblemKindSchema, headers=ETAG_DOC)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="getProblemKind",
    responses={200: {"content": {HTML_MEDIA_TYPE: {"schema": {"type": "string"}}}}},
)
def get_problem_kind(slug: str) -> Any:
    """Read what a kind of problem means, what usually causes it, and the way out."""
    found = problem_kind(slug)
    if found is None:
        raise NotFoundError(f"There is no kind of problem {slug[:64]!r}.")
    chosen = request.accept_mimetypes.best_match([HTML_MEDIA_TYPE, MEDIA_TYPE], HTML_MEDIA_TYPE)
    page = page_of(found)
    # Page and JSON are two forms of one thing, with a tag each; what the JSON says stands in the page.
    headers = {**tagged(page, chosen, cache_control=_FOR_AN_HOUR, vary="Accept"), **_POLICY}
    if chosen == MEDIA_TYPE:
        return found, headers
    return Response(page, mimetype=HTML_MEDIA_TYPE, headers=headers)


def page_of(kind: ProblemKind) -> str:
    """The page of one kind of problem: escaped, and without script, style or image."""
    return _PAGE.format(**{name: escape(str(getattr(kind, name))) for name in _MEMBERS})
