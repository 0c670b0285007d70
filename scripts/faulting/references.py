"""Where a call may name another tenant's things outside its path: filters, members of bodies, tags, cursors, keys."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from scripts.faulting.sweep import METHODS, PARAMETER, PLACES, nobody

_JSON = "application/json"
_LABEL = "label"
# Facts and measurements belong to nobody.
_EVERYBODYS = ("/v1/catalog/", "/v1/accuracy", "/docs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An operation of the document, with its path filled in."""

    method: str
    template: str
    path: str
    known: Mapping[str, Any]

    def takes(self, place: str, name: str) -> bool:
        """Whether it has such a parameter."""
        return any(each["in"] == place and each["name"] == name for each in self.known.get("parameters", ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """The same call twice: it names what is another tenant's, and what is nobody's."""

    words: str
    method: str
    theirs: str
    nobodys: str
    # What the two calls differ in.
    named: tuple[str, str]
    body: Any = None
    other_body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    # A member that is an id: it must be refused, and not merely be answered alike.
    names_one: bool = False


def described(document: Mapping[str, Any], ids: Mapping[str, str]) -> Iterator[Described]:
    """Every documented operation whose path can be filled in with these ids."""
    known_ids = {**PLACES, **ids}
    for template, methods in document["paths"].items():
        if not set(PARAMETER.findall(template)) <= set(known_ids):
            continue
        path = PARAMETER.sub(lambda found: known_ids[found[1]], template)
        for method in METHODS:
            if method in methods:
                yield Described(method=method.upper(), template=template, path=path, known=methods[method])


def filters(
    document: Mapping[str, Any], *, own: Mapping[str, str], foreign: Mapping[str, str], written: Sequence[str]
) -> Iterator[Pair]:
    """Each filter of each list that takes words, with another tenant's ids and with what that tenant has written."""
    for operation in described(document, own):
        if operation.template.startswith(_EVERYBODYS):
            continue
        for parameter in operation.known.get("parameters", ()):
            name = parameter["name"]
            if operation.method != "GET" or parameter["in"] != "query" or not _takes_words(parameter["schema"]):
                continue
            for theirs, nobodys in _filtered_by(name, foreign, written):
                yield Pair(
                    words=f"{name} of GET {operation.template}",
                    method="GET",
                    theirs=f"{operation.path}?{name}={quote(theirs)}",
                    nobodys=f"{operation.path}?{name}={quote(nobodys)}",
                    named=(theirs, nobodys),
                )


def _takes_words(schema: Mapping[str, Any]) -> bool:
    items = schema.get("items", schema)
    return items.get("type") == "string" and not {"enum", "format"} & set(items) and schema.get("maxLength", 64) > 3


def _filtered_by(name: str, foreign: Mapping[str, str], written: Sequence[str]) -> Iterator[tuple[str, str]]:
    if name == _LABEL:
        yield from ((f"of:{word}", f"of:{_unwritten(word)}") for word in written)
    elif name == "cursor":
        # Another tenant's are tried for what they are: an id is none.
        return
    elif name in foreign:
        yield foreign[name], nobody(foreign[name])
    else:
        yield from ((known, nobody(known)) for known in foreign.values())
        yield from ((word, _unwritten(word)) for word in written)


def _unwritten(word: str) -> str:
    """Nothing is called so, and it is as long."""
    return "z" * len(word)


def members(
    document: Mapping[str, Any], *, own: Mapping[str, str], foreign: Mapping[str, str], texts: bool
) -> Iterator[Pair]:
    """Each member of each body that is an id, and on demand each text of it at any depth, with another tenant's ids."""
    for operation in described(document, own):
        content = operation.known.get("requestBody", {}).get("content", {}).get(_JSON)
        if content is None:
            continue
        names = sorted(set(_property_names(document, content["schema"])) & set(foreign))
        for place, shown in enumerate(_shown(document, content)):
            if not isinstance(shown, dict):
                continue
            body = with_ids(shown, own)
            for name in names:
                yield _pair(operation, (name,), body, foreign[name], names_one=True)
            for where in _texts(body) if texts and place == 0 else ():
                if where[-1] not in names:
                    yield _pair(operation, where, body, foreign["run_id"], names_one=False)


def _pair(operation: Described, where: Sequence[Any], body: Any, theirs: str, *, names_one: bool) -> Pair:
    return Pair(
        words=f"{'.'.join(map(str, where))} of {operation.method} {operation.template}",
        method=operation.method,
        theirs=operation.path,
        nobodys=operation.path,
        named=(theirs, nobody(theirs)),
        body=with_member(body, where, theirs),
        other_body=with_member(body, where, nobody(theirs)),
        headers={"If-Match": "*"},
        names_one=names_one,
    )


def _shown(document: Mapping[str, Any], content: Mapping[str, Any]) -> Iterator[Any]:
    for example in content.get("examples", {}).values():
        yield document["components"]["examples"][example["$ref"].rpartition("/")[2]]["value"]


def _property_names(document: Mapping[str, Any], schema: Any, seen: tuple[str, ...] = ()) -> Iterator[str]:
    """Names of members at any depth."""
    if isinstance(schema, list):
        for each in schema:
            yield from _property_names(document, each, seen)
    if not isinstance(schema, dict):
        return
    if (reference := schema.get("$ref")) is not None:
        name = reference.rpartition("/")[2]
        if name not in seen:
            yield from _property_names(document, document["components"]["schemas"][name], (*seen, name))
        return
    yield from schema.get("properties", ())
    for each in (*schema.get("properties", {}).values(), *(schema.get(key) for key in _HOLDING)):
        yield from _property_names(document, each, seen)


_HOLDING = ("allOf", "anyOf", "oneOf", "items", "additionalProperties")


def _texts(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where texts stand in a body; of a list its first item is enough."""
    if isinstance(value, str):
        yield where
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(each, (*where, name))
    elif isinstance(value, list) and value:
        yield from _texts(value[0], (*where, 0))


def objects(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where objects stand in a body, itself first; of a list its first item is enough."""
    if isinstance(value, dict):
        yield where
        for name, each in value.items():
            yield from objects(each, (*where, name))
    elif isinstance(value, list) and value:
        yield from objects(value[0], (*where, 0))


def at(value: Any, where: Sequence[Any]) -> Any:
    """What stands there."""
    for step in where:
        value = value[step]
    return value


def with_ids(body: Any, ids: Mapping[str, str]) -> Any:
    """A copy of the body in which each member that names a thing names one of these."""
    return {name: ids.get(name, value) for name, value in body.items()} if isinstance(body, dict) else body


def with_member(body: Any, where: Sequence[Any], value: Any) -> Any:
    """A copy of the body with this standing there."""
    copy = json.loads(json.dumps(body))
    at(copy, where[:-1])[where[-1]] = value
    return copy
