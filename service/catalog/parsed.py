"""What YAML files hold, kept as Python keeps its own modules: in `__pycache__` beside them, where one may write there.

To parse them is two thirds of reading the catalog, and every process reads it when it starts.
"""

import hashlib
import io
import marshal
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

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


class _Named(io.BytesIO):
    """A file's bytes under its name, which errors tell."""

    name: str


# What comes out hangs on the source, on how this module reads it, on the library and on Python.
_READER = hashlib.sha256(Path(__file__).read_bytes() + f"{yaml.__version__} {sys.version}".encode()).digest()
_DIGEST_BYTES = hashlib.sha256().digest_size


def parse(path: Path) -> Any:
    """What the file holds: parsed, or as a process kept it that has parsed the same bytes."""
    source = path.read_bytes()
    stamp = hashlib.sha256(_READER + source).digest()
    place = path.parent / "__pycache__" / f"{path.name}.{sys.implementation.cache_tag}.parsed"
    try:
        return _read(place, stamp)
    except (OSError, ValueError):
        stream = _Named(source)
        stream.name = str(path)
        parsed = yaml.load(stream, Loader=_Loader)  # noqa: S506 - a child of the safe loader
        _keep(place, stamp, parsed)
        return parsed


def _read(place: Path, stamp: bytes) -> Any:
    """What is kept there; ValueError where it is of other bytes, or damaged."""
    kept = place.read_bytes()
    payload = kept[2 * _DIGEST_BYTES :]
    if kept[: 2 * _DIGEST_BYTES] != stamp + hashlib.sha256(payload).digest():
        raise ValueError(f"{place} is of another file, or damaged")
    # Whoever can write here can write modules too.
    return marshal.loads(payload)  # noqa: S302


def _keep(place: Path, stamp: bytes, parsed: Any) -> None:
    """Replaced when all of it is there. Who may not write goes without."""
    if sys.dont_write_bytecode:
        return
    try:
        payload = marshal.dumps(parsed)
        place.parent.mkdir(exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=place.parent, prefix=f"{place.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(stamp + hashlib.sha256(payload).digest() + payload)
        Path(unfinished).replace(place)
    except (OSError, ValueError):
        # ValueError: something that Python's own modules do not hold, such as a set.
        return
