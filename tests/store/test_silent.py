import time

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from service.store.engine import make_engine
from service.store.silent import SilentDatabaseError

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
# A database that may say nothing for as long as it likes.
SAYS_NOTHING = text("SET statement_timeout = 0; SELECT pg_sleep(30)")


@pytest.fixture
def impatient(database_url):
    engine = make_engine(database_url, answers_within_s=0.3)
    yield engine
    engine.dispose()


def test_who_hears_nothing_gives_up_and_closes_the_connection(impatient):
    since_s = time.monotonic()
    with pytest.raises(OperationalError) as told, impatient.connect() as connection:
        connection.execute(SAYS_NOTHING)
    assert time.monotonic() - since_s < 5
    assert isinstance(told.value.orig, SilentDatabaseError)
    assert told.value.connection_invalidated


def test_the_next_one_asks_on_another_connection(impatient):
    with pytest.raises(OperationalError), impatient.connect() as connection:
        connection.execute(SAYS_NOTHING)
    with impatient.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1


def test_what_the_database_refuses_in_time_is_told_as_ever(impatient):
    with impatient.connect() as connection:
        with pytest.raises(Exception, match="division by zero") as told:
            connection.scalar(text("SELECT 1/0"))
        assert not told.value.connection_invalidated
        connection.rollback()
        assert connection.scalar(text("SELECT 1")) == 1


def test_who_migrates_waits_for_as_long_as_it_takes(database_url):
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert connection.scalar(text("SELECT 1 FROM pg_sleep(0.5)")) == 1
    engine.dispose()
