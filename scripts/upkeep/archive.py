"""A backup: one tar with a manifest that says what it is of, and the database as its own tools write it."""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from scripts.trouble import Trouble

FORMAT = 1
_MANIFEST = "manifest.json"
_MOST_MANIFEST_BYTES = 1_000_000
_PIECE_BYTES = 1_000_000


class Database(StrEnum):
    """Which database a backup is of; it is restored into one of the same kind."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup is of: its schema, the rows of each table, and the SHA-256 of each file in it."""

    database: Database
    schema_revision: str
    engine_version: str
    made_at: str
    rows: Mapping[str, int]
    sha256: Mapping[str, str]


def sha256_of(path: Path) -> str:
    """Of the bytes of a file."""
    found = hashlib.sha256()
    with path.open("rb") as source:
        while piece := source.read(_PIECE_BYTES):
            found.update(piece)
    return found.hexdigest()


def write(target: Path, manifest: Manifest, files: Mapping[str, Path]) -> None:
    """Write the tar, readable by its owner only: whole under its name, or not at all."""
    fresh = target.with_name(f".{target.name}.part")
    try:
        fresh.unlink(missing_ok=True)
        fresh.touch(mode=0o600)
        with tarfile.open(fresh, "w") as tar:
            said = json.dumps({"format": FORMAT, **asdict(manifest)}, indent=1).encode()
            entry = tarfile.TarInfo(_MANIFEST)
            entry.size, entry.mode = len(said), 0o600
            tar.addfile(entry, io.BytesIO(said))
            for name, path in files.items():
                tar.add(path, arcname=name, recursive=False)
        fresh.replace(target)
    except OSError as error:
        raise Trouble(f"{target} cannot be written ({error.strerror}).") from error
    finally:
        fresh.unlink(missing_ok=True)


def read(source: Path) -> Manifest:
    """What a backup says of itself."""
    try:
        with tarfile.open(source, "r") as tar:
            found = tar.extractfile(_MANIFEST)
            said: dict[str, Any] = json.loads(b"" if found is None else found.read(_MOST_MANIFEST_BYTES))
            if said.pop("format") != FORMAT:
                raise Trouble(f"{source} is a backup in a form that this release does not know; take a newer one.")
            return Manifest(**{**said, "database": Database(said["database"])})
    except OSError as error:
        raise Trouble(f"{source} cannot be read ({error.strerror or error}).") from error
    except (tarfile.TarError, KeyError, TypeError, ValueError) as error:
        raise Trouble(f"{source} is not a backup of this product.") from error


def unpack(source: Path, manifest: Manifest, folder: Path) -> dict[str, Path]:
    """The files of a backup, in a folder; trouble where one is not what was written."""
    found: dict[str, Path] = {}
    with tarfile.open(source, "r") as tar:
        for name, digest in manifest.sha256.items():
            path = folder / Path(name).name
            content = tar.extractfile(name)
            if content is None:
                raise Trouble(f"{source} lacks {name}.")
            path.touch(mode=0o600)
            with path.open("wb") as target:
                while piece := content.read(_PIECE_BYTES):
                    target.write(piece)
            if sha256_of(path) != digest:
                raise Trouble(f"{source} is damaged: {name} is not what was written into it. Nothing was restored.")
            found[name] = path
    return found
