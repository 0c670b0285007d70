"""The embedded default: the database is copied while others write, and put in place while nobody does."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from scripts.trouble import Trouble

_SIDE_FILES = ("-wal", "-shm", "-journal")


def copy(source: Path, target: Path) -> None:
    """A copy of the database as it is at one moment, however many write meanwhile; checked."""
    try:
        with (
            closing(_read_only(source)) as live,
            closing(sqlite3.connect(target)) as fresh,
        ):
            live.backup(fresh)
            # One file and nothing beside it.
            fresh.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.Error as error:
        raise Trouble(f"{source} could not be copied: {error}.") from error
    check(target)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)


def check(path: Path) -> None:
    """Trouble when the file is not a sound database."""
    try:
        with closing(sqlite3.connect(path)) as connection:
            [(said,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
            broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise Trouble(f"{path} is not a sound database: {error}.") from error
    if said != "ok" or broken is not None:
        raise Trouble(f"{path} is not a sound database: {said if said != 'ok' else f'{broken[0]} refers to nothing'}.")


def put(source: Path, target: Path) -> None:
    """Put a database in the place of the one that is there; whole or not at all."""
    fresh = target.with_name(f".{target.name}.part")
    fresh.unlink(missing_ok=True)
    with closing(sqlite3.connect(source)) as read, closing(sqlite3.connect(fresh)) as written:
        read.backup(written)
    fresh.chmod(0o600)
    handle = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    _take_in(target)
    # What lies beside the old one belongs to the old one.
    for ending in _SIDE_FILES:
        target.with_name(target.name + ending).unlink(missing_ok=True)
    fresh.replace(target)


def _take_in(path: Path) -> None:
    """Bring the log of a database into its file: whoever is interrupted before the new one is there loses nothing."""
    if not path.is_file():
        return
    try:
        with closing(sqlite3.connect(path)) as old:
            busy, *_ = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError:
        # What nobody can read is what a restore is for.
        return
    if busy:
        raise Trouble(f"{path} is in use. Stop whatever reads or writes it, and restore then.")
