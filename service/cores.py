"""Cores: a web process may keep to one, for Python runs one of its threads at a time.

Threads that take turns on several cores wake each other across them at every step; on one core the next simply goes on.
Only whoever has the host to itself should do so: containers that share one do not know of each other, and all would
choose the same.
"""

import os
import stat
import tempfile
import zlib
from pathlib import Path

import structlog

from service.settings import Cores
from service.slots import Slots

log = structlog.get_logger(__name__)


def keep_to(cores: Cores, *, folder: Path | None = None) -> None:
    """Call it before any thread begins: those that begin later keep to the same core.

    The processes of a user on a host share the cores out by their numbers in `folder`, from a core on that is another
    one for another user. Where it is not to be had, or the system lets nobody choose, the process runs on any.
    """
    if cores is not Cores.OWN or not hasattr(os, "sched_setaffinity"):
        return
    try:
        number = Slots(_private(folder or _usual_folder())).mine()
        allowed = sorted(os.sched_getaffinity(0))
        first = zlib.crc32(f"{os.uname().nodename} {os.getuid()}".encode())
        os.sched_setaffinity(0, {allowed[(first + number) % len(allowed)]})
    except OSError as error:
        log.warning("no_core_of_its_own", error=type(error).__name__, reason=str(error))


def _usual_folder() -> Path:
    """Where nobody cleans up while the user is there, if the system has such a place."""
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"headroom-cores-{os.getuid()}"


def _private(folder: Path) -> Path:
    """The folder, made if need be. Raises OSError where it is somebody else's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    return folder
