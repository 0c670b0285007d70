"""scripts/backup: written while others write, restored with all that was there, of an older schema too."""

import hashlib
import io
import json
import shutil
import sqlite3
import stat
import subprocess
import tarfile
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import text

from scripts.upkeep.command import main
from service.access import Role
from service.planning.execute import execute
from service.planning.heartbeat import WORKER, beat, silence
from service.planning.keys import authenticate, create_key, create_tenant
from service.planning.reading import get_run, list_workloads
from service.planning.submit import submit
from service.runtime import Runtime, build_runtime
from service.store.engine import make_engine
from service.store.migrate import alembic_config, upgrade
from service.store.revision import current_revision, head_revision
from tests.planning.conftest import chat

OLDEST = "0001"


@pytest.fixture
def opened(settings, facts, queue):
    """Opens a database as a process of an installation does."""
    made: list[Runtime] = []

    def open_it(url: str, **more: Path) -> Runtime:
        made.append(build_runtime(replace(settings, database_url=url, **more), facts=facts, queue=queue))
        return made[-1]

    yield open_it
    for runtime in made:
        runtime.sessions.kw["bind"].dispose()


@pytest.fixture
def embedded(opened, migrated_sqlite, tmp_path):
    """An embedded installation."""
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    shutil.copy(migrated_sqlite, data_dir / "headroom.db")
    return opened(f"sqlite:///{data_dir / 'headroom.db'}", data_dir=data_dir)


def answered(runtime: Runtime):
    """A caller and a run of theirs that is done."""
    tenant_id = create_tenant(runtime, "acme")
    key = create_key(runtime, tenant_id, principal="ann", role=Role.SELLER)
    caller = authenticate(runtime, key.token)
    run = submit(runtime, caller, chat(), request_id="req_1")
    execute(runtime, run.id)
    return caller, run


def backup(path: Path, data_dir: Path, *more: str, **environ: str) -> int:
    return main([str(path), "--data-dir", str(data_dir), *more], environ)


def test_a_backup_of_the_embedded_default_restores_all_of_it(embedded, opened, tmp_path, capsys):
    caller, run = answered(embedded)
    keys = '{"keys": {}}'
    (embedded.settings.data_dir / "keys.json").write_text(keys)
    saved = tmp_path / "saved.tar"
    assert backup(saved, embedded.settings.data_dir) == 0, capsys.readouterr().err
    assert "1 workloads, 1 runs" in capsys.readouterr().out
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    elsewhere = tmp_path / "elsewhere"
    assert backup(saved, elsewhere, "--restore") == 0, capsys.readouterr().err
    assert (elsewhere / "keys.json").read_text() == keys
    restored = opened(f"sqlite:///{elsewhere / 'headroom.db'}")
    assert get_run(restored, caller, run.id) == get_run(embedded, caller, run.id)
    assert list_workloads(restored, caller) == list_workloads(embedded, caller)


def test_it_is_whole_while_others_write(embedded, tmp_path):
    caller, _ = answered(embedded)
    stop = threading.Event()

    def write() -> None:
        count = 0
        while not stop.is_set():
            submit(embedded, caller, chat(osl_tokens=300 + count), request_id="req_2")
            count += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        codes = [backup(tmp_path / f"{n}.tar", embedded.settings.data_dir) for n in range(3)]
    finally:
        stop.set()
        writer.join()
    assert codes == [0, 0, 0]
    # Each run has its workload: the copy is of one moment, and says how many rows that moment had.
    for n in range(3):
        assert backup(tmp_path / f"{n}.tar", tmp_path / f"at_{n}", "--restore") == 0
        with closing(sqlite3.connect(tmp_path / f"at_{n}" / "headroom.db")) as connection:
            assert connection.execute("select count(*) from runs").fetchone()[0] >= 1
            assert connection.execute("pragma foreign_key_check").fetchall() == []


def test_what_is_there_is_replaced_only_when_told(embedded, tmp_path, capsys):
    caller, run = answered(embedded)
    data_dir, saved = embedded.settings.data_dir, tmp_path / "saved.tar"
    assert backup(saved, data_dir) == 0
    submit(embedded, caller, chat(osl_tokens=999), request_id="req_2")
    assert backup(saved, data_dir, "--restore") == 1
    assert "--replace" in capsys.readouterr().err
    assert backup(saved, data_dir, "--restore", "--replace") == 0
    with closing(sqlite3.connect(data_dir / "headroom.db")) as connection:
        assert connection.execute("select id from runs").fetchall() == [(run.id,)]


def counted(connection):
    return {name: connection.scalar(text(f"select count(*) from {name}")) for name in ("workloads", "runs", "results")}


