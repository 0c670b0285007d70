import ast
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CheckConstraint

from service.schemas.digest import canonical_json
from service.store.engine import make_engine
from service.store.migrate import _LOCK_KEY, alembic_config, upgrade
from service.store.revision import current_revision, head_revision
from service.store.schema import METADATA, TABLES
from tests.workers.conftest import eventually


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """One of its own that has just been migrated from empty."""
    upgrade(database_url)
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        yield connection


def test_migrated_from_empty_equals_the_tables(connection):
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    assert compare_metadata(context, METADATA) == []


def _checks_of_the_code() -> set[tuple[str, str]]:
    return {
        (table.name, str(constraint.name))
        for table in METADATA.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint)
    }


def test_check_constraints_are_those_of_the_tables(connection):
    """Alembic does not compare these, so they are read back."""
    inspector = inspect(connection)
    found = {
        (table, str(check["name"]))
        for table in inspector.get_table_names()
        for check in inspector.get_check_constraints(table)
    }
    assert found == _checks_of_the_code()
    assert ("runs", "ck_runs_status") in found


def test_a_fresh_create_all_has_the_same_checks_word_for_word(connection, engine, tmp_path):
    """What the migration wrote is what the tables would write today, to the letter, on SQLite."""
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL rewrites the text of a check; its effect is tested in test_runs")
    fresh = make_engine(f"sqlite:///{tmp_path / 'fresh.db'}")
    METADATA.create_all(fresh)
    with fresh.connect() as other:
        for table in METADATA.tables:
            expected = {check["name"]: check["sqltext"] for check in inspect(other).get_check_constraints(table)}
            found = {check["name"]: check["sqltext"] for check in inspect(connection).get_check_constraints(table)}
            assert found == expected
    fresh.dispose()


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ("uq_runs_open_question", ("unique", "follows_run_id is null")),
        ("ix_runs_follows_run_id", ("(follows_run_id)", "follows_run_id is not null")),
    ],
)
def test_a_partial_index_is_partial(connection, engine, index, words):
    catalog = "sqlite_master" if engine.dialect.name == "sqlite" else "pg_indexes"
    column = "sql" if engine.dialect.name == "sqlite" else "indexdef"
    name = "name" if engine.dialect.name == "sqlite" else "indexname"
    query = text(f"SELECT {column} FROM {catalog} WHERE {name} = '{index}'")
    definition = str(connection.scalar(query)).lower()
    assert [word for word in words if word not in definition] == []


def test_the_index_of_followers_goes_down_and_up_again(engine):
    def columns() -> list[tuple[list[str | None], bool]]:
        found = inspect(connection).get_indexes("runs")
        of_followers = [index for index in found if index["name"] == "ix_runs_follows_run_id"]
        where = f"{engine.dialect.name}_where"
        return [(index["column_names"], where in index.get("dialect_options", {})) for index in of_followers]

    with engine.connect() as connection, connection.begin():
        command.downgrade(alembic_config(connection), "0002")
        assert columns() == [(["follows_run_id"], False)]
        command.upgrade(alembic_config(connection), "head")
        assert columns() == [(["follows_run_id"], True)]


def test_followers_are_found_by_their_index(connection, engine):
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL reads small tables whole, whatever indexes they have")
    query = "UPDATE runs SET status = 'running' WHERE follows_run_id = 'run_1' AND status IN ('queued', 'running')"
    plan = " ".join(str(row) for row in connection.execute(text(f"EXPLAIN QUERY PLAN {query}")))
    assert "ix_runs_follows_run_id" in plan


