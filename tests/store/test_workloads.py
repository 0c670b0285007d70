"""Of two changes over one version the database lets one through, whatever each has read."""

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.store import workloads
from service.store.tables.tenants import TenantRow
from service.store.tables.workloads import WorkloadRow, WorkloadVersionRow
from tests.fakes import NOON

ASKED = {"name": "b", "labels": {}, "kind": "training", "question": '{"b":1}', "principal": "bob"}


@pytest.fixture
def old(session: Session) -> WorkloadRow:
    """A workload as somebody has read it."""
    session.add(TenantRow(id="ten_a", name="a", created_at=NOON))
    session.flush()
    first = {"name": "a", "labels": {"x": "1"}, "kind": "inference", "question": "{}", "principal": "ann"}
    row = WorkloadRow(id="wkl_a", tenant_id="ten_a", version=1, created_at=NOON, **first)
    session.add(row)
    session.flush()
    return row


def fresh(session: Session) -> WorkloadRow:
    return session.scalar(select(WorkloadRow).execution_options(populate_existing=True))


def test_a_version_is_replaced_once(session, old):
    assert workloads.replace(session, old, now=NOON, **ASKED)
    assert not workloads.replace(session, old, now=NOON, **ASKED | {"name": "c"})
    assert session.scalar(select(func.count()).select_from(WorkloadVersionRow)) == 1
    kept = workloads.version(session, "ten_a", "wkl_a", 1)
    assert (kept.name, kept.labels, kept.kind, kept.question, kept.principal) == (
        "a",
        {"x": "1"},
        "inference",
        "{}",
        "ann",
    )
    now = fresh(session)
    assert (now.version, now.name, now.labels, now.kind, now.question, now.principal) == (2, *ASKED.values())


def test_what_was_archived_meanwhile_is_not_changed(session, old):
    assert workloads.archive(session, old, now=NOON)
    assert not workloads.replace(session, old, now=NOON, **ASKED)
    assert not workloads.archive(session, old, now=NOON)
    assert fresh(session).version == 1


def test_what_was_changed_meanwhile_is_not_archived(session, old):
    assert workloads.replace(session, old, now=NOON, **ASKED)
    assert not workloads.archive(session, old, now=NOON)
    assert fresh(session).archived_at is None


def test_versions_of_another_tenant_do_not_exist(session, old):
    workloads.replace(session, old, now=NOON, **ASKED)
    assert workloads.version(session, "ten_b", "wkl_a", 1) is None
