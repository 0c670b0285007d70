"""A schema looked through once writes what its `dump` writes, each number in its one form."""

import math
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from marshmallow import fields, post_dump

from service.schemas.digest import canonical
from service.schemas.plain import ByName, Figures, Tuple, count, decimal, figure, flag, many, one, text, texts
from service.schemas.words import WordedSchema
from service.schemas.writer import writer
from service.sizing.result import Quantity


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Inner:
    name: Any = "a"
    size: Any = 1.0


@dataclass(frozen=True)
class Outer:
    title: Any = "title"
    share: Any = 0.25
    number: Any = 3
    sure: Any = True
    price: Any = Decimal("1E+3")
    colour: Any = Colour.RED
    said: Any = Colour.RED
    anything: Any = 2.0
    inner: Any = Inner()
    inners: Any = (Inner(), Inner(name="b", size=None))
    words: Any = ("x", "y")
    numbers: Any = (1, None, 2)
    named: Any = (Inner(name="c"), Inner(name=Colour.RED))
    figures: Any = (Quantity(name="q", value=1.0), Quantity(name="none", value=None))


class InnerSchema(WordedSchema):
    name = text("A name.")
    size = figure("A size.")


class MemberSchema(WordedSchema):
    size = figure("A size.")


class OuterSchema(WordedSchema):
    title = text("A text.")
    share = figure("A number.")
    number = count("A whole number.")
    sure = flag("Yes or no.")
    price = decimal("Money.")
    colour = fields.Enum(Colour, by_value=True)
    said = text("A word of an enumeration.")
    anything = fields.Raw()
    inner = one(InnerSchema, "A part.")
    deep = figure("A number of the part.", attribute="inner.size")
    inners = many(InnerSchema, "Parts.")
    words = texts("Words.")
    numbers = Tuple(fields.Integer(allow_none=True))
    named = ByName("Parts by name.", MemberSchema, Inner, key="name")
    figures = Figures("Numbers by name.", Quantity, key="name", value="value")


class ChoosingSchema(WordedSchema):
    title = text("A text.")
    elsewhere = text("Found by the schema.")

    def get_attribute(self, obj, attr, default):
        return "found" if attr == "elsewhere" else super().get_attribute(obj, attr, default)


MEMBERS = [name for name in OuterSchema().fields if name not in {"deep", "inner"}]


def same(schema, value) -> dict[str, Any]:
    written = writer(schema)(value)
    assert repr(written) == repr(canonical(schema.dump(value)))
    return written


def test_every_kind_of_field_is_written_as_dump_writes_it():
    written = same(OuterSchema(), Outer())
    assert written["price"] == "1000"
    assert repr(written["anything"]) == "2"


@pytest.mark.parametrize("name", MEMBERS)
def test_nothing_is_written_as_null(name):
    assert same(OuterSchema(), Outer(**{name: None}))[name] is None


@pytest.mark.parametrize("value", [0.0, -0.0, 1e3, 0.1, 2.0**62, 2.0**64, 1e300, -7.5])
def test_a_number_has_one_form(value):
    same(OuterSchema(), Outer(share=value, anything=value, figures=(Quantity(name="q", value=value),)))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["share", "anything"])
def test_what_is_no_number_is_not_written(name, value):
    with pytest.raises(ValueError, match="no canonical JSON"):
        writer(OuterSchema())(Outer(**{name: value}))


def test_a_schema_may_find_its_values_itself_and_leave_fields_out():
    assert same(ChoosingSchema(), Outer()) == {"title": "title", "elsewhere": "found"}
    assert same(ChoosingSchema(exclude=["elsewhere"]), Outer()) == {"title": "title"}


def test_what_does_more_than_write_its_fields_is_refused():
    class Hooked(WordedSchema):
        name = text("A name.")

        @post_dump
        def louder(self, written: dict[str, Any], **_: Any) -> dict[str, Any]:
            return {name: value.upper() for name, value in written.items()}

    class Around(WordedSchema):
        inner = one(Hooked, "What is hooked.")

    for schema in (Hooked(), Around()):
        with pytest.raises(TypeError, match="Hooked does more"):
            writer(schema)
