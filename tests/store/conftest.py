"""A session on a migrated database of each kind."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from service.store.engine import WRITES, make_engine
from service.store.tables.runs import RunRow, RunStatus
from tests.fakes import NOON


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine, expire_on_commit=False, execution_options=WRITES) as session:
        yield session


def run_row(**changes: object) -> RunRow:
    values: dict[str, object] = {
        "id": "run_1",
        "tenant_id": "ten_a",
        "workload_id": "wkl_a",
        "status": RunStatus.QUEUED.value,
        "kind": "inference",
        "digest": "sha256:1",
        "question": "{}",
        "attempts": 0,
        "lease_token": 0,
        "cached": False,
        "catalog_version": "c1",
        "calibration_version": "k1",
        "engine_version": "e1",
        "price_book_digest": "p1",
        "principal": "ann",
        "request_id": "req_1",
        "created_at": NOON,
    }
    return RunRow(**{**values, **changes})
