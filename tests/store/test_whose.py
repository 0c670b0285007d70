"""What a thread that acts for tenants may send, on both databases: each table is compared with them, for every row."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    and_,
    bindparam,
    column,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    table,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import aliased, sessionmaker
from sqlalchemy.orm.exc import ObjectDeletedError

from service.store.engine import WRITES
from service.store.insert import insert_into
from service.store.scope import ForeignRowsError, act_for, for_these, keep_to_tenants
from service.store.tables.keys import PrincipalRow
from service.store.tables.quotes import QuoteNumberRow
from service.store.tables.runs import ResultRow
from service.store.tables.tenants import TenantRow

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
OWN, FOREIGN = "ten_own", "ten_foreign"
T = ResultRow.__table__
P = PrincipalRow.__table__
ALIAS = T.alias()
OTHER = aliased(ResultRow)
IS_OWN, IS_FOREIGN = T.c.tenant_id == OWN, T.c.tenant_id == FOREIGN
TENANTS = TenantRow.__table__
COLUMNS = ["tenant_id", "digest", "body", "working", "feasible", "created_at"]
SOME = {"body": "{}", "working": "{}", "feasible": True, "created_at": NOON}


def result(tenant_id: str) -> ResultRow:
    return ResultRow(tenant_id=tenant_id, digest="x", body="{}", working="{}", feasible=True, created_at=NOON)


@pytest.fixture
def sessions(engine):
    sessions = sessionmaker(engine, expire_on_commit=False, execution_options=WRITES)
    keep_to_tenants(engine, sessions)
    with sessions() as session:
        session.add_all([TenantRow(id=each, name=each, created_at=NOON) for each in (OWN, FOREIGN)])
        session.flush()
        session.add_all(map(result, (OWN, FOREIGN)))
        session.add_all(
            [PrincipalRow(id=f"p_{each}", tenant_id=each, name=each, created_at=NOON) for each in (OWN, FOREIGN)]
        )
        session.commit()
    act_for(OWN)
    yield sessions
    act_for(None)


REFUSED = {
    "another's": select(T).where(IS_FOREIGN),
    "another's among one's own": select(T).where(T.c.tenant_id.in_([OWN, FOREIGN])),
    "either": select(T).where(or_(IS_OWN, T.c.digest == "x")),
    "not one's own": select(T).where(~IS_OWN),
    "others than one's own": select(T).where(T.c.tenant_id != OWN),
    "itself": select(T).where(T.c.tenant_id == T.c.tenant_id),
    "a tenant that a query finds": select(T).where(T.c.tenant_id.in_(select(TenantRow.id))),
    "in its columns only": select(T.c.digest, IS_OWN),
    "words": text("SELECT tenant_id FROM results"),
    "words among others": select(T.c.tenant_id).where(IS_OWN, text("1 = 1")),
    "a table by its name": select(table("results", column("digest")).c.digest),
    "an alias beside": select(ALIAS).where(IS_OWN, ALIAS.c.digest == T.c.digest),
    "left of a left join": select(T.c.tenant_id).select_from(
        T.outerjoin(ALIAS, and_(IS_OWN, ALIAS.c.tenant_id == OWN, ALIAS.c.digest == T.c.digest))
    ),
    "a full join": select(T.c.tenant_id).select_from(
        T.join(ALIAS, and_(IS_OWN, ALIAS.c.tenant_id == OWN, ALIAS.c.digest == T.c.digest), full=True)
    ),
    "in a subquery": select(literal(1)).where(exists(select(T.c.digest).where(T.c.digest == "x"))),
    "one half of a union": union_all(select(T.c.digest).where(IS_OWN), select(T.c.digest)),
    "joined to objects": select(PrincipalRow.id, T.c.tenant_id).join(T, T.c.digest != PrincipalRow.id),
    "beside objects": select(PrincipalRow.id).where(T.c.digest != PrincipalRow.id),
    "joined tables of objects": select(PrincipalRow.id).select_from(P.join(T, T.c.digest != P.c.id)),
    "objects from a statement": select(ResultRow).from_statement(select(T)),
    "a change of another's": update(T).where(IS_FOREIGN).values(feasible=False),
    "a change out of another table": update(ResultRow).values(body=P.c.name).where(P.c.name != T.c.digest),
    "a change of another object's": update(ResultRow)
    .values(body=PrincipalRow.name)
    .where(PrincipalRow.name != ResultRow.digest),
    "given away": update(T).where(IS_OWN).values(tenant_id=FOREIGN),
    "given away as a bound value": update(T).where(IS_OWN).values(tenant_id=bindparam("whom", FOREIGN)),
    "given away to whom a query finds": update(T)
    .where(IS_OWN)
    .values(tenant_id=select(TENANTS.c.id).where(TENANTS.c.id != OWN).scalar_subquery()),
    "objects given away": update(ResultRow).values(
        tenant_id=select(TenantRow.id).where(TenantRow.id != OWN).scalar_subquery()
    ),
    "objects given away in order": update(ResultRow).ordered_values(("tenant_id", literal(FOREIGN))),
    "a removal of another's": delete(T).where(IS_FOREIGN),
    "a removal in a WITH": select(delete(T).where(IS_OWN).returning(T.c.digest).cte().c.digest),
    "a change in a WITH": select(
        update(TENANTS)
        .values(name=T.c.body)
        .where(TENANTS.c.id == T.c.tenant_id)
        .returning(TENANTS.c.name)
        .cte()
        .c.name
    ),
    "copied": insert(T).from_select(
        COLUMNS, select(literal(OWN), literal("y"), T.c.body, T.c.working, T.c.feasible, T.c.created_at)
    ),
    "made for whom a query finds": insert(T).from_select(
        COLUMNS,
        select(TENANTS.c.id, literal("y"), *map(literal, SOME.values())).where(
            TENANTS.c.id != bindparam("tenant_id", OWN)
        ),
    ),
    "a new one of another's": insert(T).values(tenant_id=FOREIGN, digest="y", **SOME),
    "a new one of another's as a literal": insert(T).values(tenant_id=literal(FOREIGN), digest="y", **SOME),
    "a new one of another's by a value of its own": insert(T).values(
        tenant_id=bindparam("whom", FOREIGN), digest="y", **SOME
    ),
    "a new one of another's by a query": insert(T).values(
        tenant_id=select(TENANTS.c.id).where(TENANTS.c.id != OWN).scalar_subquery(), digest="y", **SOME
    ),
    "new ones of both": insert(T).values(
        [
            {"tenant_id": OWN, "digest": "y", **SOME},
            {"tenant_id": FOREIGN, "digest": "y", **SOME},
        ]
    ),
    "new ones, one by a query": insert(T).values(
        [
            {"tenant_id": OWN, "digest": "y", **SOME},
            {"tenant_id": select(TENANTS.c.id).where(TENANTS.c.id != OWN).scalar_subquery(), "digest": "y", **SOME},
        ]
    ),
    "in place of another's": insert(T).prefix_with("OR REPLACE").values(tenant_id=OWN, digest="y", **SOME),
    "a hint": select(T.c.body).where(IS_OWN).with_statement_hint("UNION ALL SELECT body FROM results"),
    "a hint at a table": select(T.c.body).where(IS_OWN).with_hint(T, "ONLY"),
    "a suffix": select(T.c.body).where(IS_OWN).suffix_with("UNION ALL SELECT body FROM results"),
    "a value in words": select(T.c.body).where(T.c.tenant_id == bindparam("whose", OWN, literal_execute=True)),
}

ALLOWED = {
    "one's own": select(T.c.tenant_id).where(IS_OWN),
    "of a value that is given": select(T.c.tenant_id).where(T.c.tenant_id == bindparam("whose", OWN)),
    "one of several": select(T.c.tenant_id).where(T.c.tenant_id.in_([OWN]), or_(T.c.digest == "x", T.c.digest == "y")),
    "an alias": select(ALIAS.c.tenant_id).where(ALIAS.c.tenant_id == OWN),
    "right of a left join": select(T.c.tenant_id)
    .select_from(T.outerjoin(ALIAS, and_(ALIAS.c.tenant_id == OWN, ALIAS.c.digest == T.c.digest)))
    .where(IS_OWN),
    "a join": select(ALIAS.c.tenant_id).select_from(
        T.join(ALIAS, and_(IS_OWN, ALIAS.c.tenant_id == OWN, ALIAS.c.digest == T.c.digest))
    ),
    "correlated": select(T.c.tenant_id).where(
        IS_OWN, exists(select(ALIAS.c.digest).where(ALIAS.c.tenant_id == OWN, ALIAS.c.digest == T.c.digest))
    ),
    "objects": select(ResultRow.tenant_id),
    "aliased objects": select(OTHER.tenant_id).join(ResultRow, ResultRow.digest == OTHER.digest),
    "objects that only a WHERE names": select(ResultRow.tenant_id).where(PrincipalRow.tenant_id == ResultRow.tenant_id),
    "objects in a subquery": select(ResultRow.tenant_id).where(
        ResultRow.tenant_id.in_(select(PrincipalRow.name).where(exists().where(OTHER.digest == ResultRow.digest)))
    ),
    "objects of a WITH": select(select(ResultRow.tenant_id).cte().c.tenant_id),
    "a union of objects": union_all(select(ResultRow.tenant_id), select(PrincipalRow.tenant_id)),
    "counted": select(func.min(ResultRow.tenant_id)),
    "a change": update(T).where(IS_OWN).values(feasible=False).returning(T.c.tenant_id),
    "a removal": delete(T).where(IS_OWN).returning(T.c.tenant_id),
    "a removal of objects": delete(ResultRow).returning(ResultRow.tenant_id),
    "a new one": insert(T).values(tenant_id=OWN, digest="y", **SOME).returning(T.c.tenant_id),
    "a new one as a literal": insert(T).values(tenant_id=literal(OWN), digest="y", **SOME).returning(T.c.tenant_id),
    "a new object": insert(ResultRow).values(tenant_id=OWN, digest="y", **SOME).returning(ResultRow.tenant_id),
    "new ones": insert(T)
    .values([{"tenant_id": OWN, "digest": each, **SOME} for each in "yz"])
    .returning(T.c.tenant_id),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_not_kept_to_the_tenant_is_refused(sessions, engine, kind):
    with sessions() as session, pytest.raises(ForeignRowsError):
        session.execute(REFUSED[kind])
    with engine.connect() as connection, pytest.raises(ForeignRowsError):
        connection.execute(REFUSED[kind])


@pytest.mark.parametrize("kind", ALLOWED)
def test_what_is_kept_to_the_tenant_finds_that_one(sessions, kind):
    with sessions() as session:
        assert set(session.scalars(ALLOWED[kind])) == {OWN}


def principal(dialect: str, key: str) -> Any:
    return insert_into(P, dialect).values(id=key, tenant_id=OWN, name="new", created_at=NOON)


def test_what_is_there_instead_is_changed_only_where_it_is_of_the_same_tenant(sessions, engine):
    number = insert_into(QuoteNumberRow, engine.name).values(tenant_id=OWN, year=2026, last=1)
    key = [QuoteNumberRow.tenant_id, QuoteNumberRow.year]
    new = principal(engine.name, f"p_{FOREIGN}")
    own = principal(engine.name, f"p_{OWN}")
    refused = (
        new.on_conflict_do_update(index_elements=["id"], set_={"name": "stolen"}).returning(P.c.name),
        new.on_conflict_do_update(index_elements=[P.c.id], set_={"name": new.excluded.name}),
        own.on_conflict_do_update(index_elements=["id"], set_={"tenant_id": FOREIGN}),
        number.on_conflict_do_update(index_elements=key, set_={QuoteNumberRow.tenant_id: FOREIGN}),
    )
    with sessions() as session:
        for statement in refused:
            with pytest.raises(ForeignRowsError):
                session.execute(statement)
        assert session.execute(new.on_conflict_do_nothing().returning(P.c.name)).all() == []
        count = number.on_conflict_do_update(index_elements=key, set_={"last": QuoteNumberRow.last + 1})
        assert [session.scalar(count.returning(QuoteNumberRow.last)) for _ in range(2)] == [1, 2]
        act_for(None)
        names = dict(session.execute(select(P.c.id, P.c.name)).all())
        assert names == {f"p_{each}": each for each in (OWN, FOREIGN)}


def test_what_another_compiler_wrote_is_refused(sessions, engine):
    act_for(None)
    engine.dialect.statement_compiler = type(engine.dialect).statement_compiler
    with engine.connect() as connection:
        connection.execute(select(T.c.digest).where(IS_OWN))
        act_for(OWN)
        with pytest.raises(ForeignRowsError):
            connection.execute(select(T.c.digest).where(IS_OWN))


def test_a_sqlalchemy_that_no_longer_says_what_a_select_reads_is_found_out_at_once():
    lost = "from sqlalchemy.sql.compiler import SQLCompiler; del SQLCompiler._compose_select_body"
    found = subprocess.run(
        [sys.executable, "-c", f"{lost}; import service.store.whose"], capture_output=True, text=True, check=False
    )
    assert "AttributeError: type object 'SQLCompiler' has no attribute '_compose_select_body'" in found.stderr


def test_a_statement_that_is_known_is_looked_at_for_its_values_each_time(sessions, engine):
    of = select(T.c.tenant_id).where(T.c.tenant_id == bindparam("whose"))
    for tenant_id in (OWN, FOREIGN, OWN):
        with engine.connect() as connection:
            act_for(tenant_id)
            assert connection.scalar(of, {"whose": tenant_id}) == tenant_id
            act_for(OWN if tenant_id == FOREIGN else FOREIGN)
            with pytest.raises(ForeignRowsError):
                connection.scalar(of, {"whose": tenant_id})
    with for_these((OWN, FOREIGN)), engine.connect() as connection:
        assert len(connection.execute(select(T).where(T.c.tenant_id.in_([OWN, FOREIGN]))).all()) == 2


def test_many_rows_are_each_looked_at(sessions):
    change = update(ResultRow)
    mine = {"tenant_id": OWN, "digest": "x", "feasible": False}
    with sessions() as session:
        session.execute(change, [mine, mine])
        with pytest.raises(ForeignRowsError):
            session.execute(change, [mine, mine | {"tenant_id": FOREIGN}])
        # Their key does not say whose they are.
        with pytest.raises(ForeignRowsError):
            session.execute(update(PrincipalRow), [{"id": f"p_{OWN}", "name": "x"}])


def test_objects_are_read_again_and_those_of_another_are_not_there(sessions):
    with sessions() as session:
        act_for(None)
        foreign = session.get_one(PrincipalRow, f"p_{FOREIGN}")
        act_for(OWN)
        own = session.get_one(PrincipalRow, f"p_{OWN}")
        session.refresh(own)
        session.expire_all()
        assert own.name == OWN
        with pytest.raises(ObjectDeletedError):
            _ = foreign.name
        with pytest.raises(InvalidRequestError):
            session.refresh(foreign)
        added = PrincipalRow(id="p_new", tenant_id=OWN, name="new", created_at=NOON)
        session.add(added)
        session.flush()
        session.refresh(added)
        assert added.name == "new"
