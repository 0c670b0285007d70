"""Every statement that reaches the database while a request is served names the tenants whose rows it means."""

import re
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pytest
from sqlalchemy import delete, event, insert, select, update

from scripts.faulting.sweep import PLACES, operations
from service.access import Role
from service.edge.authentication import remember_keys
from service.edge.limits import limit_rates
from service.planning.transact import read, transact, transact_rows
from service.store import audit, quotes, results
from service.store.schema import METADATA
from service.store.scope import ForeignRowsError, act_for, acts_for, for_these, is_flushing
from service.store.tables.runs import ResultRow, RunRow
from tests.api.test_tenancy import belongings, sender
from tests.schemas.requests import SMALL_CHAT

OWNED = [table.name for table in METADATA.sorted_tables if "tenant_id" in table.columns]
_TABLE = re.compile(rf"\b(?:FROM|JOIN|INTO|UPDATE)\s+\"?({'|'.join(OWNED)})\b")


class Sent(NamedTuple):
    """A statement on rows of tenants, and for whom it was sent."""

    statement: str
    tables: frozenset[str]
    tenants: frozenset[str]


@contextmanager
def listening(runtime):
    """What is sent while a thread acts for tenants; objects that are flushed were looked at one by one."""
    sent: list[Sent] = []

    def hear(_connection, _cursor, statement, *_):
        tables, acting = frozenset(_TABLE.findall(statement)), acts_for()
        if tables and acting is not None and not is_flushing():
            sent.append(Sent(statement, tables, acting))

    engine = runtime.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", hear)
    yield sent
    event.remove(engine, "before_cursor_execute", hear)


def unscoped(sent: list[Sent]) -> list[str]:
    """Those in whose words no tenant is compared or written."""
    compared = re.compile(r"tenant_id\s*(?:=|IN)\s*[(?%]")
    return sorted(
        {one.statement for one in sent if not compared.search(one.statement) and "INSERT INTO" not in one.statement}
        | {one.statement for one in sent if "INSERT INTO" in one.statement and "tenant_id" not in one.statement}
    )


def test_every_operation_of_the_document_names_its_tenant(client, speaker, work, runtime, app):
    document = client.get("/openapi.json").json
    heard: list = []
    with listening(runtime) as sent:
        own = PLACES | belongings(speaker, work, "acme")
        limit_rates(app, replace(runtime.settings, rate_limit_writes=10**6, rate_limit_reads=10**6))
        for role in Role:
            send = sender(speaker("acme", role), heard)
            for operation in operations(document):
                if operation.is_documented and operation.method != "DELETE":
                    send(operation.method, operation.at(own), operation.body, {"Idempotency-Key": f"k{len(heard)}"})
            for path in [path for path in document["paths"] if "{" not in path and "get" in document["paths"][path]]:
                send("GET", path, None, {})
    assert unscoped(sent) == []
    assert {table for one in sent for table in one.tables} >= set(OWNED) - {"browser_sessions"}
    assert {status // 100 for status, *_ in heard} >= {2, 4}


def test_a_known_question_is_written_for_its_tenant_by_the_thread_that_writes_for_all(acme, work, runtime, app):
    remember_keys(app, memory_s=60)
    acme.post("/v1/workloads", SMALL_CHAT)
    work()
    acme.post("/v1/workloads", SMALL_CHAT)
    with listening(runtime) as sent:
        assert acme.post("/v1/workloads", SMALL_CHAT).json["cached"] is True
        keyed = acme.post("/v1/workloads", SMALL_CHAT, Idempotency_Key="k")
        assert keyed.json["cached"] is True
    tables = {table for one in sent for table in one.tables}
    assert tables >= {"results", "workloads", "runs", "audit_events", "idempotency_keys"}
    assert unscoped(sent) == []
    assert {one.tenants for one in sent} == {frozenset({acme.tenant_id})}


@pytest.fixture
def acting(runtime, acme, rival):
    act_for(acme.tenant_id)
    yield acme.tenant_id, rival.tenant_id
    act_for(None)


TABLE = ResultRow.__table__
FORGETFUL = {
    "a query of columns": select(TABLE.c.digest),
    "a query of rows, past the objects": select(ResultRow.digest),
    "a change": update(TABLE).values(feasible=True),
    "a removal": delete(TABLE),
    "another table's tenant": select(TABLE.c.digest).join(
        RunRow.__table__, (RunRow.__table__.c.digest == TABLE.c.digest) & (RunRow.__table__.c.tenant_id == "x")
    ),
}


@pytest.mark.parametrize("kind", FORGETFUL)
def test_what_forgets_the_tenant_is_refused_past_the_objects(runtime, acting, kind):
    with pytest.raises(ForeignRowsError):
        read(runtime, lambda session: session.connection().execute(FORGETFUL[kind]))
    with pytest.raises(ForeignRowsError):
        transact_rows(runtime, lambda connection: connection.execute(FORGETFUL[kind]))
    with for_these(acting):
        own = select(TABLE.c.digest).where(TABLE.c.tenant_id == acting[0])
        assert transact_rows(runtime, lambda connection: connection.execute(own).all()) == []


def test_rows_of_another_tenant_are_not_written_whichever_way(runtime, acting):
    own, foreign = acting
    row = {"tenant_id": foreign, "digest": "sha256:1", "body": "{}", "working": "{}", "feasible": True}
    row["created_at"] = runtime.clock()
    event_row = {"id": "aud_1", "principal": "x", "action": "x", "resource_kind": "x", "resource_id": "x"}
    event_row |= {"tenant_id": foreign, "request_id": "x", "new_state": "x", "created_at": runtime.clock()}
    many = audit.many(runtime.kept_open.dialect, [event_row])
    answer = results.StoredAnswer(body=b"{}", working=b"{}", feasible=True)
    for write in (
        lambda session: session.add(ResultRow(**row)),
        lambda session: session.connection().execute(insert(ResultRow), [row]),
        lambda session: many.insert(session.connection()),
        lambda session: quotes.next_number(session, foreign, 2026),
        lambda session: results.put(session, foreign, "sha256:1", answer, now=runtime.clock()),
        lambda session: results.feasible_of(session.connection(), {(foreign, "sha256:1")}),
    ):
        with pytest.raises(ForeignRowsError):
            transact(runtime, write)
    transact(runtime, lambda session: session.add(ResultRow(**row | {"tenant_id": own})))
    act_for(None)
    assert read(runtime, lambda session: session.scalars(select(ResultRow.tenant_id)).all()) == [own]
