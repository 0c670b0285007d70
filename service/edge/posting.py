"""POSTs that make something at once: 201 with its address and tag, and under an idempotency key the same again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from flask import Response, current_app
from marshmallow import Schema

from service.edge.conditional import ETAG_DOC, entity_tag
from service.edge.idempotency import REPLAYED_DOC, answer_once, asked_once, first_response
from service.planning.idempotency import FirstAnswer, Made, Once

T = TypeVar("T", bound=Made)


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedNow(Generic[T]):
    """What is made in one transaction and answered for as it was made; `kept` is what of that may be stored."""

    making: Callable[[Once[T] | None], T]
    reading: Callable[[str], T]
    schema: Schema
    place: str
    identity: Callable[[T], tuple[str, ...]]
    kept: Callable[[T], T] | None = None

    @property
    def wait_s(self) -> float:
        """There is nothing to wait for."""
        return 0.0

    def make(self, once: Once[T] | None = None) -> T:
        """Make it."""
        return self.making(once)

    def settled(self, made: T) -> bool:  # noqa: ARG002 - the protocol has it
        """It is there once it is made."""
        return True

    def wait(self, made: T) -> tuple[T, Mapping[str, str]]:
        """As it is."""
        return made, {}

    def answer(self, made: T, waited: Mapping[str, str]) -> FirstAnswer:
        """The whole answer is kept, because what was made may be changed later."""
        headers = {"Location": f"{self.place}/{made.id}", "ETag": f'"{entity_tag(*self.identity(made))}"', **waited}
        told = self.body(made)
        if self.kept is None:
            return FirstAnswer(status=HTTPStatus.CREATED, headers=headers, body=told)
        return FirstAnswer(status=HTTPStatus.CREATED, headers=headers, body=self.body(self.kept(made)), told=told)

    def read(self, resource_id: str) -> T:
        """What an earlier request made, as it is now."""
        return self.reading(resource_id)

    def body(self, made: T) -> bytes:
        """As callers read it."""
        return current_app.json.dumps(self.schema.dump(made)).encode()


def created(posting: PostedNow[Any]) -> Response:
    """Make it, once where the request has a key, and answer 201."""
    if asked_once():
        return answer_once(posting)
    made = posting.make()
    answer = posting.answer(made, {})
    return first_response(posting, made, answer)


def created_doc(place: str) -> dict[str, Any]:
    """The headers of a 201 for the document."""
    location = {
        "description": "Its address.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference", "pattern": f"^{place}/"},
    }
    return {"Location": location} | ETAG_DOC | REPLAYED_DOC
