"""How long a batch will take: from its pace of late."""

import pytest

from service.planning.batch.chunk import size_chunk
from service.planning.batch.reading import get_batch
from service.store.tables.batches import BatchStatus
from tests.planning.batch.conftest import distinct, post, rung


@pytest.fixture
def batch(runtime, caller):
    return post(runtime, caller, *distinct(12), items_chunk=1)


@pytest.fixture
def work(runtime, caller, queue, clock, batch):
    """One item each second; the batch as it is then. Bells that were rung again meanwhile find nothing."""

    def done(items):
        for _ in range(items):
            clock.advance(1)
            while not size_chunk(runtime, *rung(queue)):
                assert queue.sent
        return get_batch(runtime, caller, batch.id)

    return done


def test_nothing_is_known_before_the_first_items(runtime, caller, batch):
    assert (batch.rate_items_s, batch.left_s) == (None, None)


def test_time_left_is_by_the_pace_of_late(work):
    work(1)
    seen = work(4)
    assert seen.rate_items_s == pytest.approx(1.0, rel=0.01)
    assert seen.left_s == pytest.approx(7.0, rel=0.01)


def test_a_pause_of_an_hour_does_not_spoil_it(runtime, caller, clock, batch, work):
    work(4)
    clock.advance(3600)
    paused = get_batch(runtime, caller, batch.id)
    assert (paused.rate_items_s, paused.left_s) == (None, None)
    seen = work(3)
    assert seen.rate_items_s == pytest.approx(1.0, rel=0.01)
    assert seen.left_s == pytest.approx(5.0, rel=0.01)


def test_a_batch_that_has_ended_tells_what_it_took_in_all(clock, work):
    work(6)
    clock.advance(3600)
    ended = work(6)
    assert (ended.status, ended.left_s) == (BatchStatus.DONE, None)
    assert ended.rate_items_s == pytest.approx(12 / 3611, abs=0.001)
