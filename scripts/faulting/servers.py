"""The servers of the rig: PostgreSQL, broker and cache, each behind a proxy, each mortal, each with what it keeps."""

import os
import signal
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path

import psycopg

from scripts.benchmark.procfs import family
from scripts.embedded import EmbeddedServer, ServerRole, start_server
from scripts.faulting.proxy import Proxy
from scripts.postgresql import PostgreSQL, new_server

_DATABASE = "headroom"
# Twice as many sessions as all pools of the product may hold: too many of them are counted, and not turned away.
PLACES = 240
_CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND application_name = 'headroom'"""


def kill_family(process: subprocess.Popen[bytes] | None) -> None:
    """SIGKILL to a process and everybody who descends from it; nobody has time to say goodbye."""
    if process is None or process.poll() is not None:
        return
    members = family(process.pid)
    for pid in members:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    process.wait(10)


@dataclass(slots=True)
class Redis:
    """A Redis-compatible server in one role, and the proxy that the product reaches it through."""

    server: EmbeddedServer
    log: Path
    proxy: Proxy = field(init=False)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        """Nothing listens yet."""
        self.proxy = Proxy(self.server.port)

    @property
    def url(self) -> str:
        """Where the driver finds it."""
        return self.server.url

    @property
    def proxied_url(self) -> str:
        """Where the product finds it."""
        return replace(self.server, port=self.proxy.port).url

    def start(self) -> None:
        """Start it with what its file holds."""
        self.process = start_server(self.server, log=self.log)

    def kill(self) -> None:
        """SIGKILL."""
        kill_family(self.process)

    def wipe(self) -> None:
        """End it and take its files away, so that it starts empty."""
        self.kill()
        for path in sorted(self.server.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()


@dataclass(slots=True)
class Database:
    """PostgreSQL with the product's database, and the proxy that the product reaches it through."""

    server: PostgreSQL
    proxy: Proxy = field(init=False)

    def __post_init__(self) -> None:
        """Nothing listens yet."""
        self.proxy = Proxy(self.server.port)

    @property
    def url(self) -> str:
        """Where the driver finds it."""
        return f"postgresql://headroom@127.0.0.1:{self.server.port}/{_DATABASE}"

    @property
    def proxied_url(self) -> str:
        """Where the product finds it."""
        return f"postgresql://headroom@127.0.0.1:{self.proxy.port}/{_DATABASE}"

    def create(self) -> None:
        """Start it for the first time."""
        self.server.start()
        with psycopg.connect(self.server.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {_DATABASE}")

    def kill(self) -> None:
        """SIGKILL to all of its processes."""
        kill_family(self.server.process)

    def shut_down_at_once(self) -> None:
        """SIGQUIT, PostgreSQL's immediate shutdown: every session ends in the middle of whatever it does."""
        if self.server.process is not None:
            self.server.process.send_signal(signal.SIGQUIT)
            self.server.process.wait(20)

    def cut_sessions(self) -> int:
        """End every session of the product; returns how many there were."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            rows = connection.execute(_CUT)
            return len(rows.fetchall())


def make_servers(folder: Path) -> tuple[Database, Redis, Redis]:
    """Database, broker and cache with their files in a folder; the proxies listen, the servers do not run yet."""
    data = folder / "postgresql"
    data.mkdir()
    database = Database(new_server(data, max_connections=str(PLACES)))
    broker, cache = (
        Redis(EmbeddedServer(role=role, folder=folder / role), folder / f"{role}.log")
        for role in (ServerRole.BROKER, ServerRole.CACHE)
    )
    for server in (database, broker, cache):
        server.proxy.start()
    return database, broker, cache
