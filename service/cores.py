"""Cores: a web process may keep to one, for Python runs one of its threads at a time.

Threads that take turns on several cores wake each other across them at every step; on one core the next simply goes on.
Only whoever has the host to itself should do so: containers that share one do not know of each other, and all would
choose the same.
"""

import os
import stat
import tempfile
from pathlib import Path

import structlog

from service.settings import Cores
from service.slots import Slots

log = structlog.get_logger(__name__)


def keep_to(cores: Cores, *, folder: Path | None = None) -> None:
    """Call it before any thread begins: those that begin later keep to the same core.

    The processes of a host and user that do so share the cores out by the numbers in `folder`. Where that is not to be
    had, or the system lets nobody choose, the process stays where it may be.
    """
    if cores is not Cores.OWN or not hasattr(os, "sched_setaffinity"):
        return
    try:
        number = Slots(_private(folder or Path(tempfile.gettempdir()) / f"headroom-cores-{os.getuid()}")).mine()
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[number % len(allowed)]})
    except OSError as error:
        log.warning("no_core_of_its_own", error=type(error).__name__, reason=str(error))


def _private(folder: Path) -> Path:
    """The folder, made if need be. Raises OSError where it is somebody else's."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise PermissionError(f"{folder} is not a folder of this user")
    return folder
