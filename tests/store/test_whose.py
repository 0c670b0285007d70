"""What a thread that acts for tenants may send, on both databases: each table is compared with them, for every row."""

from datetime import UTC, datetime

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
from service.store.scope import ForeignRowsError, act_for, for_these, keep_to_tenants
from service.store.tables.keys import PrincipalRow
from service.store.tables.runs import ResultRow
from service.store.tables.tenants import TenantRow

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)
OWN, FOREIGN = "ten_own", "ten_foreign"
T = ResultRow.__table__
P = PrincipalRow.__table__
ALIAS = T.alias()
OTHER = aliased(ResultRow)
IS_OWN, IS_FOREIGN = T.c.tenant_id == OWN, T.c.tenant_id == FOREIGN


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
    "a removal of another's": delete(T).where(IS_FOREIGN),
    "a removal in a WITH": select(delete(T).where(IS_OWN).returning(T.c.digest).cte().c.digest),
    "copied": insert(T).from_select(
        ["tenant_id", "digest", "body", "working", "feasible", "created_at"],
        select(literal(OWN), literal("y"), T.c.body, T.c.working, T.c.feasible, T.c.created_at),
    ),
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
