"""/static: the files of the pages, each named with its version, compressed once, and kept by browsers for good."""

import functools
import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

from flask import Response, request, url_for
from werkzeug.wrappers import Response as AnyResponse

from service.edge.pages import PageBlueprint
from service.errors import NotFoundError

blueprint = PageBlueprint("assets", __name__, permission=None)

_FOLDER = Path(__file__).resolve().parent / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
# A page names each file with its version, so another version has another address.
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file as it is sent, in both forms, and its version."""

    plain: bytes
    compressed: bytes
    media_type: str
    version: str


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(path.relative_to(_FOLDER).as_posix() for path in _FOLDER.rglob("*") if path.suffix in _MEDIA_TYPES)


@functools.cache
def asset(name: str) -> Asset:
    """The file of that name; NotFoundError when there is none."""
    if name not in _names():
        raise NotFoundError(f"The pages have no file {name[:64]!r}.")
    plain = (_FOLDER / name).read_bytes()
    return Asset(
        plain=plain,
        compressed=gzip.compress(plain, mtime=0),
        media_type=_MEDIA_TYPES[Path(name).suffix],
        version=hashlib.sha256(plain).hexdigest()[:16],
    )


def load_assets() -> None:
    """Read every file, and compress it."""
    for name in _names():
        asset(name)


def asset_address(name: str) -> str:
    """Where a page finds the file, in the version that it was made with."""
    return url_for("pages-assets.read_asset", name=name, v=asset(name).version)


@blueprint.get("/static/<path:name>")
def read_asset(name: str) -> AnyResponse:
    """A file of the pages."""
    found = asset(name)
    packed = "gzip" in request.headers.get("Accept-Encoding", "")
    # The two forms are two representations, with a tag each.
    response = Response(found.compressed if packed else found.plain, mimetype=found.media_type)
    response.headers["Cache-Control"] = _FOR_GOOD
    response.headers["Vary"] = "Accept-Encoding"
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(f"{found.version}{'-gzip' if packed else ''}")
    return response.make_conditional(request)
