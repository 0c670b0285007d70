"""While a thread acts for a tenant it finds, changes and removes rows of that tenant only, whatever is forgotten."""

import threading

import pytest
from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import aliased

from service.access import Role
from service.planning.keys import create_key, create_tenant
from service.planning.transact import read, transact
from service.store.schema import METADATA
from service.store.scope import act_for, acts_for, for_everybody
from service.store.tables.audit import AuditEventRow
from service.store.tables.keys import ApiKeyRow, PrincipalRow
from service.store.tables.row import Owned, Row
from service.store.tables.tenants import TenantRow


@pytest.fixture
def tenants(runtime):
    ids = {name: create_tenant(runtime, name) for name in ("acme", "bolt")}
    for tenant_id in ids.values():
        create_key(runtime, tenant_id, principal="ann", role=Role.SELLER)
    yield ids
    act_for(None)


def test_every_table_with_a_tenant_is_owned():
    owned = {mapper.class_.__tablename__ for mapper in Row.registry.mappers if issubclass(mapper.class_, Owned)}
    assert owned == {table.name for table in METADATA.sorted_tables if "tenant_id" in table.columns}
    assert len(owned) > 12


def owners(runtime, statement=None):
    statement = select(ApiKeyRow) if statement is None else statement
    return {row.tenant_id for row in read(runtime, lambda session: session.scalars(statement).all())}


def test_a_query_that_names_no_tenant_finds_those_of_one(runtime, tenants):
    assert owners(runtime) == set(tenants.values())
    act_for(tenants["acme"])
    assert owners(runtime) == {tenants["acme"]}
    alias = aliased(ApiKeyRow)
    assert owners(runtime, select(alias)) == {tenants["acme"]}
    joined = select(ApiKeyRow).join(PrincipalRow, PrincipalRow.id == ApiKeyRow.principal_id)
    assert owners(runtime, joined) == {tenants["acme"]}
    count = read(runtime, lambda session: session.scalar(select(func.count(AuditEventRow.id))))
    assert count == 2
    # The same statement for somebody else, from the cache of statements.
    act_for(tenants["bolt"])
    assert owners(runtime) == {tenants["bolt"]}
    with for_everybody():
        assert owners(runtime) == set(tenants.values())
    assert acts_for() == {tenants["bolt"]}


def test_aliases_that_are_joined_are_narrowed_each(runtime, tenants):
    first, second = aliased(ApiKeyRow), aliased(ApiKeyRow)
    pairs = select(first.tenant_id.label("a"), second.tenant_id.label("b")).join(second, second.role == first.role)
    inner = pairs.subquery()
    for name in ("acme", "bolt"):
        act_for(tenants[name])
        found = read(runtime, lambda session: session.execute(select(inner.c.a, inner.c.b)).all())
        assert {tuple(row) for row in found} == {(tenants[name], tenants[name])}


def test_an_id_of_another_tenant_is_nobodys(runtime, tenants):
    with for_everybody():
        (theirs,) = owners(runtime, select(ApiKeyRow).where(ApiKeyRow.tenant_id == tenants["bolt"]))
        key_id = read(runtime, lambda s: s.scalar(select(ApiKeyRow.id).where(ApiKeyRow.tenant_id == theirs)))
    act_for(tenants["acme"])
    assert read(runtime, lambda session: session.get(ApiKeyRow, key_id)) is None
    assert read(runtime, lambda session: session.scalar(select(ApiKeyRow.id).where(ApiKeyRow.id == key_id))) is None


@pytest.mark.parametrize("statement", [update(ApiKeyRow).values(role="admin"), delete(ApiKeyRow)])
def test_what_is_changed_and_removed_is_of_one_tenant(runtime, tenants, statement):
    act_for(tenants["acme"])
    transact(runtime, lambda session: session.execute(statement))
    act_for(None)
    rows = read(runtime, lambda session: session.scalars(select(ApiKeyRow)).all())
    assert [row.role for row in rows if row.tenant_id == tenants["bolt"]] == ["seller"]
    assert all(row.role == "admin" for row in rows if row.tenant_id == tenants["acme"])


def test_rows_of_nobody_and_other_threads_are_as_they_were(runtime, tenants):
    act_for(tenants["acme"])
    assert read(runtime, lambda session: session.scalar(select(func.count(TenantRow.id)))) == 2
    found = []
    thread = threading.Thread(target=lambda: found.append(owners(runtime)))
    thread.start()
    thread.join()
    assert found == [set(tenants.values())]
