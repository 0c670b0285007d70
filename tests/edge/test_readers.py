"""Readers: who may read, who answers, and what is given back, without a server."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from service.edge.readers import Readers
from service.errors import RateLimitedError, UnavailableError


def test_a_tenant_has_half_of_the_seats_and_gets_them_back():
    readers = Readers(most=4, most_tenant=2)
    first, _ = readers.begin({}, None, "acme", within_s=1), readers.begin({}, None, "acme", within_s=1)
    with pytest.raises(RateLimitedError) as refused:
        readers.begin({}, None, "acme", within_s=1)
    assert refused.value.detail.retry_after_s == 1
    readers.begin({}, None, "rival", within_s=1)
    readers.end(first)
    readers.begin({}, None, "acme", within_s=1)


def test_all_tenants_together_have_all_of_them():
    readers = Readers(most=3, most_tenant=2)
    for tenant_id in ("a", "a", "b"):
        readers.begin({}, None, tenant_id, within_s=1)
    with pytest.raises(UnavailableError) as refused:
        readers.begin({}, None, "c", within_s=1)
    assert refused.value.detail.retry_after_s == 1


def test_one_more_waits_a_moment_for_a_body_that_is_there_already():
    readers = Readers(most=4, most_tenant=2, waits_s=30.0)
    first, _ = readers.begin({}, None, "acme", within_s=1), readers.begin({}, None, "acme", within_s=1)
    with ThreadPoolExecutor(1) as threads:
        third = threads.submit(readers.begin, {}, None, "acme", within_s=1)
        assert not third.done()
        readers.end(first)
        assert third.result(timeout=20) in readers.since(third.result().since_s)


def test_behind_slow_senders_nobody_waits():
    readers = Readers(most=4, most_tenant=2, waits_s=60.0)
    for _ in range(2):
        readers.begin({}, None, "acme", within_s=1).since_s -= 61.0
    with pytest.raises(RateLimitedError):
        readers.begin({}, None, "acme", within_s=1)


def test_those_who_have_read_for_a_while_are_found():
    readers = Readers(most=3, most_tenant=2)
    reading = readers.begin({}, None, "a", within_s=1)
    assert readers.since(reading.since_s) == [reading]
    assert readers.since(reading.since_s - 0.01) == []
    readers.end(reading)
    assert readers.since(reading.since_s) == []


def test_a_place_is_given_away_once_and_only_while_its_thread_reads():
    readers = Readers(most=3, most_tenant=2)
    slow, quick = readers.begin({}, None, "a", within_s=1), readers.begin({}, None, "a", within_s=1)
    assert [slow.gives_place(), slow.gives_place(), slow.place_given] == [True, False, True]
    readers.end(quick)
    assert [quick.gives_place(), quick.place_given] == [False, False]


@pytest.mark.parametrize("ended", [False, True])
def test_one_answers_who_reads_or_who_watches(ended):
    readers = Readers(most=3, most_tenant=2)
    reading = readers.begin({}, object(), "a", within_s=1)
    if ended:
        readers.end(reading)
    assert reading.is_to_be_answered() is not ended
    assert reading.answered is not ended
    assert not reading.is_to_be_answered()


def test_where_the_server_takes_no_answer_of_another_thread_none_is_given():
    assert not Readers(most=1, most_tenant=1).begin({}, None, "a", within_s=1).is_to_be_answered()
