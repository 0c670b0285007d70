"""`Idempotency-Key`: a POST that creates, sent again under its key, gets its first answer and makes nothing new."""

import functools
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import structlog
from flask import Response, g, request

from service.edge.answers import MEDIA_TYPE
from service.edge.blueprint import Decorator, ResourceBlueprint, View
from service.edge.context import caller, runtime
from service.errors import MalformedKeyError, PlannerError, UnavailableError
from service.planning.idempotency import Earlier, FirstAnswer, Made, Once, earlier, record
from service.schemas.digest import canonical_json

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
REPLAYED_DOC = {
    REPLAYED: {
        "description": "`true` when this is the first answer again, to a request that was sent again under its key.",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
IDEMPOTENCY_KEY = {
    "in": "header",
    "name": HEADER,
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[!#-+.-~-]+$",
        "examples": ["6f1f5c1e-6f0a-4d5c-9f0e-3f0f2a1f7d11"],
    },
    "description": "A name of your choice for this request, such as a UUID; without quotes. Sent again under the same "
    "key, the same request makes nothing new and gets the first answer, byte for byte, with `Idempotency-Replayed: "
    "true`; key order, spacing and the header Prefer make no difference. Another body under the key is 422. "
    "While the first answer is still being waited for it is 409 with Retry-After. Refused requests use no key up. "
    "Keys belong to your tenant and are kept for 24 hours.",
}
# Visible ASCII. Quotes would make a structured string of it, and a comma is how several headers arrive: as one.
_KEY = re.compile(r"[!#-+.-~-]{1,255}", re.ASCII)
# Around the wait: the commit before it and the answer after it take time too.
_GRACE_S = 5.0

_log = structlog.get_logger(__name__)

T = TypeVar("T", bound=Made)


class Posting(Protocol[T]):
    """How a route makes something and answers for it. `wait_s` is how long its answer may wait for what was made."""

    @property
    def wait_s(self) -> float:
        """The longest wait [s]; 0 for none."""
        ...

    def make(self, once: Once[T]) -> T:
        """Make it, and claim the key in the same transaction."""
        ...

    def settled(self, made: T) -> bool:
        """Whether there is nothing to wait for."""
        ...

    def wait(self, made: T) -> tuple[T, Mapping[str, str]]:
        """What was made, after the wait, and the headers that say how long that may have been."""
        ...

    def answer(self, made: T, waited: Mapping[str, str]) -> FirstAnswer:
        """What is answered for it."""
        ...

    def read(self, resource_id: str) -> T:
        """What an earlier request made, as it is now."""
        ...

    def body(self, made: T) -> bytes:
        """The body of an answer that is kept without one."""
        ...


def idempotent(blueprint: ResourceBlueprint) -> Decorator:
    """Decorator of a POST that creates: reads the header before anything else, and documents 400 and 409.

    The parameter IDEMPOTENCY_KEY and the header REPLAYED_DOC go where the route describes its own.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def read_key_first(*args: Any, **kwargs: Any) -> Any:
            g.idempotency_key = _key(request.headers.getlist(HEADER))
            return view(*args, **kwargs)

        documented: View = blueprint.alt_response(400, response="BAD_REQUEST")(read_key_first)
        return blueprint.alt_response(409, response="CONFLICT")(documented)

    return decorate


def asked_once() -> bool:
    """Whether the request has an idempotency key."""
    return g.idempotency_key is not None


def answer_once(posting: Posting[T]) -> Response:
    """Make it unless the key has made it before; KeyReusedError, KeyInProgressError as the earlier request demands."""
    at_commit: list[FirstAnswer | None] = []

    def answer(made: T) -> FirstAnswer | None:
        # With nothing to wait for, the wait says only what was preferred.
        known = not posting.wait_s or posting.settled(made)
        at_commit.append(posting.answer(*posting.wait(made)) if known else None)
        return at_commit[-1]

    once = Once(key=g.idempotency_key, fingerprint=_fingerprint(), answer=answer, hold_s=posting.wait_s + _GRACE_S)
    try:
        made = posting.make(once)
    except UnavailableError:
        raise
    except PlannerError:
        # Either the key is taken, or this request is refused. What was accepted once stays accepted, even where the
        # catalog would refuse it today.
        before = earlier(runtime(), caller(), once)
        if before is None:
            raise
        return _replay(posting, once, before)
    first = at_commit[-1]
    if first is not None:
        return first_response(posting, made, first)
    made, waited = posting.wait(made)
    first = posting.answer(made, waited)
    standing = record(runtime(), caller(), once, resource_id=made.id, answer=first)
    if standing is not first:
        return _replay(posting, once, Earlier(resource_id=made.id, answer=standing))
    return first_response(posting, made, first)


def first_response(posting: Posting[T], made: T, answer: FirstAnswer) -> Response:
    """The answer to whoever asked first."""
    body = answer.told or answer.body
    return _response(answer, posting.body(made) if body is None else body)


def _replay(posting: Posting[T], once: Once[T], before: Earlier) -> Response:
    """The first answer; where whoever was to give it died, what it made, as it is now, becomes the first answer."""
    answer = before.answer
    if answer is None:
        found = posting.read(before.resource_id)
        answer = record(runtime(), caller(), once, resource_id=before.resource_id, answer=posting.answer(found, {}))
    body = posting.body(posting.read(before.resource_id)) if answer.body is None else answer.body
    _log.info("request_replayed", resource_id=before.resource_id)
    response = _response(answer, body)
    response.headers[REPLAYED] = "true"
    return response


def _response(answer: FirstAnswer, body: bytes) -> Response:
    return Response(body, answer.status, answer.headers, mimetype=MEDIA_TYPE)


def _fingerprint() -> str:
    """Identity of what is asked: key order, spacing and the spelling of numbers are nothing, nor is any header."""
    body = g.upload_identity if "upload_identity" in g else canonical_json(g.body) if "body" in g else b""
    return hashlib.sha256(b"\n".join((request.method.encode(), request.path.encode(), body))).hexdigest()


def _key(given: list[str]) -> str | None:
    """The key of the request, None without one; MalformedKeyError for what is none."""
    if not given:
        return None
    if len(given) > 1 or _KEY.fullmatch(given[0]) is None:
        raise MalformedKeyError(
            f"{HEADER} must be 1 to 255 visible ASCII characters without quotes and commas, given once; a UUID will do."
        )
    return given[0]
