"""Disks that are full: a small file system of its own over a folder, and ballast in it."""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from service.sizing.units import GIB

SIZE_BYTES = int(GIB / 64)
_PIECE = b"\0" * 65_536
_BALLAST = "ballast"


def can_mount() -> bool:
    """Whether this host lets us make file systems."""
    with TemporaryDirectory() as name:
        if not _mounted(Path(name)):
            return False
        _unmount(Path(name))
    return True


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """In the block the folder lies on a small disk, with what it holds; afterwards it holds what is then there.

    Nobody may have anything open in it, at both ends.
    """
    owner = folder.stat()
    with TemporaryDirectory() as name:
        _copy(folder, Path(name))
        if not _mounted(folder):
            raise OSError(errno.EPERM, "no file system can be made here")
        _copy(Path(name), folder)
        folder.chmod(owner.st_mode & 0o7777)
        try:
            yield
        finally:
            kept = Path(name) / "kept"
            kept.mkdir()
            _copy(folder, kept)
            _unmount(folder)
            _copy(kept, folder)


@contextmanager
def ballast(folder: Path) -> Iterator[None]:
    """In the block there is no room left where the folder lies."""
    path = folder / _BALLAST
    try:
        with path.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(_PIECE)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        yield
    finally:
        path.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(_BALLAST))


def _mounted(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES}", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def _unmount(folder: Path) -> None:
    # Lazily: whoever still has a file open in it keeps it until then.
    subprocess.run(["umount", "--lazy", str(folder)], capture_output=True, check=True)
