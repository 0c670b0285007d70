"""A field whose shape is decided by one of its own members, as `kind` decides a workload."""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields

from service.schemas.issue import Issue, nearest


class Discriminated(fields.Field[Any]):
    """An object loaded by the variant that its `key` names; the OpenAPI document shows a discriminated oneOf.

    A variant is a schema, or again a Discriminated field that looks at another member of the same object.
    """

    def __init__(
        self, what: str, *, key: str, title: str, variants: "Mapping[str, type[Schema] | Discriminated]", **kwargs: Any
    ) -> None:
        super().__init__(metadata={"description": what}, **kwargs)
        self.key, self.title = key, title
        self.variants = {
            name: variant if isinstance(variant, Discriminated) else variant() for name, variant in variants.items()
        }

    def variant_name(self, name: str) -> str:
        """The name of the variant that a value of the key stands for; KeyError when it stands for none."""
        if name not in self.variants:
            raise KeyError(name)
        return name

    def known(self) -> tuple[str, ...]:
        """Every value that the key may have."""
        return tuple(self.variants)

    def load(self, value: Any) -> Any:
        """The object that the value describes."""
        if not isinstance(value, Mapping):
            raise ValidationError(Issue("Must be an object.", value=value))
        return self.variants[self._chosen(value.get(self.key))].load(value)

    def dump(self, value: Any) -> Any:
        """The value of the wire for an object of one of the variants."""
        return self.variants[self.variant_name(str(getattr(value, self.key)))].dump(value)

    def shapes(self, resolve: Callable[["Schema | Discriminated"], dict[str, Any]]) -> dict[str, Any]:
        """JSON Schema of the union; `resolve` gives the reference to a schema or to a union inside."""
        references = {name: resolve(variant) for name, variant in self.variants.items()}
        mapping = {name: reference["$ref"] for name, reference in references.items()}
        discriminator = {"propertyName": self.key, "mapping": mapping}
        return {"title": self.title, "oneOf": list(references.values()), "discriminator": discriminator}

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        return self.load(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.dump(value)

    def _chosen(self, name: Any) -> str:
        limit = ", ".join(self.known())
        if name is None:
            raise ValidationError({self.key: [Issue(f"This field is required: one of {limit}.", limit=limit)]})
        if isinstance(name, str):
            try:
                return self.variant_name(name)
            except KeyError:
                pass
        near = nearest(name, self.known()) if isinstance(name, str) else ()
        message = f"Must be one of {limit}."
        raise ValidationError({self.key: [Issue(message, value=name, limit=limit, did_you_mean=near)]})