def test_postgresql_packs_answers_by_lz4_where_it_can(engine):
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite packs nothing")
    packed = text(
        "SELECT attname, attcompression FROM pg_attribute WHERE attrelid = 'results'::regclass"
        " AND attname IN ('body', 'working') ORDER BY attname"
    )

    def packed_by() -> set[str]:
        return {str(method) for _, method in connection.execute(packed)}

    with engine.connect() as connection, connection.begin():
        known = connection.scalar(text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"))
        assert packed_by() == ({"l"} if known and "lz4" in known else {""})
        command.downgrade(alembic_config(connection), "0014")
        assert packed_by() == {""}
        command.upgrade(alembic_config(connection), "head")


def test_every_table_is_in_the_metadata():
    assert {table.__tablename__ for table in TABLES} == set(METADATA.tables)


def test_there_is_one_head_and_the_scripts_are_numbered():
    scripts = ScriptDirectory.from_config(alembic_config())
    assert len(scripts.get_heads()) == 1
    revisions = sorted(script.revision for script in scripts.walk_revisions())
    assert revisions == [f"{number:04d}" for number in range(1, len(revisions) + 1)]


# What the release before it can live with. Older migrations are from before there was a release.
ADDS = {"create_table", "create_index", "add_column", "f", "execute"}
FREE_UNTIL = "0006"


def adds_only(source: str) -> set[str]:
    """The operations of `upgrade` that do more than add, and columns that older code could not insert without."""
    [upgrade] = [
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    ]
    calls = [node for node in ast.walk(upgrade) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    operations = [call for call in calls if ast.unparse(call.func.value) in {"op", "batch", "batch_op"}]
    wrong = {call.func.attr for call in operations} - ADDS
    for call in operations:
        words = ast.unparse(call)
        if call.func.attr == "add_column" and "nullable=False" in words and "server_default" not in words:
            wrong.add("a column that must be filled")
    return wrong


def test_a_migration_only_adds_so_that_the_release_before_it_runs_on():
    scripts = ScriptDirectory.from_config(alembic_config())
    newer = [script for script in scripts.walk_revisions() if script.revision > FREE_UNTIL]
    assert len(newer) >= 3
    assert {script.revision: adds_only(Path(script.path).read_text(encoding="utf-8")) for script in newer} == {
        script.revision: set() for script in newer
    }


def test_a_migration_that_takes_something_away_is_caught():
    lines = "op.drop_column('runs', 'kind')\n    op.add_column('runs', sa.Column('x', sa.Text(), nullable=False))"
    assert adds_only(f"def upgrade():\n    {lines}") == {"drop_column", "a column that must be filled"}


def test_a_database_that_a_later_release_has_migrated_stays_as_it_is(database_url):
    upgrade(database_url)
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert upgrade(database_url) == "9999"
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head_revision()})
    back = f"{int(head_revision()) - 1:04d}"
    assert upgrade(database_url, to=back) == back
    assert upgrade(database_url) == head_revision()
    engine.dispose()


def test_the_newest_revision_is_the_one_that_alembic_finds():
    assert head_revision() == ScriptDirectory.from_config(alembic_config()).get_current_head()


def test_processes_that_start_at_once_migrate_once(database_url):
    with ThreadPoolExecutor(6) as pool:
        reached = list(pool.map(upgrade, [database_url] * 6))
    assert reached == [head_revision()] * 6
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert current_revision(connection) == head_revision()
    engine.dispose()


_BUILDING = b"""SELECT pid FROM pg_stat_activity
    WHERE query LIKE '%INDEX CONCURRENTLY%' AND wait_event_type = 'Lock' AND datname = current_database()"""


def _index(connection: psycopg.Connection) -> tuple[bool, ...]:
    """Whether the index of items by question is valid, for each that there is."""
    query = "SELECT indisvalid FROM pg_index JOIN pg_class ON oid = indexrelid WHERE relname = 'ix_batch_items_digest'"
    return tuple(valid for (valid,) in connection.execute(query).fetchall())


def test_an_index_of_a_large_table_is_built_while_others_write(postgresql_url):
    """Somebody's transaction has written into the table and stays open: the index waits, and nobody waits for it."""
    upgrade(postgresql_url, to="0009")
    plain = postgresql_url.replace("+psycopg", "")
    writing = "LOCK TABLE batch_items IN ROW EXCLUSIVE MODE"
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(plain, autocommit=True) as look,
        psycopg.connect(plain, options="-c lock_timeout=2000") as other,
    ):
        for broken_off in (True, False):
            with psycopg.connect(plain) as long:
                long.execute(writing)
                upgraded = pool.submit(upgrade, postgresql_url)
                [pid] = eventually(lambda: look.execute(_BUILDING).fetchone())
                other.execute(writing)
                other.commit()
                if broken_off:
                    look.execute("SELECT pg_terminate_backend(%s)", [pid])
                    with pytest.raises(SQLAlchemyError):
                        upgraded.result(20)
                    assert _index(look) == (False,)
        assert upgraded.result(20) == head_revision()
        assert _index(look) == (True,)


def test_an_index_that_is_built_is_kept_when_the_rest_gives_way(postgresql_url):
    """Somebody reads the table that the same script changes next, while it is tried again and again."""
    upgrade(postgresql_url, to="0010")
    plain = postgresql_url.replace("+psycopg", "")
    whole = "SELECT indexrelid FROM pg_index WHERE indexrelid = to_regclass('ix_runs_failed') AND indisvalid"
    waits = (
        "SELECT query_start FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE tenants%'"
        " AND datname = current_database()"
    )
    with (
        ThreadPoolExecutor(1) as pool,
        psycopg.connect(plain, autocommit=True) as look,
        psycopg.connect(plain) as reader,
    ):
        reader.execute("SELECT count(*) FROM tenants")
        upgraded = pool.submit(upgrade, postgresql_url)
        first_try = eventually(lambda: look.execute(waits).fetchone())
        built = look.execute(whole).fetchone()
        eventually(lambda: look.execute(waits).fetchone() not in {None, first_try})
        reader.rollback()
        assert upgraded.result(60) == head_revision()
        assert built is not None
        assert look.execute(whole).fetchone() == built


