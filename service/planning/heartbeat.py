"""Heartbeats: every worker process and dispatcher writes a row every few seconds; /readyz reads them."""

import os
import socket
import threading

import structlog
from sqlalchemy.exc import SQLAlchemyError

from service.errors import UnavailableError
from service.planning.transact import transact
from service.runtime import Runtime
from service.settings import BEAT_EVERY_S
from service.store import processes

log = structlog.get_logger(__name__)

WORKER = "worker"
DELIVERER = "deliverer"
DISPATCHER = "dispatcher"


def process_name(role: str) -> str:
    """A name that no other process has."""
    return f"{role}:{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


def beat(runtime: Runtime, process: str, *, role: str) -> None:
    """Write down that the process lives."""
    now = runtime.clock()
    transact(runtime, lambda session: processes.beat(session, process, role=role, now=now))


def silence(runtime: Runtime, process: str) -> None:
    """The process stops on purpose."""
    transact(runtime, lambda session: processes.silence(session, process))


def beat_in_background(runtime: Runtime, *, role: str) -> threading.Event:
    """Beat from a daemon thread, through outages, until the returned event is set."""
    stop = threading.Event()
    process = process_name(role)

    def run() -> None:
        while not stop.is_set():
            try:
                beat(runtime, process, role=role)
            except (UnavailableError, SQLAlchemyError):
                log.warning("heartbeat_missed")
            stop.wait(BEAT_EVERY_S)

    threading.Thread(target=run, name="heartbeat", daemon=True).start()
    return stop
