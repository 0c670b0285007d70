"""SQLite's log of writes is carried into the database by a thread of its own, so that no writer waits for the disk.

By default whoever commits past a bound does that, and everybody who wants to write meanwhile waits for two fsyncs: with
thousands of commits a second that took more time than the commits themselves.
"""

import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import make_url

_EVERY_S = 0.25
# Below this there is nothing worth a look.
_PAGE_BYTES = 4096
_WORTH_BYTES = 1024 * _PAGE_BYTES
# Readers look through the whole log, so beyond this it begins anew: writers wait for what is left to be carried over.
_ANEW_BYTES = 8192 * _PAGE_BYTES
_LONGEST_WAIT_MS = 200


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
        while not self._stop.wait(_EVERY_S):
            # What is missed now is done next time, or by a writer whose log has grown too long.
            with suppress(sqlite3.Error, OSError):
                checkpoint(path)


def checkpoint(path: Path) -> bool:
    """Carry the log over, where it has grown; whether it begins anew. Raises OSError and sqlite3.Error."""
    try:
        log_bytes = path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return False
    if log_bytes < _WORTH_BYTES:
        return False
    with closing(sqlite3.connect(path, timeout=_LONGEST_WAIT_MS / 1000, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        if log_bytes < _ANEW_BYTES:
            return False
        # Nearly all is over already, so this is short. It is cut off, or it would be looked at again for ever.
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy
