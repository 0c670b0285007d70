"""The file that a person names: read as it is, for the server or the engine to judge."""

import os
import sys
from pathlib import Path

from service.client.problem import HeadroomError


class FileError(HeadroomError):
    """The file cannot be read, or cannot be a workload."""


def read_file(name: str, *, most_bytes: int) -> bytes:
    """The bytes of a file, or of standard input for `-`."""
    try:
        with sys.stdin.buffer if name == "-" else Path(name).open("rb") as source:
            body = source.read(most_bytes + 1)
    except IsADirectoryError:
        raise FileError(f"{name} is a folder, not a workload file.") from None
    except OSError as error:
        raise FileError(f"{name} cannot be read: {error.strerror}.") from None
    if len(body) > most_bytes:
        raise FileError(f"{name} is larger than {most_bytes:,} bytes: that is not one workload.")
    return body


def write_file(name: str, content: bytes) -> None:
    """Write the bytes whole, or leave what was there; `-` is standard output."""
    if name == "-":
        sys.stdout.buffer.write(content)
        return
    place = Path(name)
    fresh = place.with_name(f"{place.name}.{os.getpid()}.part")
    try:
        fresh.write_bytes(content)
        fresh.replace(place)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        raise FileError(f"{name} cannot be written: {error.strerror}.") from None
