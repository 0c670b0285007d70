"""Uploads: a long body goes to a file as it comes, so that a slow sender holds no transaction and no memory."""

import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from flask import Request, g
from werkzeug.exceptions import RequestEntityTooLarge

from service.edge.body import UnsupportedMediaTypeError
from service.edge.context import runtime
from service.errors import UnavailableError
from service.schemas.uploaded import CSV, JSON, NDJSON

TAKEN = (NDJSON, CSV, JSON)
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})
_PIECE_BYTES = 65_536


@contextmanager
def uploaded_file(request: Request) -> Iterator[IO[bytes]]:
    """The body, all of it here, in a file that goes when the block ends. Its identity stands in `g.upload_identity`.

    Raises RequestEntityTooLarge, UnsupportedMediaTypeError, and UnavailableError where there is no room.
    """
    _check(request)
    settings = runtime().settings
    request.max_content_length = settings.batch_limit_bytes
    with tempfile.SpooledTemporaryFile(max_size=settings.body_limit_bytes) as file:
        identity, size = hashlib.sha256(f"{request.mimetype}\n{request.query_string.decode()}\n".encode()), 0
        try:
            while piece := request.stream.read(_PIECE_BYTES):
                size += len(piece)
                if size > settings.batch_limit_bytes:
                    raise RequestEntityTooLarge
                identity.update(piece)
                file.write(piece)
        except OSError as error:
            raise UnavailableError("There is no room for the upload at the moment; send it again.") from error
        file.seek(0)
        g.upload_identity = identity.digest()
        yield cast("IO[bytes]", file)


def _check(request: Request) -> None:
    if request.mimetype not in TAKEN:
        given = f"this is {request.mimetype}" if request.mimetype else "there is no Content-Type"
        raise UnsupportedMediaTypeError(f"Send the workloads as {', '.join(TAKEN)}; {given}.")
    charset = request.mimetype_params.get("charset", "utf-8")
    if charset.lower().replace("_", "-") not in _UTF8:
        raise UnsupportedMediaTypeError("Send the workloads in UTF-8.")
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaTypeError("Send the body uncompressed, without Content-Encoding.")
