"""A field whose shape is decided by one of its own members, as `kind` decides a workload."""

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields

from service.schemas.issue import Issue, nearest


class Discriminated(fields.Field):
    """An object loaded by the schema that its `key` names; the OpenAPI document shows a discriminated oneOf."""

    def __init__(self, what: str, *, key: str, schemas: Mapping[str, type[Schema]], title: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": what}, **kwargs)
        self.key, self.title = key, title
        self.schemas = schemas
        self._instances: dict[str, Schema] = {}

    def choose(self, name: str) -> Schema:
        """The one instance of the schema that the name stands for."""
        if name not in self._instances:
            self._instances[name] = self.schemas[name]()
        return self._instances[name]

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValidationError(Issue("Must be an object.", value=value))
        return self.choose(discriminator(value, self.key, tuple(self.schemas))).load(value)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return None if value is None else self.choose(str(getattr(value, self.key))).dump(value)


def discriminator(value: Mapping[str, Any], key: str, known: tuple[str, ...]) -> str:
    """The value of the deciding member, or a ValidationError at that member."""
    limit = ", ".join(known)
    name = value.get(key)
    if name is None:
        raise ValidationError({key: [Issue(f"This field is required: one of {limit}.", limit=limit)]})
    if not isinstance(name, str) or name not in known:
        near = nearest(name, known) if isinstance(name, str) else ()
        raise ValidationError({key: [Issue(f"Must be one of {limit}.", value=name, limit=limit, did_you_mean=near)]})
    return name
