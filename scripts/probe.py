"""`python -m scripts.probe web|worker|deliverer|dispatcher`: does it live on this host? For health checks."""

import os
import socket
import sys
from datetime import UTC, datetime, timedelta

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from config.environment import settings_from_environment
from scripts import nearby
from service.settings import Settings
from service.store.engine import make_engine
from service.store.tables.processes import HeartbeatRow

SILENT_AFTER = timedelta(seconds=15)
ROLES = ("web", "worker", "deliverer", "dispatcher")


def web_lives(settings: Settings) -> bool:
    """Whether the web process answers."""
    host = "[::1]" if ":" in settings.web_host else "127.0.0.1"
    return nearby.is_well(f"http://{host}:{settings.web_port}/healthz", within_s=3.0)


def beats(settings: Settings, role: str, *, now: datetime) -> bool:
    """Whether a process of that role on this host has beaten lately; unknown counts as alive.

    A database that is down says nothing about the worker, and restarting the worker would not help.
    """
    engine = make_engine(settings.database_url, pool_size=1)
    mine = HeartbeatRow.process.startswith(f"{role}:{socket.gethostname()}:", autoescape=True)
    try:
        with Session(engine) as session:
            query = select(HeartbeatRow.process).where(mine, HeartbeatRow.seen_at > now - SILENT_AFTER)
            return session.scalar(query.limit(1)) is not None
    except SQLAlchemyError:
        return True
    finally:
        engine.dispose()


def main(arguments: list[str]) -> int:
    """0 when alive, 1 when not, 2 for an unknown role."""
    if len(arguments) != 1 or arguments[0] not in ROLES:
        print(f"usage: python -m scripts.probe {'|'.join(ROLES)}", file=sys.stderr)
        return 2
    settings = settings_from_environment(os.environ)
    (role,) = arguments
    alive = web_lives(settings) if role == "web" else beats(settings, role, now=datetime.now(UTC))
    return 0 if alive else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
