"""SQLite's log of writes is carried into the database by a thread of its own, so that no writer waits for the disk.

By default whoever commits past a bound does that, and everybody who wants to write meanwhile waits for two fsyncs: with
thousands of commits a second that took more time than the commits themselves.
"""

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import make_url

_EVERY_S = 0.25
# Below this there is nothing worth a look.
_PAGE_BYTES = 4096
_WORTH_BYTES = 1024 * _PAGE_BYTES
# Beyond this it begins anew: writers stand still until what is left is carried over and on the disk, which takes as
# long after a short log as after a long one. Readers look only through what is not carried over yet.
_ANEW_PAGES = 32768
_LONGEST_WAIT_S = 0.2


class Checkpoints:
    """The thread, for as long as its process is the one that keeps house; nothing for another database."""

    def __init__(self, database_url: str) -> None:
        url = make_url(database_url)
        self._path = url.database if url.get_backend_name() == "sqlite" else None
        self._stop = threading.Event()

    def begin(self) -> None:
        """Start the thread."""
        if self._path is not None:
            threading.Thread(target=self._run, args=(Path(self._path),), name="checkpoints", daemon=True).start()

    def end(self) -> None:
        """Let the thread end."""
        self._stop.set()

    def _run(self, path: Path) -> None:
        before: LogState | None = None
        while not self._stop.wait(_EVERY_S):
            # What is missed now is done next time, or by a writer whose log has grown too long.
            with suppress(sqlite3.Error, OSError):
                before = checkpoint(path, before=before)


class LogState(NamedTuple):
    """A log as it is at some moment: one that is written to becomes another one."""

    bytes: int
    changed_ns: int


def checkpoint(path: Path, *, before: LogState | None) -> LogState | None:
    """Carry the log over, where it has grown; how it was found, to be given the next time. Where nobody has written
    since `before`, the disk gets its room back; while somebody writes it keeps it, for room that is there already is
    written to in half the time. Raises OSError and sqlite3.Error.
    """
    found = _state(path)
    if found is None or found.bytes < _WORTH_BYTES:
        return found
    quiet = found == before
    # Who would have to be waited for keeps the room a little longer.
    wait_s = 0.0 if quiet else _LONGEST_WAIT_S
    with closing(sqlite3.connect(path, timeout=wait_s, isolation_level=None)) as connection:
        if quiet:
            _carry_over(connection, "TRUNCATE")
        # Nearly all is over after this, so what follows is short; where it must wait for a reader, it is cut off.
        elif _carry_over(connection, "PASSIVE") > _ANEW_PAGES:
            _carry_over(connection, "RESTART")
    return found


def _state(path: Path) -> LogState | None:
    try:
        stat = path.with_name(f"{path.name}-wal").stat()
    except FileNotFoundError:
        return None
    return LogState(stat.st_size, stat.st_mtime_ns)


def _carry_over(connection: sqlite3.Connection, how: str) -> int:
    """So many pages are in the log."""
    _, pages, _ = connection.execute(f"PRAGMA wal_checkpoint({how})").fetchone()
    return int(pages)
