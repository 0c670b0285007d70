"""The watch over the sessions of a database: how many there are, that it is full, and that anything was seen at all."""

import shutil
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from scripts.faulting.cases.sessions import Watched, expect_pooled, sessions_watched
from scripts.faulting.chance import Chance
from scripts.faulting.scene import Profile, Scene
from scripts.postgresql import new_server
from tests.sink import until

PLACES = 8


@pytest.fixture(scope="module")
def small_database():
    folder = Path(tempfile.mkdtemp(prefix="headroom-sessions-"))
    server = new_server(folder, max_connections=str(PLACES), superuser_reserved_connections="0", max_wal_senders="0")
    server.start()
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def scene(ledger, small_database):
    """Of a rig of one web process and one that is none: forty sessions at most."""
    rig = SimpleNamespace(database=small_database, webs=["web"], members=["web", "worker"])
    return Scene(
        rig=rig,
        driver=SimpleNamespace(ledger=ledger),
        checker=None,
        load=SimpleNamespace(),
        profile=Profile.QUICK,
        chance=Chance(1, 1),
    )


def sessions(stack, url, count):
    for _ in range(count):
        stack.enter_context(psycopg.connect(url, application_name="headroom", autocommit=True))


def test_sessions_within_the_pools_are_no_violation(scene, ledger):
    with ExitStack() as stack, sessions_watched(scene) as watched:
        sessions(stack, scene.rig.database.url, 3)
        assert until(lambda: watched.most == 3)
    expect_pooled(scene, watched)
    assert ledger.violations == []


def test_a_database_without_a_place_is_a_violation(scene, ledger):
    with ExitStack() as stack, sessions_watched(scene) as watched:

        def fill() -> int:
            # The watch comes and goes, and may have the last place.
            with suppress(psycopg.OperationalError):
                sessions(stack, scene.rig.database.url, PLACES)
            return watched.full

        assert until(fill)
    watched.most = PLACES
    expect_pooled(scene, watched)
    assert [each.words for each in ledger.violations] == [f"the database had no place left, {watched.full} times"]


def test_sessions_beyond_the_pools_and_none_at_all_are_violations(scene, ledger):
    expect_pooled(scene, Watched(most=41))
    expect_pooled(scene, Watched())
    assert [each.words for each in ledger.violations] == [
        "41 database sessions, and the pools have 40",
        "no database session was ever counted",
    ]
