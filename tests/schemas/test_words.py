"""Whatever is wrong is said in the product's own words, never in those of the library that finds it."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from typing import Any

import marshmallow
import pytest
from marshmallow import fields, validate

import service.api
import service.edge
import service.schemas
from service.schemas.plain import text
from service.schemas.strict import Count, StrictSchema
from service.schemas.words import WordedSchema

for package in (service.schemas, service.edge, service.api):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

LIBRARY = {
    message
    for kind in vars(fields).values()
    if isinstance(kind, type) and issubclass(kind, fields.Field)
    for message in vars(kind).get("default_error_messages", {}).values()
} | set(marshmallow.Schema._default_error_messages.values())


def below(kind: type[marshmallow.Schema]) -> Iterator[type[marshmallow.Schema]]:
    for child in kind.__subclasses__():
        yield child
        yield from below(child)


OURS = sorted(
    {kind for kind in below(marshmallow.Schema) if kind.__module__.startswith("service.")},
    key=lambda kind: (kind.__module__, kind.__qualname__),
)


def held(owner: Any) -> Iterator[tuple[str, fields.Field[Any]]]:
    """The fields of a schema, and those that a field holds for its members."""
    for name, value in vars(owner).items():
        if name in {"parent", "root"}:
            continue
        for place, part in value.items() if isinstance(value, Mapping) else ((name, value),):
            if isinstance(part, fields.Field):
                yield str(place), part
                yield from ((f"{place}.{inner}", field) for inner, field in held(part))


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_no_field_speaks_like_the_library(kind):
    schema = kind()
    assert set(schema.error_messages.values()).isdisjoint(LIBRARY)
    theirs = {
        (name, key): message
        for name, field in held(schema)
        for key, message in field.error_messages.items()
        if message in LIBRARY
    }
    assert theirs == {}


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: f"{kind.__module__}.{kind.__qualname__}")
def test_no_validator_speaks_like_the_library(kind):
    validators = [(name, validator) for name, field in held(kind()) for validator in field.validators]
    theirs = [
        name
        for name, one in validators
        if type(one).__module__ == validate.__name__
        and one.error in (getattr(type(one), "default_message", None), None)
    ]
    assert theirs == []


class Part(WordedSchema):
    name = text("A name.")


class Whole(StrictSchema):
    size = Count("A size.", low=1, high=9, required=True)
    part = fields.Nested(Part, required=True)
    names = fields.List(fields.String())
    sizes = fields.Dict(keys=fields.String(), values=fields.Integer())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"part": {}}, {"size": ["This field is required."], "part": {"name": ["This field is required."]}}),
        (
            {"size": None, "part": 7},
            {"size": ["null is not a value here."], "part": {"_schema": ["Must be an object."]}},
        ),
        (
            {"size": 1, "part": {"name": "a", "nom": "b"}, "names": 3},
            {"part": {"nom": ["There is no such field."]}, "names": ["Must be a list."]},
        ),
        (
            {"size": 1, "part": {"name": "a"}, "names": [1], "sizes": {"a": "x"}},
            {"names": {0: ["Must be a string."]}, "sizes": {"a": {"value": ["Must be a whole number."]}}},
        ),
    ],
)
def test_what_is_wrong_is_said_plainly(body, said):
    assert Whole().validate(body) == said
