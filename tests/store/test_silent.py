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
    engine = make_engine(database_url, answers_within_s=0.6)
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


def test_many_short_statements_at_once_may_take_longer_than_silence_may(impatient):
    """They are sent one after the other and the database works on each as it comes, so it speaks all the while."""
    with impatient.connect() as connection:
        done = connection.execute(text("SELECT pg_sleep(:s)"), [{"s": 0.1}] * 8)
    assert done.context.executemany


def test_one_long_statement_among_many_is_given_up(impatient):
    with pytest.raises(OperationalError) as told, impatient.connect() as connection:
        connection.execute(text("SELECT pg_sleep(:s)"), [{"s": 0.01}, {"s": 30}, {"s": 0.01}])
    assert isinstance(told.value.orig, SilentDatabaseError)


def test_many_statements_at_once_are_counted_together(impatient):
    with impatient.begin() as connection:
        connection.execute(text("CREATE TEMPORARY TABLE items (line int, state text)"))
        rows = [{"line": line} for line in range(500)]
        assert connection.execute(text("INSERT INTO items VALUES (:line, 'queued')"), rows).rowcount == 500
        assert connection.execute(text("UPDATE items SET state = 'done' WHERE line = :line"), rows).rowcount == 500
        assert connection.scalar(text("SELECT count(*) FROM items WHERE state = 'done'")) == 500


def test_a_mistake_among_many_statements_is_told_as_ever(impatient):
    with impatient.connect() as connection:
        with pytest.raises(Exception, match="division by zero") as told:
            connection.execute(text("SELECT 1 / :by"), [{"by": 1}, {"by": 0}, {"by": 1}])
        assert not told.value.connection_invalidated
        connection.rollback()
        assert connection.scalar(text("SELECT 1")) == 1


def test_a_long_answer_may_come_for_longer_than_silence_may(impatient):
    query = text("SELECT repeat('x', 3000), pg_sleep(0.02) FROM generate_series(1, 50)")
    with impatient.connect() as connection:
        assert len(connection.execute(query).all()) == 50


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