def test_a_migration_gives_way_to_a_process_that_waits_for_its_lock_in_a_statement(postgresql_url):
    """As the release before did: the index waits for the statement, and the statement for whoever builds the index."""
    upgrade(postgresql_url, to="0010")
    plain = postgresql_url.replace("+psycopg", "")
    waiting = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"

    def wait_in_a_statement():
        # Who looks for a deadlock first is the one that is given up: that is to be the migration.
        with psycopg.connect(plain, options="-c deadlock_timeout=60000") as earlier:
            earlier.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_KEY])

    with (
        ThreadPoolExecutor(2) as pool,
        psycopg.connect(plain, autocommit=True) as look,
        psycopg.connect(plain) as writer,
    ):
        writer.execute("LOCK TABLE runs IN ROW EXCLUSIVE MODE")
        upgraded = pool.submit(upgrade, postgresql_url)
        eventually(lambda: look.execute(_BUILDING).fetchone())
        earlier = pool.submit(wait_in_a_statement)
        eventually(lambda: look.execute(waiting).fetchone())
        writer.rollback()
        assert upgraded.result(60) == head_revision()
        earlier.result(60)


OPTION = {"rank": 1, "server": "a", "working": [{"name": "x", "value": 1.5}]}
OLD_BODY = {"feasible": True, "name": "\u00e9", "options": [OPTION, {**OPTION, "rank": 2}]}


def _insert(connection: Connection, table: str, **values: object) -> None:
    names = ", ".join(values)
    connection.execute(
        text(f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})"), values
    )


def _before_0002(connection: Connection) -> None:
    command.downgrade(alembic_config(connection), "0001")
    moment = {"created_at": "2026-11-23 00:00:00"}
    _insert(connection, "tenants", id="ten", name="t", **moment)
    common = {"tenant_id": "ten", "principal": "ann", "kind": "inference", "question": "{}", **moment}
    _insert(connection, "workloads", id="wkl", labels="{}", version=1, **common)
    versions = {"catalog_version": "c", "calibration_version": "k", "engine_version": "e", "price_book_digest": "p"}
    ended = {"status": "done", "finished_at": "2026-11-23 00:00:01", "attempts": 0, "lease_token": 0, "cached": False}
    _insert(connection, "runs", id="run", workload_id="wkl", digest="d", request_id="r", **ended, **versions, **common)
    _insert(connection, "results", tenant_id="ten", digest="d", body=json.dumps(OLD_BODY), feasible=True, **moment)


def test_answers_from_before_the_working_moved_are_read_as_new_ones_and_back(engine):
    with engine.connect() as connection, connection.begin():
        _before_0002(connection)
        command.upgrade(alembic_config(connection), "0002")
        body, working = connection.execute(text("SELECT body, working FROM results")).one()
        assert json.loads(working) == {"1": OPTION["working"], "2": OPTION["working"]}
        bare = [{"rank": rank, "server": "a"} for rank in (1, 2)]
        versions = {"catalog_version": "c", "calibration_version": "k", "price_book_digest": "p", "digest": "d"}
        assert json.loads(body) == {**OLD_BODY, "options": bare, **versions}
        assert canonical_json(json.loads(body)).decode() == body
        command.downgrade(alembic_config(connection), "0001")
        assert json.loads(connection.execute(text("SELECT body FROM results")).scalar_one()) == OLD_BODY
        command.upgrade(alembic_config(connection), "head")


def test_a_migration_gives_way_to_who_reads_for_long_and_holds_up_nobody(engine, database_url):
    """On PostgreSQL whoever waits for a table makes all wait who come later."""
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite's readers never stop a writer")
    with engine.connect() as connection, connection.begin():
        command.downgrade(alembic_config(connection), "0002")
    with engine.connect() as reader, ThreadPoolExecutor(1) as pool:
        reader.execute(text("SELECT count(*) FROM runs"))
        migrating = pool.submit(upgrade, database_url)
        # The service's own patience with a lock is 3 s, so this would fail behind one that waits for longer.
        until_s = time.monotonic() + 4
        while time.monotonic() < until_s:
            time.sleep(0.1)
            with engine.connect() as caller:
                caller.execute(text("SELECT count(*) FROM runs"))
        assert not migrating.done()
        reader.rollback()
        assert migrating.result(timeout=60) == head_revision()
