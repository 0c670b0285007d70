"""The tenancy sweep: generated from the OpenAPI document, it asks in every way for what is another tenant's."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

METHODS = ("get", "post", "put", "patch", "delete")
PARAMETER = re.compile(r"\{([a-z_]+)\}")
_REQUEST_ID = re.compile(rb'"request_id": ?"[^"]*"')
# Path parameters that name no tenant's resource: facts, places in a list, pages.
OPEN_PARAMETERS = frozenset({"record_id", "slug", "asset"})
PLACES = {"rank": "1", "number": "1"}


class Heard(Protocol):
    """An answer."""

    @property
    def status(self) -> int | None:
        """Its status."""
        ...

    @property
    def body(self) -> bytes:
        """Its bytes."""
        ...


class Send(Protocol):
    """Somebody calls."""

    def __call__(self, method: str, path: str, body: Any, headers: Mapping[str, str]) -> Heard:
        """One request with what it holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """A method of a path that names resources of tenants, with a body that the document shows."""

    method: str
    path: str
    body: Any
    media_type: str | None
    is_documented: bool

    @property
    def names(self) -> tuple[str, ...]:
        """The parameters of its path."""
        return tuple(PARAMETER.findall(self.path))

    def at(self, ids: Mapping[str, str]) -> str:
        """Its path with these ids."""
        return PARAMETER.sub(lambda found: ids[found[1]], self.path)


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Every method, documented or not, of every path that names a resource of a tenant."""
    for path, described in document["paths"].items():
        names = set(PARAMETER.findall(path)) - set(PLACES)
        if not names or names <= OPEN_PARAMETERS:
            continue
        for method in METHODS:
            known = described.get(method)
            media_type, body = shown_body(document, known or {})
            yield Operation(
                method=method.upper(), path=path, body=body, media_type=media_type, is_documented=known is not None
            )


def parameters(document: Mapping[str, Any]) -> set[str]:
    """Every path parameter that names a resource of a tenant."""
    return {name for operation in operations(document) for name in operation.names} - set(PLACES)


def shown_body(document: Mapping[str, Any], described: Mapping[str, Any]) -> tuple[str | None, Any]:
    """The first body that the document shows for an operation, with its media type."""
    for media_type, content in described.get("requestBody", {}).get("content", {}).items():
        for example in content.get("examples", {}).values():
            shown = document["components"]["examples"][example["$ref"].rpartition("/")[2]]
            return media_type, shown["value"]
    return None, None


def unlike(send: Send, document: Mapping[str, Any], *, foreign: Mapping[str, str], own: Mapping[str, str]) -> list[str]:
    """Where another tenant's id is answered otherwise than one that is nobody's. `foreign` and `own` are by parameter.

    Where a path names two resources each is tried beside one of the caller's own.
    """
    found, turned = [], list[str]()
    for operation in operations(document):
        for ids, others in _namings(operation, foreign, own):
            headers = {"If-Match": "*"}
            if operation.media_type is not None:
                headers["Content-Type"] = operation.media_type
            path, other_path = operation.at(ids), operation.at(others)
            # Now one first, now the other: neither is answered from what the other has warmed.
            turns = (path, other_path) if len(turned) % 2 else (other_path, path)
            turned.append(path)
            answers = {each: send(operation.method, each, operation.body, headers) for each in turns}
            theirs, nobodys = answers[path], answers[other_path]
            if plain(theirs, ids.values()) != plain(nobodys, others.values()):
                found.append(
                    f"{operation.method} {operation.path}: {theirs.status} and not {nobodys.status} as nobody's"
                )
            if theirs.status is None or theirs.status < 400:
                found.append(f"{operation.method} {operation.path} of another tenant was answered {theirs.status}")
    return found


def _namings(
    operation: Operation, foreign: Mapping[str, str], own: Mapping[str, str]
) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    names = [name for name in operation.names if name not in PLACES]
    for chosen in itertools.product((True, False), repeat=len(names)):
        if not any(chosen):
            continue
        theirs = {
            name: foreign[name] if is_foreign else own[name] for name, is_foreign in zip(names, chosen, strict=True)
        }
        nobodys = {name: nobody(value) if value == foreign[name] else value for name, value in theirs.items()}
        yield PLACES | theirs, PLACES | nobodys


def nobody(known_id: str) -> str:
    """An id of the same form that nobody has."""
    prefix, _, rest = known_id.rpartition("_")
    return f"{prefix}_{'f' * len(rest)}"


def plain(heard: Heard, ids: Sequence[str] | Any) -> tuple[int | None, bytes]:
    """Status and body, but for the ids that the caller has named and the id of the request."""
    body = _REQUEST_ID.sub(b"", heard.body)
    for known in ids:
        if "_" in known:
            body = body.replace(known.encode(), b"ID")
    return heard.status, body
