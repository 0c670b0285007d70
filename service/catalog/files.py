"""YAML files of config/ as plain Python, and errors that name file, record and field."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError

from service.catalog.parsed import parse
from service.errors import FactsError, FieldError
from service.schemas.issue import field_errors


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping that a YAML file holds. Raises FactsError naming the file and the line."""
    try:
        parsed = parse(path)
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
