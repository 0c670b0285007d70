"""Filters of lists, on SQLite and PostgreSQL: what they choose, and that they look at one tenant's rows only."""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.orm import Session

from service.store import audit, runs, workloads
from service.store.engine import WRITES, make_engine
from service.store.filters import ANY_RUN, LISTED_WORKLOADS, AuditFilter, RunFilter, WorkloadFilter
from service.store.tables.audit import AuditEventRow
from service.store.tables.runs import RunStatus
from service.store.tables.tenants import TenantRow
from service.store.tables.workloads import WorkloadRow
from tests.fakes import NOON
from tests.store.conftest import run_row

ODD = ('a"b', "a.b", "$", "a'b", "a\\b", "é", "[0]", "a b", "%", "a:b")


def at(minutes: float):
    return NOON + timedelta(minutes=minutes)


def fill(session: Session) -> None:
    """Two tenants with five workloads each, named a0 to a4 and b0 to b4, and a run of each."""
    for tenant in ("a", "b"):
        session.add(TenantRow(id=f"ten_{tenant}", name=tenant, created_at=NOON))
        session.flush()
        for number in range(5):
            labels = {"n": str(number), "parity": "even" if number % 2 == 0 else "odd"}
            session.add(
                WorkloadRow(
                    id=f"wkl_{tenant}{number}",
                    tenant_id=f"ten_{tenant}",
                    name=f"{tenant}{number}",
                    labels=labels | ({key: f"<{key}>" for key in ODD} if number == 3 else {}),
                    kind="science" if number == 4 else "inference",
                    question="{}",
                    version=1,
                    principal="ann",
                    created_at=at(number),
                    archived_at=at(9) if number == 1 else None,
                )
            )
            session.flush()
            ended = {"status": "done", "finished_at": at(9), "feasible": number > 0} if number < 3 else {}
            session.add(
                run_row(
                    id=f"run_{tenant}{number}",
                    tenant_id=f"ten_{tenant}",
                    workload_id=f"wkl_{tenant}{number}",
                    digest=f"sha256:{number}",
                    kind="science" if number == 4 else "inference",
                    cached=number == 2,
                    created_at=at(number),
                    **ended,
                )
            )
            session.add(
                AuditEventRow(
                    id=f"aud_{tenant}{number}",
                    tenant_id=f"ten_{tenant}",
                    principal="ann",
                    action="workload.created",
                    resource_kind="workload",
                    resource_id=f"wkl_{tenant}{number}",
                    request_id="r",
                    created_at=at(number),
                )
            )
            session.flush()
    session.commit()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """A filled database of each kind: every test of this module only reads."""
    if request.param == "postgresql":
        engine = make_engine(request.getfixturevalue("copied_postgresql"))
    else:
        migrated = request.getfixturevalue("migrated_sqlite")
        engine = make_engine(f"sqlite:///{shutil.copy(migrated, tmp_path_factory.mktemp('filters'))}")
    with Session(engine, execution_options=WRITES) as session:
        fill(session)
    yield engine
    engine.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@pytest.fixture
