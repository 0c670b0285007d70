"""The content of an answer that is a run: as it is, or by gzip for those who take it; its result is long."""

from service.edge.answering import Environ
from service.edge.answers import MEDIA_TYPE
from service.edge.encoding import BY_GZIP, GZIP, takes_gzip
from service.planning.reading import RunAnswer, chunks_by_gzip
from service.runtime import Runtime

_TYPE = ("Content-Type", MEDIA_TYPE)
ENCODED_DOC = {
    "Content-Encoding": {
        "description": "A run with its result is sent by gzip to whoever takes it (`Accept-Encoding`), and has a weak "
        "ETag then; the tag of one form is known for the other too.",
        "schema": {"type": "string", "enum": [GZIP]},
    }
}


def is_sent_by_gzip(run: RunAnswer, environ: Environ) -> bool:
    """Whether the sender of a request gets the run by gzip; without a result it is short."""
    return run.result is not None and takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))


def content(
    runtime: Runtime, run: RunAnswer, *, by_gzip: bool
) -> tuple[tuple[bytes, ...], tuple[tuple[str, str], ...]]:
    """The body in pieces, and what it says of itself."""
    chunks = chunks_by_gzip(runtime, run) if by_gzip else run.chunks
    length = ("Content-Length", str(sum(map(len, chunks))))
    return chunks, (_TYPE, length, BY_GZIP) if by_gzip else (_TYPE, length)
