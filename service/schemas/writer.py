"""A schema looked through once: a function that writes an answer as `dump` would, in canonical members.

A schema asks each of its fields anew what it is and where its value is found, for every part of every answer. That
took more of the time of a worker than to size did.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import Any

from marshmallow import Schema, fields

from service.schemas.digest import canonical, canonical_number
from service.schemas.plain import ByName, Figure, Figures, Tuple

Write = Callable[[Any], Any]


def writer(schema: Schema) -> Write:
    """What writes `canonical(schema.dump(it))`, where every member is there. TypeError where something is hooked in."""
    if any(hooks for kind, hooks in schema._hooks.items() if kind.endswith("dump")):  # noqa: SLF001
        raise TypeError(f"{type(schema).__name__} does more than write its fields")
    parts = [
        (field.data_key or name, _found_by(schema, field.attribute or name), _write(field))
        for name, field in schema.dump_fields.items()
    ]

    def write(whole: Any) -> dict[str, Any]:
        return {name: None if (value := find(whole)) is None else write_one(value) for name, find, write_one in parts}

    return write


def _found_by(schema: Schema, attribute: str) -> Callable[[Any], Any]:
    if type(schema).get_attribute is Schema.get_attribute:
        return attrgetter(attribute)
    return lambda whole: schema.get_attribute(whole, attribute, None)


def _write(field: fields.Field[Any]) -> Write:
    """What writes a value of the field that is not None."""
    make = _OF_KIND.get(type(field))
    # Any other kind is asked each time.
    return (lambda value: canonical(field._serialize(value, None, None))) if make is None else make(field)  # noqa: SLF001


def _figure(value: Any) -> int | float:
    return canonical_number(float(value))


def _count(value: Any) -> int | float:
    return canonical_number(int(value))


def _items(field: Tuple) -> Write:
    write = _write(field.inner)
    return lambda values: [None if value is None else write(value) for value in values]


def _by_name(field: ByName) -> Write:
    name, write = attrgetter(field.key), writer(field.schema)
    return lambda records: {str(name(record)): write(record) for record in records}


def _figures(field: Figures) -> Write:
    pair = attrgetter(field.key, field.value)

    def write(records: Any) -> dict[str, Any]:
        pairs = map(pair, records)
        return {str(name): None if value is None else _figure(value) for name, value in pairs}

    return write


_OF_KIND: dict[type[fields.Field[Any]], Callable[[Any], Write]] = {
    fields.String: lambda _: str,
    Figure: lambda _: _figure,
    fields.Integer: lambda _: _count,
    fields.Raw: lambda _: canonical,
    fields.Nested: lambda field: writer(field.schema),
    Tuple: _items,
    ByName: _by_name,
    Figures: _figures,
}
