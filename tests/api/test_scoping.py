"""Every statement that reaches the database while a request is served names the tenants whose rows it means."""

import re
import traceback
from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pytest
from flask import g, has_app_context
from sqlalchemy import delete, event, insert, select, update

from scripts.faulting.sweep import PLACES, operations, shown_body
from service.access import Role
from service.edge.authentication import remember_keys
from service.edge.limits import limit_rates
from service.planning.batch import reading as batch_reading
from service.planning.schedule import reading as schedule_reading
from service.planning.transact import read, transact, transact_rows
from service.store import audit, quotes, results
from service.store.schema import METADATA
from service.store.scope import ForeignRowsError, act_for, acts_for, for_these, is_flushing
from service.store.tables.runs import ResultRow, RunRow
from service.store.tables.tenants import TenantRow
from tests.api.test_tenancy import belongings, sender
from tests.schemas.requests import SMALL_CHAT

OWNED = "|".join(table.name for table in METADATA.sorted_tables if "tenant_id" in table.columns)
# A table, and what it is called in the statement; after a comma a column has a point behind its table.
_TABLE = re.compile(rf"(?:\b(?:FROM|JOIN|INTO|UPDATE)|,)\s+({OWNED})\b(?!\.)(?:\s+AS\s+(\w+))?")
_COMPARED = re.compile(r"\b(\w+)\.tenant_id\s*(?:=|IN)\s*(\(?\?(?:,\s*\?)*)")
_GIVEN = re.compile(r"\bSET\b(?:(?!\bWHERE\b).)*\btenant_id\s*=", re.DOTALL)
# Who calls is looked up; what rings for batches, and lists dead letters, looks at those of everybody and says so.
_FOR_NOBODY = {"authenticate", "feed", "list_dead_letters"}


class Sent(NamedTuple):
    """A statement on rows of tenants with the values at its places, and for whom it was sent; None: for nobody."""

    statement: str
    values: tuple
    tables: frozenset[str]
    tenants: frozenset[str] | None


@contextmanager
def listening(runtime):
    """What is sent while requests are answered, from when it is known who calls until the last piece is made; objects
    that are flushed were looked at one by one.
    """
    sent: list[Sent] = []

    def hear(_connection, _cursor, statement, parameters, _context, many):
        tables, acting = frozenset(found[0] for found in _TABLE.findall(statement)), acts_for()
        if tables and not is_flushing() and (acting is not None or _is_forgotten()):
            sent.extend(Sent(statement, tuple(row), tables, acting) for row in (parameters if many else [parameters]))

    engine = runtime.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", hear)
    yield sent
    event.remove(engine, "before_cursor_execute", hear)


def _is_forgotten() -> bool:
    """Whether an answer is made for nobody, though somebody has asked."""
    if has_app_context() and "caller" not in g:
        return False
    names = {frame.f_code.co_name for frame, _ in traceback.walk_stack(None)}
    return "_answered_whole" in names and not names & _FOR_NOBODY


def unscoped(sent: list[Sent], tenants: set[str]) -> list[str]:
    """Those which name a table more often than they compare its tenant with the one that they were sent for, which name
    another's, or which write another; `tenants` are all that there are.

    How the comparisons are joined it does not see: whose.py does.
    """
    return sorted({one.statement for one in sent if not _is_scoped(one, tenants)})


def _is_scoped(one: Sent, tenants: set[str]) -> bool:
    own = one.tenants or set()
    if "INSERT INTO" in one.statement:
        written = tenants.intersection(value for value in one.values if isinstance(value, str))
        _, _, instead = one.statement.partition("ON CONFLICT")
        target, _, change = instead.partition("DO UPDATE")
        is_kept = not change or ("tenant_id" in target and not _GIVEN.search(change))
        return is_kept and "tenant_id" in one.statement and written != set() and written <= own
    compared, values = Counter(), set()
    for found in _COMPARED.finditer(one.statement):
        first = one.statement[: found.start(2)].count("?")
        compared[found[1]] += 1
        values |= set(one.values[first : first + found[2].count("?")])
    named = Counter(alias or table for table, alias in _TABLE.findall(one.statement))
    return named <= compared and values <= own and not _GIVEN.search(one.statement)


def everything(document, own):
    """Each operation of the document on rows of tenants, with a body of its own; what ends things comes last."""
    named = [operation for operation in operations(document) if operation.is_documented]
    ending = [operation for operation in named if operation.method == "DELETE"]
    for operation in named:
        if operation not in ending:
            yield operation.method, operation.path, operation.at(own), operation.media_type, operation.body
    for path, described in document["paths"].items():
        for method in {"get", "post"} & described.keys() if "{" not in path else ():
            media_type, body = shown_body(document, described[method])
            if isinstance(body, dict) and "run_id" in body:
                body = body | {"run_id": own["run_id"]}
            yield method.upper(), path, path, media_type, body
    for operation in ending:
        yield operation.method, operation.path, operation.at(own), operation.media_type, operation.body


