"""How a delivery is signed, so that its receiver knows who sent it, and when."""

import hashlib
import hmac
import secrets
from collections.abc import Iterable

SIGNATURE = "Headroom-Signature"
_PREFIX = "whsec_"
_SECRET_BYTES = 32


def new_secret() -> str:
    """A secret that nobody has seen yet."""
    return _PREFIX + secrets.token_urlsafe(_SECRET_BYTES)


def signature(body: bytes, keys: Iterable[str], *, at_s: int) -> str:
    """`t=<seconds since 1970>,v1=<HMAC-SHA256 in hexadecimal>`, a v1 for each secret that is valid.

    What is signed is the time as it stands there, a full stop and the raw body; the key is the whole secret.
    """
    signed = f"{at_s}.".encode() + body
    made = [hmac.new(key.encode(), signed, hashlib.sha256).hexdigest() for key in keys]
    return ",".join([f"t={at_s}", *(f"v1={each}" for each in made)])
