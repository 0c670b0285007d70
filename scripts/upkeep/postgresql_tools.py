"""PostgreSQL through its own tools: pg_dump reads one moment of a database that runs, pg_restore writes it whole."""

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy.engine import URL

from scripts.postgresql import binaries
from scripts.trouble import Trouble

ASIDE = "before_restore_"
"""How schemas begin that hold what was there before a restore that has not ended."""


def dump(url: URL, target: Path) -> None:
    """All of the database as it is at one moment, in PostgreSQL's own form."""
    options = ("--format=custom", "--no-owner", "--no-privileges", f"--exclude-schema={ASIDE}*")
    _run("pg_dump", url, *options, f"--file={target}")


def restore(source: Path, url: URL) -> None:
    """Put all of it into the database, in the place of what is there; all or nothing."""
    options = ("--clean", "--if-exists", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
    _run("pg_restore", url, *options, str(source))


def _run(tool: str, url: URL, *arguments: str) -> None:
    # A password in the arguments would stand in every list of processes.
    address = url.set(drivername="postgresql", password=None).render_as_string(hide_password=False)
    environ = os.environ | ({} if url.password is None else {"PGPASSWORD": str(url.password)})
    command = [str(_found(tool)), "--dbname", address, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = (done.stderr.strip() or "no reason given").splitlines()
        raise Trouble(f"{tool} failed: {words[0]}")


def _found(tool: str) -> Path:
    """Debian's wrapper on PATH takes the version of a local cluster, so that of the newest installation goes first."""
    where = binaries()
    beside = None if where is None else where / tool
    if beside is not None and beside.is_file():
        return beside
    on_path = shutil.which(tool)
    if on_path is None:
        raise Trouble(f"There is no {tool} here: install PostgreSQL's client programs (Debian: postgresql-client).")
    return Path(on_path)
