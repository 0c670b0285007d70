"""Starting and ending child processes so that none outlives its parent."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_PR_SET_PDEATHSIG = 1
# Loaded before any fork: a child between fork and exec must not load anything.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
# Linux tells a child of the end of the thread that has forked it: only one that stays may do so for the others.
_STAYS = ThreadPoolExecutor(1, "starts children")


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user of the operating system that a child runs as."""

    uid: int
    gid: int


def _end_with_parent(parent: int) -> None:
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def start(
    command: Sequence[str],
    *,
    cwd: Path,
    output: IO[bytes] | int,
    environ: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    account: Account | None = None,
) -> subprocess.Popen[bytes]:
    """Start a command as leader of a process group of its own that is told to end when this process dies."""
    parent = os.getpid()
    identity: dict[str, Any] = {}
    if account is not None:
        identity = {"user": account.uid, "group": account.gid, "extra_groups": []}

    def forked() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            list(command),
            cwd=cwd,
            env=None if environ is None else dict(environ),
            stdin=stdin,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _end_with_parent(parent),  # noqa: PLW1509  # only async-safe calls
            **identity,
        )

    if threading.current_thread() is threading.main_thread():
        return forked()
    return _STAYS.submit(forked).result()


def end_group(process: subprocess.Popen[bytes], how: signal.Signals) -> None:
    """Send a signal to everything in the group that the process leads."""
    try:
        os.killpg(process.pid, how)
    except (ProcessLookupError, PermissionError):
        return


def stop(process: subprocess.Popen[bytes], *, within_s: float) -> None:
    """Ask the leader to end, wait, then kill what is left of its group."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(within_s)
        except subprocess.TimeoutExpired:
            end_group(process, signal.SIGKILL)
            process.wait()
    end_group(process, signal.SIGKILL)


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there; asked before a start, because some servers share ports silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
