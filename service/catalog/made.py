"""What was made of facts and code, kept as Python keeps its own modules: in `__pycache__` beside the code.

To check every record and make objects of it is a quarter of what a process does until it answers, to describe the API
a tenth, and every process does it when it starts. Only facts that come with the code are kept: others, which somebody
else may write, are no place for what Python takes objects from.
"""

import hashlib
import os
import pickle
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

_Made = TypeVar("_Made")
_CODE = Path(__file__).resolve().parents[1]
_FACTS = frozenset({".yaml", ".json", ".jsonl"})
# Of whose versions hangs what comes out of the same code and facts.
_LIBRARIES = ("apispec", "flask-smorest", "marshmallow", "numpy", "orjson", "pyyaml", "webargs")
_DIGEST_BYTES = hashlib.sha256().digest_size
# What this process runs may be older than code that was put there since.
_LOADED_S = time.time()


class Keeper:
    """Keeps what the code makes of the facts of a folder, for as long as neither changes.

    `loaded_s` is when the process began to load its code, in seconds since the epoch.
    """

    def __init__(self, config_dir: Path, *, code: Path = _CODE, loaded_s: float = _LOADED_S) -> None:
        self._folder = code / "catalog" / "__pycache__"
        self._told = partial(_stamp, config_dir, code, loaded_s=loaded_s)
        self._stamp = self._told() if config_dir.resolve() == code.parent / "config" else None

    def kept(self, name: str, make: Callable[[], _Made]) -> _Made:
        """What a process has kept under the name, or made now; what `make` raises is raised, and nothing is kept."""
        place = self._folder / f"{name}.{sys.implementation.cache_tag}.made"
        try:
            return self._read(place)  # type: ignore[no-any-return]
        except (OSError, ValueError):
            made = make()
            self._keep(place, made)
            return made

    def _read(self, place: Path) -> Any:
        """ValueError where it is of other facts or of other code, or damaged."""
        if self._stamp is None:
            raise ValueError(f"{place} holds nothing of facts elsewhere")
        found = place.read_bytes()
        payload = memoryview(found)[2 * _DIGEST_BYTES :]
        if found[: 2 * _DIGEST_BYTES] != self._stamp + hashlib.sha256(payload).digest():
            raise ValueError(f"{place} is of other facts, or damaged")
        try:
            # Whoever can write here can write modules too.
            return pickle.loads(payload)  # noqa: S301
        except Exception as error:
            raise ValueError(f"{place} is of code that is not there") from error

    def _keep(self, place: Path, made: object) -> None:
        """Replaced when all of it is there. Who may not write goes without, and so does what changed meanwhile."""
        if self._stamp is None or sys.dont_write_bytecode or self._told() != self._stamp:
            return
        payload = pickle.dumps(made, protocol=pickle.HIGHEST_PROTOCOL)
        with suppress(OSError):
            place.parent.mkdir(exist_ok=True)
            _replace(place, self._stamp + hashlib.sha256(payload).digest() + payload)


def _replace(place: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f"{place.name}.")
    unfinished = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        # As modules are: whoever starts the code later may be somebody else.
        unfinished.chmod(0o644)
        unfinished.replace(place)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _stamp(config_dir: Path, code: Path, *, loaded_s: float) -> bytes | None:
    """Of every fact its bytes; of every module what Python itself tells a changed one by: its size, and its time.

    None where that cannot be told: a module was put there after the process had begun, or a file cannot be read.
    """
    told = hashlib.sha256()
    try:
        told.update(repr((sys.version, *map(version, _LIBRARIES))).encode())
        for path in _files(config_dir, _FACTS):
            told.update(f"{path.relative_to(config_dir)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
        for path in _files(code, frozenset({".py"})):
            state = path.stat()
            if state.st_ctime >= loaded_s:
                return None
            told.update(f"{path.relative_to(code)} {state.st_size} {int(state.st_mtime)}\n".encode())
    except (OSError, PackageNotFoundError):
        return None
    return told.digest()


def _files(folder: Path, suffixes: frozenset[str]) -> Iterator[Path]:
    """Every file below with one of the suffixes, in the order of their names."""
    for here, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        yield from (Path(here, name) for name in sorted(names) if os.path.splitext(name)[1] in suffixes)  # noqa: PTH122