@pytest.fixture
def small_pages(monkeypatch):
    """Most of what is streamed is read while it is sent."""
    for reading in (batch_reading, schedule_reading):
        monkeypatch.setattr(reading, "_READ_TOGETHER", 1)


@pytest.mark.usefixtures("small_pages")
def test_every_operation_of_the_document_names_its_tenant(client, speaker, work, runtime, app):
    document = client.get("/openapi.json").json
    heard: list = []
    answered: dict = {}
    speaker("rival")
    with listening(runtime) as sent:
        own = PLACES | belongings(speaker, work, "acme")
        limit_rates(app, replace(runtime.settings, rate_limit_writes=10**6, rate_limit_reads=10**6))
        for role in Role:
            send = sender(speaker("acme", role), heard)
            for method, path, at, media_type, body in everything(document, own):
                headers = {"If-Match": "*", "Idempotency-Key": f"k{len(heard)}"}
                headers |= {} if media_type is None else {"Content-Type": media_type}
                answer = _answered_whole(send, method, at, body, headers)
                answered.setdefault((method, path), []).append((answer.status, answer.body[:300]))
    assert unscoped(sent, tenant_ids(runtime)) == []
    assert {table for one in sent for table in one.tables} >= set(OWNED.split("|")) - {"browser_sessions"}
    # They were done, and not refused at the door.
    for (method, path), answers in answered.items():
        if method == "DELETE" or (method == "POST" and "{" not in path):
            assert any(status < 300 for status, _ in answers), (method, path, answers)


def tenant_ids(runtime) -> set[str]:
    return set(read(runtime, lambda session: session.scalars(select(TenantRow.id)).all()))


def _answered_whole(send, *asked):
    """The answer, with all pieces that are made while it is sent."""
    return send(*asked)


def test_the_listener_would_notice():
    own, all_of_them = frozenset({"a"}), {"a", "b"}
    scoped = {
        ("SELECT runs.id FROM runs WHERE runs.id = ? AND runs.tenant_id = ?", ("x", "a")): True,
        ("SELECT runs.id FROM runs WHERE runs.id = ? AND runs.tenant_id = ?", ("x", "b")): False,
        ("SELECT runs.id FROM runs WHERE runs.id = ?", ("a",)): False,
        ("SELECT r.id FROM runs AS r, quotes WHERE r.tenant_id = ?", ("a",)): False,
        (
            "SELECT r.id FROM runs AS r, quotes WHERE r.tenant_id = ? AND quotes.tenant_id IN (?, ?)",
            ("a", "a", "b"),
        ): False,
        ("SELECT r.id FROM runs AS r, quotes WHERE r.tenant_id = ? AND quotes.tenant_id IN (?)", ("a", "a")): True,
        ("INSERT INTO runs (id, tenant_id) VALUES (?, ?), (?, ?)", ("x", "a", "y", "b")): False,
        ("INSERT INTO runs (id, tenant_id) VALUES (?, ?)", ("x", "a")): True,
        ("INSERT INTO runs (id) VALUES (?)", ("x",)): False,
        ("DELETE FROM runs WHERE runs.tenant_id = ?", ("b",)): False,
        (
            "SELECT runs.id FROM runs WHERE runs.tenant_id = ? AND runs.id IN (SELECT runs.follows_run_id FROM runs)",
            ("a",),
        ): False,
        (
            "SELECT runs.id FROM runs WHERE runs.tenant_id = ? UNION SELECT runs.id FROM runs WHERE runs.tenant_id = ?",
            ("b", "a"),
        ): False,
        ("UPDATE runs SET tenant_id=? WHERE runs.tenant_id = ?", ("b", "a")): False,
        ("UPDATE runs SET status=? WHERE runs.tenant_id = ?", ("x", "a")): True,
        (
            "INSERT INTO runs (tenant_id, id) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET id = ?",
            ("a", "x", "y"),
        ): False,
        (
            "INSERT INTO runs (tenant_id, id) VALUES (?, ?) ON CONFLICT (tenant_id, id) DO UPDATE SET id = ?",
            ("a", "x", "y"),
        ): True,
        (
            "INSERT INTO runs (tenant_id, id) VALUES (?, ?) ON CONFLICT (tenant_id, id) DO UPDATE SET tenant_id = ?",
            ("a", "x", "b"),
        ): False,
    }
    for (statement, values), is_scoped in scoped.items():
        assert (unscoped([Sent(statement, values, frozenset({"runs"}), own)], all_of_them) == []) is is_scoped, (
            statement
        )
        assert unscoped([Sent(statement, values, frozenset({"runs"}), None)], all_of_them) == [statement]


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
    assert unscoped(sent, tenant_ids(runtime)) == []
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