def test_an_older_folder_starts_under_the_new_code(embedded, opened, tmp_path, capsys):
    """The schema of the first release, with what it held: backed up, restored and brought to that of today."""
    caller, run = answered(embedded)
    before = get_run(embedded, caller, run.id).result
    engine = make_engine(embedded.settings.database_url)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), OLDEST)
        rows = {
            name: connection.scalar(text(f"select count(*) from {name}")) for name in ("workloads", "runs", "results")
        }
    engine.dispose()
    assert rows == {"workloads": 1, "runs": 1, "results": 1}
    saved, elsewhere = tmp_path / "saved.tar", tmp_path / "elsewhere"
    assert backup(saved, embedded.settings.data_dir) == 0, capsys.readouterr().err
    assert f"schema {OLDEST}" in capsys.readouterr().out
    assert backup(saved, elsewhere, "--restore") == 0, capsys.readouterr().err
    assert f"the schema is {head_revision()} now" in capsys.readouterr().out
    engine = make_engine(f"sqlite:///{elsewhere / 'headroom.db'}")
    with engine.connect() as connection:
        assert current_revision(connection) == head_revision()
        assert counted(connection) == rows
    engine.dispose()
    for folder in (elsewhere, embedded.settings.data_dir):
        # The second was never backed up: it is what scripts/run finds, and brings to the newest schema as it starts.
        url = f"sqlite:///{folder / 'headroom.db'}"
        assert upgrade(url) == head_revision()
        # Whoever goes down and up again spells small numbers otherwise.
        assert json.loads(get_run(opened(url), caller, run.id).result) == json.loads(before)


def altered(saved: Path, change) -> None:
    """A backup whose members were changed."""
    with tarfile.open(saved) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
    change(members)
    with tarfile.open(saved, "w") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))


def of_schema(revision):
    def change(members):
        manifest = json.loads(members["manifest.json"])
        members["manifest.json"] = json.dumps({**manifest, "schema_revision": revision}).encode()

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda members: members.update({"headroom.db": members["headroom.db"][:-1] + b"x"}), "is damaged"),
        (lambda members: members.pop("manifest.json"), "not a backup"),
        (of_schema("9999"), "newer release"),
        (lambda members: members.update({"manifest.json": b"{}"}), "not a backup"),
    ],
)
def test_what_is_no_sound_backup_restores_nothing(change, said, embedded, tmp_path, capsys):
    saved, elsewhere = tmp_path / "saved.tar", tmp_path / "elsewhere"
    assert backup(saved, embedded.settings.data_dir) == 0
    altered(saved, change)
    capsys.readouterr()
    assert backup(saved, elsewhere, "--restore") == 1
    assert said in capsys.readouterr().err
    assert not (elsewhere / "headroom.db").exists()


def test_what_is_not_there_is_named(tmp_path, capsys):
    assert backup(tmp_path / "saved.tar", tmp_path / "nowhere") == 1
    assert "There is no database" in capsys.readouterr().err
    assert backup(tmp_path / "none.tar", tmp_path / "x", "--restore") == 1
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "text.tar").write_text("no tar")
    assert backup(tmp_path / "text.tar", tmp_path / "x", "--restore") == 1
    assert "not a backup" in capsys.readouterr().err
    assert backup(tmp_path / "none" / "saved.tar", tmp_path) == 1


@pytest.fixture
def other_postgresql(postgresql_server):
    """An empty database on the same server."""
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("DROP DATABASE IF EXISTS restored")
        connection.execute("CREATE DATABASE restored")
    yield postgresql_server.replace("postgresql://", "postgresql+psycopg://").removesuffix("postgres") + "restored"
    with psycopg.connect(postgresql_server, autocommit=True) as connection:
        connection.execute("DROP DATABASE restored WITH (FORCE)")


def test_postgresql_is_dumped_and_restored_with_all_of_it(
    opened, emptied_postgresql, other_postgresql, tmp_path, capsys
):
    live = opened(emptied_postgresql)
    caller, run = answered(live)
    saved = tmp_path / "saved.tar"
    assert main([str(saved)], {"DATABASE_URL": emptied_postgresql}) == 0, capsys.readouterr().err
    for more in ((), ("--replace",)):
        assert main([str(saved), "--restore", *more], {"DATABASE_URL": other_postgresql}) == 0, capsys.readouterr().err
        restored = opened(other_postgresql)
        assert get_run(restored, caller, run.id) == get_run(live, caller, run.id)
        submit(restored, caller, chat(osl_tokens=999), request_id="req_2")
    assert main([str(saved), "--restore"], {"DATABASE_URL": other_postgresql}) == 1
    assert "--replace" in capsys.readouterr().err
    # What fails leaves what was there.
    altered(saved, _broken)
    assert main([str(saved), "--restore", "--replace"], {"DATABASE_URL": other_postgresql}) == 1
    assert "pg_restore failed" in capsys.readouterr().err
    restored = opened(other_postgresql)
    assert get_run(restored, caller, run.id) == get_run(live, caller, run.id)


