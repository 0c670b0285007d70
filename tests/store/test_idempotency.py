"""A key that is taken anew while old ones are removed stays."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from service.store import idempotency
from service.store.engine import WRITES
from service.store.tables.idempotency import IdempotencyRow
from service.store.tables.tenants import TenantRow
from tests.fakes import NOON

KEPT = timedelta(hours=24)
LATER = NOON + KEPT + timedelta(hours=1)


def claim(session: Session, key: str, *, now) -> bool:
    return idempotency.claim(
        session,
        "ten_a",
        key,
        fingerprint="f1",
        resource_id=f"run_{now:%d}",
        held_until=now,
        status=None,
        headers=None,
        body=None,
        now=now,
        expired_before=now - KEPT,
    )


def writing(engine: Engine) -> Session:
    return Session(engine, execution_options=WRITES)


@pytest.fixture
def old(engine: Engine) -> None:
    """Two keys that stand for nothing any more."""
    with writing(engine) as session:
        session.add(TenantRow(id="ten_a", name="a", created_at=NOON))
        session.flush()
        for key in ("again", "never"):
            assert claim(session, key, now=NOON)
        session.commit()


def until_it_waits(engine: Engine) -> None:
    """Until a statement waits for a lock, where the database can say so; SQLite has one lock, which is taken."""
    if engine.dialect.name == "sqlite":
        return
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(1000):
        with Session(engine) as session:
            if session.scalar(waiting):
                return
        time.sleep(0.01)
    raise AssertionError("nothing waits")


@pytest.mark.usefixtures("old")
def test_a_key_that_is_taken_anew_is_not_removed(engine):
    begun = threading.Event()

    def forget() -> int:
        begun.set()
        with writing(engine) as session:
            gone = idempotency.forget(session, before=LATER - KEPT, limit=10)
            session.commit()
            return gone

    with ThreadPoolExecutor(1) as pool, writing(engine) as session:
        assert claim(session, "again", now=LATER)
        forgetting = pool.submit(forget)
        assert begun.wait(10)
        until_it_waits(engine)
        session.commit()
        assert forgetting.result(10) == 1
    with Session(engine) as session:
        kept = session.scalars(select(IdempotencyRow)).all()
    assert [(row.key, row.resource_id, row.created_at) for row in kept] == [("again", f"run_{LATER:%d}", LATER)]
