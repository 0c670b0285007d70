"""Accept-Encoding: whether an answer may be sent by gzip."""

import functools

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

GZIP = "gzip"
VARY = ("Vary", "Accept-Encoding")
BY_GZIP = ("Content-Encoding", GZIP)
_ANY = "*"
# Longer ones are not worth remembering, and nobody sends them.
_LONGEST = 200


def takes_gzip(accept_encoding: str) -> bool:
    """Whether somebody who sends this header is served well by gzip."""
    return len(accept_encoding) <= _LONGEST and _takes_gzip(accept_encoding)


# Clients send the same few words again and again.
@functools.lru_cache(256)
def _takes_gzip(accept_encoding: str) -> bool:
    accepted = parse_accept_header(accept_encoding.lower(), Accept)
    return bool(accepted.quality(GZIP if accepted.find(GZIP) >= 0 else _ANY))