def test_what_runs_is_not_replaced(opened, embedded, other_postgresql, tmp_path, capsys):
    running = opened(other_postgresql)
    for address, runtime in ((other_postgresql, running), (None, embedded)):
        environ = {} if address is None else {"DATABASE_URL": address}
        if address is not None:
            upgrade(address)
        caller, run = answered(runtime)
        data_dir, saved = str(embedded.settings.data_dir), str(tmp_path / f"{runtime is running}.tar")
        assert main([saved, "--data-dir", data_dir], environ) == 0
        beat(runtime, "worker:there:1", role=WORKER)
        assert main([saved, "--data-dir", data_dir, "--restore", "--replace"], environ) == 1
        assert "worker" in (said := capsys.readouterr().err)
        assert "Stop" in said
        assert get_run(runtime, caller, run.id).id == run.id
        silence(runtime, "worker:there:1")
        assert main([saved, "--data-dir", data_dir, "--restore", "--replace"], environ) == 0, capsys.readouterr().err


def test_a_restore_that_is_interrupted_leaves_what_was_there(opened, other_postgresql, tmp_path, monkeypatch):
    upgrade(other_postgresql)
    runtime = opened(other_postgresql)
    caller, run = answered(runtime)
    saved = str(tmp_path / "saved.tar")
    assert main([saved], {"DATABASE_URL": other_postgresql}) == 0

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        main([saved, "--restore", "--replace"], {"DATABASE_URL": other_postgresql})
    assert get_run(runtime, caller, run.id).id == run.id


@pytest.mark.parametrize("done", [False, True])
def test_what_a_killed_restore_had_put_aside_comes_back_or_goes(done, opened, other_postgresql, tmp_path, capsys):
    upgrade(other_postgresql)
    runtime = opened(other_postgresql)
    caller, run = answered(runtime)
    environ, saved = {"DATABASE_URL": other_postgresql}, str(tmp_path / "saved.tar")
    assert main([saved], environ) == 0
    plain = other_postgresql.replace("+psycopg", "")
    with psycopg.connect(plain, autocommit=True) as connection:
        connection.execute("ALTER SCHEMA public RENAME TO before_restore_20261129120000")
        connection.execute("CREATE SCHEMA public")
        if done:
            # Killed at the very end: all of the backup is in its place.
            upgrade(other_postgresql)
        assert main([saved, "--restore"], environ) == 1
        said = capsys.readouterr().err
        assert "--replace" in said
        assert ("there again" in said) is not done
        if not done:
            assert get_run(opened(other_postgresql), caller, run.id) == get_run(runtime, caller, run.id)
        assert main([str(tmp_path / "again.tar")], environ) == 0
        assert main([str(tmp_path / "again.tar"), "--restore", "--replace"], environ) == 0, capsys.readouterr().err
        schemas = connection.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'before%'").fetchall()
    assert schemas == []


def test_a_restore_loses_nothing_of_what_was_there_before_it_is_replaced(embedded, tmp_path, monkeypatch):
    """What the log of the database held is in its file by the time that the log goes."""
    saved, data_dir = tmp_path / "saved.tar", embedded.settings.data_dir
    assert backup(saved, data_dir) == 0
    _, run = answered(embedded)

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        backup(saved, data_dir, "--restore", "--replace")
    with sqlite3.connect(data_dir / "headroom.db") as connection:
        assert connection.execute("SELECT id FROM runs WHERE id = ?", [run.id]).fetchone() == (run.id,)


def _broken(members):
    """A dump that is no dump, under the hash of what it is."""
    members["headroom.pgdump"] = b"nothing"
    manifest = json.loads(members["manifest.json"])
    manifest["sha256"]["headroom.pgdump"] = hashlib.sha256(b"nothing").hexdigest()
    members["manifest.json"] = json.dumps(manifest).encode()


def test_a_backup_of_one_kind_is_not_restored_into_another(embedded, other_postgresql, tmp_path, capsys):
    saved = tmp_path / "saved.tar"
    assert backup(saved, embedded.settings.data_dir) == 0
    assert main([str(saved), "--restore"], {"DATABASE_URL": other_postgresql}) == 1
    assert "is of sqlite" in capsys.readouterr().err
