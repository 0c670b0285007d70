"""A checker for the part of JSON Schema that the OpenAPI document uses: what an answer does wrong, with its place."""

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def faults(value: Any, schema: dict[str, Any], document: dict[str, Any], place: str = "$") -> Iterator[str]:
    """Every way in which the value does not match the schema."""
    if "$ref" in schema:
        yield from faults(value, resolve(schema["$ref"], document), document, place)
    yield from _alternatives(value, schema, document, place)
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        yield f"{place}: {value!r} is no {kinds}"
    elif isinstance(value, dict):
        yield from _object(value, schema, document, place)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), document, f"{place}[{index}]")
    else:
        yield from _scalar(value, schema, place)


def _alternatives(value: Any, schema: dict[str, Any], document: dict[str, Any], place: str) -> Iterator[str]:
    for key, right in (("oneOf", {1}), ("anyOf", {1, 2, 3, 4, 5})):
        if key in schema:
            wrong = [list(faults(value, shape, document, place)) for shape in schema[key]]
            if (matching := wrong.count([])) not in right:
                yield f"{place}: matches {matching} of {key}: {min(wrong, key=len)}"


def _scalar(value: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{place}: {value!r} does not match {schema['pattern']}"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield f"{place}: {value!r} is out of bounds"


def resolve(reference: str, document: dict[str, Any]) -> dict[str, Any]:
    """What a reference inside the document points to."""
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _object(value: dict[str, Any], schema: dict[str, Any], document: dict[str, Any], place: str) -> Iterator[str]:
    known = schema.get("properties", {})
    for name in schema.get("required", []):
        if name not in value:
            yield f"{place}: {name} is missing"
    for name, inner in value.items():
        extra = schema.get("additionalProperties", True)
        if name in known:
            yield from faults(inner, known[name], document, f"{place}.{name}")
        elif isinstance(extra, dict):
            yield from faults(inner, extra, document, f"{place}.{name}")
        elif not extra:
            yield f"{place}: {name} is not described"
