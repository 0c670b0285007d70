"""scripts/backup: all that an installation must not lose goes into one file, while it runs, and comes back from it.

The database is the truth; what lies in the broker and in the cache is made again from it. On the embedded default the
file with the demo tenant's keys goes along.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, func, inspect, make_url, select, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from config.environment import SettingsError
from scripts import folder
from scripts.installation import data_dir_of, database_url
from scripts.options import parse
from scripts.trouble import Trouble
from scripts.upkeep import archive, postgresql_tools, sqlite_file
from scripts.upkeep.archive import Database, Manifest
from service.settings import BEAT_EVERY_S
from service.sizing.version import ENGINE_VERSION
from service.store import processes
from service.store.engine import make_engine
from service.store.migrate import alembic_config, upgrade
from service.store.revision import current_revision
from service.store.schema import METADATA
from service.store.tables.processes import HeartbeatRow

_KEYS = "keys.json"
# A process that has been stopped or killed is silent for so long.
_SILENT_FOR_S = 5 * BEAT_EVERY_S
_DATABASE = {Database.SQLITE: "headroom.db", Database.POSTGRESQL: "headroom.pgdump"}


def main(arguments: list[str], environ: Mapping[str, str] | None = None) -> int:
    """Write a backup or restore one; 1 when that does not work, told in a sentence."""
    options = parse("backup", arguments)
    given = os.environ if environ is None else environ
    data_dir = data_dir_of(given, options.data_dir)
    try:
        address = make_url(given.get("DATABASE_URL", "").strip() or database_url(data_dir))
        if options.restore:
            _restore(options.file, address, data_dir, replace=options.replace)
        else:
            _backup(options.file, address, data_dir)
    except (Trouble, SettingsError) as trouble:
        print(f"headroom: {trouble}", file=sys.stderr)
        return 1
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).partition("\n")[0]
        print(f"headroom: the database does not answer as it should: {reason}", file=sys.stderr)
        return 1
    return 0


def _backup(target: Path, address: URL, data_dir: Path) -> None:
    kind = _kind_of(address)
    if kind is Database.SQLITE and not _file_of(address).is_file():
        raise Trouble(f"There is no database in {data_dir}; HEADROOM_DATA_DIR, --data-dir or DATABASE_URL names one.")
    if not target.parent.is_dir():
        raise Trouble(f"There is no folder {target.parent} to write {target.name} into.")
    with tempfile.TemporaryDirectory(prefix=".headroom-backup-", dir=target.parent) as name:
        place = Path(name) / _DATABASE[kind]
        if kind is Database.SQLITE:
            sqlite_file.copy(_file_of(address), place)
            counted = make_url(f"sqlite:///{place}")
        else:
            postgresql_tools.dump(address, place)
            counted = address
        files = {place.name: place}
        keys = data_dir / _KEYS
        if kind is Database.SQLITE and keys.is_file():
            files[_KEYS] = Path(shutil.copy(keys, Path(name) / _KEYS))
        with _engine(counted) as engine:
            revision, rows = _looked_at(engine)
        manifest = Manifest(
            database=kind,
            schema_revision=revision,
            engine_version=ENGINE_VERSION,
            made_at=datetime.now(UTC).isoformat(timespec="seconds"),
            rows=rows,
            sha256={known: archive.sha256_of(path) for known, path in files.items()},
        )
        archive.write(target, manifest, files)
    print(f"{target}: {_told(manifest)}, {target.stat().st_size:,} bytes.")


def _restore(source: Path, address: URL, data_dir: Path, *, replace: bool) -> None:
    manifest, kind = archive.read(source), _kind_of(address)
    if manifest.database is not kind:
        raise Trouble(f"{source} is of {manifest.database}, and this installation is on {kind}.")
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if manifest.schema_revision not in known:
        raise Trouble(
            f"{source} was made by a newer release (schema {manifest.schema_revision}); restore it with that."
        )
    if kind is Database.SQLITE:
        folder.make(data_dir)
    with folder.held(data_dir) if kind is Database.SQLITE else nullcontext(), _unpacked(source, manifest) as files:
        if kind is Database.POSTGRESQL:
            _come_back(address)
        if not replace and _has_tables(address):
            raise Trouble("There is a database already: --replace puts the backup in its place.")
        _check_still(address)
        place = files[_DATABASE[kind]]
        if kind is Database.SQLITE:
            sqlite_file.check(place)
            sqlite_file.put(place, _file_of(address))
            if _KEYS in files:
                shutil.copy(files[_KEYS], data_dir / _KEYS)
        else:
            _into_postgresql(place, address)
        with _engine(address) as engine:
            _, rows = _looked_at(engine)
        reached = upgrade(address.render_as_string(hide_password=False))
    if kind is Database.SQLITE and dict(rows) != dict(manifest.rows):
        raise Trouble("What was restored has not the rows that the backup counted.")
    print(f"Restored {_told(manifest)}; the schema is {reached} now.")


def _into_postgresql(place: Path, address: URL) -> None:
    """What is there is put aside until all of the backup is in its place, and comes back where that fails."""
    aside = f"{postgresql_tools.ASIDE}{datetime.now(UTC):%Y%m%d%H%M%S}"
    with _engine(address) as engine:
        with engine.begin() as connection:
            connection.execute(text(f"ALTER SCHEMA public RENAME TO {aside}"))
            connection.execute(text("CREATE SCHEMA public"))
        try:
            postgresql_tools.restore(place, address)
        except BaseException:
            # Whoever interrupts it finds what was there, too.
            with engine.begin() as connection:
                connection.execute(text("DROP SCHEMA public CASCADE"))
                connection.execute(text(f"ALTER SCHEMA {aside} RENAME TO public"))
            raise
        with engine.begin() as connection:
            connection.execute(text("SET LOCAL statement_timeout = 0"))
            for name in _put_aside(connection):
                connection.execute(text(f'DROP SCHEMA "{name}" CASCADE'))


def _come_back(address: URL) -> None:
    """What a restore had put aside that was killed before it ended is there again, where nothing came in its place."""
    with _engine(address) as engine, engine.begin() as connection:
        aside = _put_aside(connection)
        if aside and not inspect(connection).get_table_names():
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text(f'ALTER SCHEMA "{aside[-1]}" RENAME TO public'))
            print("A restore was broken off before; what was there then is there again.", file=sys.stderr)


def _put_aside(connection: Connection) -> list[str]:
    """Schemas that restores have put aside, the newest last."""
    return sorted(name for name in inspect(connection).get_schema_names() if name.startswith(postgresql_tools.ASIDE))


@contextmanager
def _unpacked(source: Path, manifest: Manifest) -> Iterator[dict[str, Path]]:
    with tempfile.TemporaryDirectory(prefix="headroom-restore-") as name:
        yield archive.unpack(source, manifest, Path(name))


@contextmanager
def _engine(address: URL) -> Iterator[Engine]:
    engine = make_engine(address.render_as_string(hide_password=False), pool_size=1)
    try:
        yield engine
    finally:
        engine.dispose()


def _looked_at(engine: Engine) -> tuple[str, dict[str, int]]:
    """The revision of the schema, and how many rows each table has."""
    with engine.connect() as connection:
        revision = current_revision(connection)
        if revision is None:
            raise Trouble("The database is empty: nothing was ever written into it.")
        if engine.dialect.name != "sqlite":
            connection.execute(text("SET statement_timeout = 0"))
        there = set(inspect(connection).get_table_names())
        return revision, {
            table.name: connection.scalar(select(func.count()).select_from(table)) or 0
            for table in METADATA.sorted_tables
            if table.name in there
        }


def _has_tables(address: URL) -> bool:
    if _kind_of(address) is Database.SQLITE and not _file_of(address).is_file():
        return False
    with _engine(address) as engine:
        return bool(inspect(engine).get_table_names())


def _check_still(address: URL) -> None:
    """Trouble while workers or dispatchers of the installation run: they would write into what is put in its place."""
    if not _has_tables(address):
        return
    since = datetime.now(UTC) - timedelta(seconds=_SILENT_FOR_S)
    with _engine(address) as engine, Session(engine) as session:
        if not inspect(engine).has_table(HeartbeatRow.__tablename__):
            return
        alive = processes.count_alive(session, since=since)
    if alive:
        said = ", ".join(f"{count} {role}" for role, count in sorted(alive.items()))
        raise Trouble(
            f"The installation runs ({said} seen in the last {_SILENT_FOR_S:g} s). Stop all of it, web processes too, "
            "and restore then."
        )


def _kind_of(address: URL) -> Database:
    return Database.SQLITE if address.get_backend_name() == "sqlite" else Database.POSTGRESQL


def _file_of(address: URL) -> Path:
    return Path(address.database or "").expanduser().resolve()


def _told(manifest: Manifest) -> str:
    rows = manifest.rows
    names = ("tenants", "workloads", "runs", "batches", "quotes", "schedules")
    counts = ", ".join(f"{rows[name]:,} {name}" for name in names if rows.get(name))
    said = f"{manifest.database}, schema {manifest.schema_revision}, as of {manifest.made_at}"
    return f"{said}: {counts or 'no tenants yet'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
