"""The file that a person names: read as it is, for the server or the engine to judge."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

from service.client.problem import HeadroomError

_OF_THE_SYSTEM = (("dev",), ("proc",))
# Files of people lie there, in memory.
_FOR_EVERYBODY = (("dev", "shm"),)


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
    with opened(name) as target:
        target.write(content)


@contextmanager
def opened(name: str) -> Iterator[IO[bytes]]:
    """What to write to: a file that appears once all of it is there, or standard output for `-`."""
    if name == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    fresh = _place(name)
    # What a device leads to may hold something already, as where standard output is added to a file.
    mode: Literal["ab", "wb"] = "ab" if fresh == Path(name) else "wb"
    try:
        with fresh.open(mode) as target:
            yield target
        if mode == "wb":
            fresh.replace(name)
    except OSError as error:
        raise _unwritable(name, error) from None
    finally:
        if mode == "wb":
            with suppress(OSError):
                fresh.unlink()


def check_writable(name: str) -> None:
    """FileError where `opened` could not write: told before the work is done that would be lost."""
    fresh = _place(name)
    if name == "-" or fresh == Path(name):
        return
    try:
        fresh.touch()
        fresh.unlink()
    except OSError as error:
        raise _unwritable(name, error) from None


def would_replace(name: str, other: str) -> bool:
    """Whether what is written to `name` takes the place of the file `other`; `-` of either is no file."""
    if "-" in (name, other) or _place(name) == Path(name):
        return False
    return Path(name).resolve() == Path(other).resolve()


def _place(name: str) -> Path:
    """Beside the file, which it takes the place of when all of it is there; a device or a pipe is written to itself."""
    place = Path(name)
    try:
        # /dev/stdout leads to a plain file where standard output does: that file is not beside it.
        folder = Path(os.path.realpath(place.parent)).parts
        named_by_system = folder[1:2] in _OF_THE_SYSTEM and folder[1:3] not in _FOR_EVERYBODY
        special = os.path.lexists(place) if named_by_system else place.exists() and not place.is_file()
    except OSError as error:
        raise _unwritable(name, error) from None
    return place if special else place.with_name(f"{place.name}.{os.getpid()}.part")


def _unwritable(name: str, error: OSError) -> FileError:
    return FileError(f"{name} cannot be written: {error.strerror}.")
