"""What every answer must hold: no word of another tenant (I3); errors that are clear and tell nothing inside (I4)."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import unquote

from scripts.faulting.answer import Answer, Violation
from scripts.faulting.told import UnreadableError, told

PROBLEM = "application/problem+json"
_MEMBERS = ("type", "title", "detail", "instance", "request_id")
# What no answer may tell: traces, statements, and where the parts are.
_INSIDE = re.compile(
    rb"Traceback \(most recent|sqlalchemy|psycopg|\bSELECT .{1,80}\bFROM\b|\bINSERT INTO\b|redis://|postgresql(\+psycopg)?://"
)
_SHORTEST_HOST = 6


class Call(NamedTuple):
    """A call that was answered."""

    tenant: str
    method: str
    path: str
    status: int

    def __str__(self) -> str:
        """As a violation tells of it."""
        return f"{self.method} {self.path[:200]} of {self.tenant} was answered {self.status}"


def foreign_words(call: Call, answer: Answer, canaries: Mapping[str, bytes]) -> Iterator[Violation]:
    """The canaries of others in headers, body or the document that it is."""
    try:
        heard = told(answer)
    except UnreadableError as error:
        yield Violation("I6", f"{call} with a document that cannot be opened: {error}")
        return
    for other, canary in canaries.items():
        if other != call.tenant and canary in heard:
            yield Violation("I3", f"{call} with the canary of {other}")


def wrong_problem(call: Call, answer: Answer, *, host: bytes) -> Iterator[Violation]:
    """What is wrong with an error: it is a problem document about this call, and tells nothing of the inside."""
    if not answer.headers.get("content-type", "").startswith(PROBLEM):
        yield Violation("I4", f"{call} as {answer.headers.get('content-type')}, not as a problem document")
    elif call.method != "HEAD":
        document = answer.json()
        given = document if isinstance(document, dict) else {}
        missing = [name for name in _MEMBERS if not given.get(name)]
        if missing or given.get("status") != call.status:
            yield Violation("I4", f"{call} with a problem of status {given.get('status')} without {missing}")
        else:
            yield from _about_another(call, answer, given)
    if _INSIDE.search(answer.body) or (len(host) >= _SHORTEST_HOST and host in answer.body):
        yield Violation("I4", f"{call} and tells of the inside: {answer.body[:200]!r}")


def _about_another(call: Call, answer: Answer, given: Mapping[str, object]) -> Iterator[Violation]:
    instance, path = unquote(str(given["instance"])), unquote(call.path.partition("?")[0])
    # A long path is cut.
    if not path.startswith(instance):
        yield Violation("I4", f"{call} with a problem about {instance[:200]}")
    if given["request_id"] != answer.headers.get("x-request-id"):
        heard = answer.headers.get("x-request-id")
        yield Violation("I4", f"{call} with a problem of request {given['request_id']} in the answer to {heard}")
