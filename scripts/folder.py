"""The data folder: state, logs and a lock that keeps a second start out."""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.trouble import Trouble


def make(folder: Path) -> Path:
    """Make the data folder and its logs, readable by the owner only; returns the logs."""
    logs = folder / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        logs.mkdir(exist_ok=True)
        probe = folder / "lock"
        probe.touch(mode=0o600)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EROFS, errno.EPERM}:
            reason = "cannot be written"
        elif error.errno in {errno.EEXIST, errno.ENOTDIR}:
            reason = "is not a folder"
        else:
            reason = f"cannot be made ({os.strerror(error.errno or 0)})"
        raise Trouble(f"The data folder {folder} {reason}; name another one: scripts/run --data-dir DIR") from None
    return logs


def forget_metrics(folder: Path) -> None:
    """Begin to count anew: what an earlier version counted would be told for ever. Call it while nobody counts."""
    for left in folder.glob("*.db"):
        left.unlink(missing_ok=True)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the operating system lets go of it however this process ends."""
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Trouble(
                f"Another scripts/run is using {folder}: stop it, or give this one its own folder and port: "
                "scripts/run --data-dir DIR --port N"
            ) from None
        yield
    finally:
        os.close(handle)
