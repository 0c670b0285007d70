"""Short constructors for the fields of answers: what the service itself wrote needs a type and a word, no bounds."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load

from service.schemas.strict import whole
from service.schemas.words import WordedSchema


class Figure(fields.Float):
    """A number of an answer; whole ones are written without a decimal point."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else whole(float(value))


def figure(what: str, **kwargs: Any) -> Figure:
    """A number."""
    return Figure(required=True, metadata={"description": what}, **kwargs)


def count(what: str, **kwargs: Any) -> fields.Integer:
    """A whole number."""
    return fields.Integer(required=True, metadata={"description": what}, **kwargs)


def text(what: str, **kwargs: Any) -> fields.String:
    """A string."""
    return fields.String(required=True, metadata={"description": what}, **kwargs)


def flag(what: str, **kwargs: Any) -> fields.Boolean:
    """True or false."""
    return fields.Boolean(required=True, metadata={"description": what}, **kwargs)


def texts(what: str, **kwargs: Any) -> "Tuple":
    """Strings in an order that means something."""
    return Tuple(fields.String(), required=True, metadata={"description": what}, **kwargs)


def many(schema: type[Schema], what: str) -> "Tuple":
    """Objects in an order that means something."""
    return Tuple(fields.Nested(schema), required=True, metadata={"description": what})


def one(schema: type[Schema], what: str, **kwargs: Any) -> fields.Nested:
    """One object."""
    return fields.Nested(schema, required=True, metadata={"description": what}, **kwargs)


class Tuple(fields.List[Any]):
    """A list on the wire that is a tuple in a frozen dataclass."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return tuple(super()._deserialize(value, attr, data, **kwargs))


class ByName(fields.Dict):
    """Records of an answer as an object, keyed by the member that names them."""

    def __init__(self, what: str, schema: type[Schema], record: type, *, key: str) -> None:
        values = fields.Nested(schema)
        super().__init__(keys=fields.String(), values=values, required=True, metadata={"description": what})
        self.record, self.key, self.schema = record, key, schema()

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else {getattr(record, self.key): self.schema.dump(record) for record in value}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError("Must be an object.")
        return tuple(self.record(**{self.key: name, **self.schema.load(rest)}) for name, rest in value.items())


class Figures(fields.Dict):
    """Named numbers of an answer as one flat object: name -> value."""

    def __init__(self, what: str, record: type, *, key: str, value: str) -> None:
        values = fields.Float(allow_none=True)
        super().__init__(keys=fields.String(), values=values, required=True, metadata={"description": what})
        self.record, self.key, self.value = record, key, value

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is None:
            return None
        pairs = ((getattr(item, self.key), getattr(item, self.value)) for item in value)
        return {name: None if number is None else whole(float(number)) for name, number in pairs}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        numbers = super()._deserialize(value, attr, data, **kwargs)  # type: ignore[no-untyped-call]
        return tuple(self.record(**{self.key: name, self.value: number}) for name, number in numbers.items())


class AnswerSchema(WordedSchema):
    """A part of an answer: written from a dataclass, and read back into one."""

    record: type

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        return self.record(**data)


class DecimalText(fields.String):
    """A decimal number written as a string, so that no reader turns money into a float."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else format(value, "f")

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return Decimal(super()._deserialize(value, attr, data, **kwargs))


def decimal(what: str, **kwargs: Any) -> DecimalText:
    """A decimal string."""
    return DecimalText(required=True, metadata={"description": what, "pattern": r"^-?\d+(\.\d+)?$"}, **kwargs)
