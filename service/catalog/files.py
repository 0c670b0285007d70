"""YAML files of config/ as plain Python, and errors that name file, record and field."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError

from service.errors import FactsError, FieldError
from service.schemas.issue import field_errors

_Safe: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TEXT = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_BOOLEAN = "tag:yaml.org,2002:bool"
_TRUE_OR_FALSE = re.compile(r"true|false")


class _Loader(_Safe):  # type: ignore[misc]
    """Dates, `on` and `NO` stay text, and a key that stands twice in one mapping is an error."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Text is what two of three nodes are, and needs none of the steps that others take."""
        if node.tag == _TEXT and isinstance(node, yaml.ScalarNode):
            return node.value
        return super().construct_object(node, deep)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        """The mapping, unless a key repeats: YAML would silently keep the last."""
        names = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(names) != len(set(names)):
            twice = next(name for name in names if names.count(name) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"key '{twice}' stands twice", node.start_mark)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


_Loader.yaml_implicit_resolvers = {
    first: [(tag, _TRUE_OR_FALSE if tag == _BOOLEAN else pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
    for first, resolvers in _Safe.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds. Raises FactsError naming the file and the line."""
    try:
        with path.open("rb") as stream:
            parsed = yaml.load(stream, Loader=_Loader)  # noqa: S506 - a child of the safe loader
    except FileNotFoundError:
        raise FactsError(f"{short(path)} is missing") from None
    except (OSError, UnicodeDecodeError) as error:
        raise FactsError(f"{short(path)} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise FactsError(f"{short(path)} is no valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(parsed, Mapping):
        raise FactsError(f"{short(path)} must hold a mapping at its top")
    return dict(parsed)


def short(path: Path) -> str:
    """The file as people refer to it: config/hardware/gpus.yaml."""
    parts = path.parts
    if "config" in parts:
        start = len(parts) - 1 - parts[::-1].index("config")
        return "/".join(parts[start:])
    return "/".join(parts[-2:])


def wrong(path: Path, record: str, field: str, message: str) -> FactsError:
    """What to raise for one wrong field."""
    error = FieldError(field=field, message=message)
    return FactsError(f"{short(path)}: record {record}, field {field}: {message}", errors=(error,))


@contextmanager
def naming(path: Path, record: str) -> Iterator[None]:
    """Turns what a schema refuses into a FactsError that names file, record and every wrong field."""
    try:
        yield
    except ValidationError as refused:
        errors = field_errors(refused.messages)
        parts = [
            f"field {error.field or 'record'}: {error.message}" + (f" (it is {error.value})" if error.value else "")
            for error in errors
        ]
        raise FactsError(f"{short(path)}: record {record}, {'; '.join(parts)}", errors=errors) from refused
