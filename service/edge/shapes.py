"""Fields in the OpenAPI document: unions become components of their own, so that a discriminator can name them."""

from typing import Any

from marshmallow import Schema
from marshmallow.fields import Field

from service.schemas.union import Discriminated


def of_more_than_one_shape(self: Any, field: Field[Any], *, ret: dict[str, Any], **_: Any) -> dict[str, Any]:
    """JSON Schema of the fields that take more than one shape: each tells its shapes itself."""
    shapes = getattr(field, "shapes", None)
    if shapes is None:
        return {}
    ret.pop("type", None)

    def resolve(part: type[Schema] | Schema | Discriminated) -> dict[str, Any]:
        if isinstance(part, Discriminated):
            return _component(self, part.shapes(resolve))
        reference: dict[str, Any] = self.resolve_nested_schema(part)
        return reference

    described: dict[str, Any] = resolve(field) if isinstance(field, Discriminated) else shapes(resolve)
    if field.allow_none:
        return {"anyOf": [described, {"type": "null"}]}
    return described


def without_null_default(_: Any, field: Field[Any], *, ret: dict[str, Any], **__: Any) -> dict[str, Any]:
    """A field that may be left out and may not be null has no default in the document."""
    if not field.allow_none and ret.get("default", ...) is None:
        ret.pop("default")
    return {}


def add_conditions(document: dict[str, Any], converter: Any) -> None:
    """What a body must meet as a whole, which no field of it can say."""
    for (schema, *_), name in converter.refs.items():
        document["components"]["schemas"][name].update(getattr(schema, "conditions", {}))


def _component(converter: Any, described: dict[str, Any]) -> dict[str, Any]:
    components, name = converter.spec.components, described["title"]
    if name not in components.schemas:
        components.schema(name, described)
    return {"$ref": f"#/components/schemas/{name}"}