def asked(engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """The statements of a test, with their parameters."""
    found: list[tuple[str, Any]] = []

    def note(*given: Any) -> None:
        found.append((given[2], given[3]))

    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


RUNS = {
    "any": (ANY_RUN, "43210"),
    "status": (RunFilter(status=RunStatus.QUEUED), "43"),
    "kind": (RunFilter(kind="science"), "4"),
    "workload": (RunFilter(workload_id="wkl_a2"), "2"),
    "workload of another": (RunFilter(workload_id="wkl_b2"), ""),
    "feasible": (RunFilter(feasible=True), "21"),
    "infeasible": (RunFilter(feasible=False), "0"),
    "cached": (RunFilter(cached=True), "2"),
    "computed": (RunFilter(cached=False), "4310"),
    "from": (RunFilter(created_after=at(3)), "43"),
    "before": (RunFilter(created_before=at(3)), "210"),
    "between": (RunFilter(created_after=at(1), created_before=at(3)), "21"),
    "label": (RunFilter(labels=(("parity", "even"),)), "420"),
    "labels": (RunFilter(labels=(("parity", "even"), ("n", "2"))), "2"),
    "labels of two": (RunFilter(labels=(("parity", "odd"), ("n", "2"))), ""),
    "all": (RunFilter(status=RunStatus.DONE, cached=False, feasible=True, labels=(("n", "1"),)), "1"),
}
WORKLOADS = {
    "listed": (LISTED_WORKLOADS, "4320"),
    "archived": (WorkloadFilter(archived=True), "1"),
    "any": (WorkloadFilter(archived=None), "43210"),
    "kind": (WorkloadFilter(kind="science"), "4"),
    "name": (WorkloadFilter(name="a3"), "3"),
    "part of a name": (WorkloadFilter(name="a"), ""),
    "name of another": (WorkloadFilter(name="b3"), ""),
    "label": (WorkloadFilter(labels=(("parity", "even"),)), "420"),
    "from": (WorkloadFilter(created_after=at(3)), "43"),
    "before": (WorkloadFilter(created_before=at(3)), "20"),
}
EVENTS = {
    "any": (AuditFilter(), "43210"),
    "resource": (AuditFilter(resource_id="wkl_a2"), "2"),
    "all": (
        AuditFilter(action="workload.created", principal="ann", resource_kind="workload", created_after=at(2)),
        "432",
    ),
}
LISTS = {
    "runs": (runs.newest, RUNS),
    "workloads": (workloads.newest, WORKLOADS),
    "events": (lambda *given, **more: audit.newest(*given, **{"before_id": None} | more), EVENTS),
}
CASES = [
    pytest.param(newest, only, expected, id=f"{name}: {case}")
    for name, (newest, cases) in LISTS.items()
    for case, (only, expected) in cases.items()
]


def numbers(rows) -> str:
    return "".join(row.id[-1] for row in rows)


@pytest.mark.parametrize(("newest", "only", "expected"), CASES)
def test_what_is_chosen(newest, only, expected, session):
    assert numbers(newest(session, "ten_a", only=only, limit=9)) == expected
    if expected:
        first = newest(session, "ten_a", only=only, limit=1)
        rest = newest(session, "ten_a", only=only, before_id=first[0].id, limit=9)
        assert numbers([*first, *rest]) == expected


@pytest.mark.parametrize("key", ODD)
def test_every_key_of_a_label_is_found_and_is_nothing_but_a_key(key, session):
    assert numbers(workloads.newest(session, "ten_a", only=WorkloadFilter(labels=((key, f"<{key}>"),)))) == "3"
    assert numbers(runs.newest(session, "ten_a", only=RunFilter(labels=((key, f"<{key}>"),)))) == "3"
    assert workloads.newest(session, "ten_a", only=WorkloadFilter(labels=((key, "other"),))) == []
    assert workloads.newest(session, "ten_a", only=WorkloadFilter(labels=((f"{key}x", f"<{key}>"),))) == []


@pytest.mark.parametrize(("newest", "only", "expected"), CASES)
def test_no_list_looks_through_the_rows_of_other_tenants(newest, only, expected, session, asked):
    if session.bind.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads small tables whole, whatever indexes they have")
    newest(session, "ten_a", only=only, before_id="z", limit=9)
    [(statement, parameters)] = [pair for pair in asked if pair[0].startswith("SELECT")]
    plan = [row[-1] for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    tables = [step for step in plan if "VIRTUAL TABLE" not in step and step.startswith(("SCAN", "SEARCH"))]
    assert tables
    for step in tables:
        by_tenant, by_workload = "(tenant_id=?" in step, "(id=?)" in step or "(workload_id=?" in step
        assert step.startswith("SEARCH"), plan
        assert by_tenant or by_workload, plan
