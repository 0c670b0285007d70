"""However many items there are: few statements, little memory, and requests that end soon."""

import tracemalloc
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import event

from service.planning.batch.chunk import size_chunk
from service.planning.batch.reading import get_batch, list_items, results
from service.planning.batch.receive import receive
from service.schemas.uploaded_item import Uploaded
from tests.planning.batch.conftest import asking, distinct, post


@contextmanager
def counted(runtime):
    seen = []
    engine = runtime.sessions.kw["bind"]

    def note(_connection, _cursor, statement, *_):
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def statements_of_a_chunk(runtime, caller, queue, count):
    post(runtime, caller, *distinct(count))
    _, (batch_id, number) = queue.sent.pop(0)
    with counted(runtime) as seen:
        assert size_chunk(runtime, batch_id, int(number))
    assert get_batch(runtime, caller, batch_id).counts.done == count
    return len(seen)


def test_a_chunk_takes_as_many_statements_whatever_it_holds(runtime, caller, queue):
    # A slice that takes long ends early, and a machine may be slow.
    patient = replace(runtime, settings=replace(runtime.settings, task_soft_limit_s=60, task_hard_limit_s=90))
    # The first one looks up who listens to the tenant's events.
    statements_of_a_chunk(patient, caller, queue, 1)
    few, many = (statements_of_a_chunk(patient, caller, queue, count) for count in (2, 20))
    assert few == many < 25


def test_reading_takes_two_statements_at_most(runtime, caller, queue):
    batch = post(runtime, caller, *(asking(f"{n}") for n in range(30)))
    # And one that begins the transaction.
    for look, most in ((get_batch, 3), (list_items, 3), (lambda *asked: list(results(*asked)), 3)):
        with counted(runtime) as seen:
            look(runtime, caller, batch.id)
        assert len(seen) <= most


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_memory_does_not_grow_with_the_upload(runtime, caller):
    """Items come one by one and go a thousand at a time; so do results."""
    text = '{"workload": {"model": "llama-3.1-8b", "filling": "' + "x" * 1000 + '"}}'

    def peak(count):
        tracemalloc.start()
        items = (Uploaded(line=n, asked=text) for n in range(1, count + 1))
        batch = receive(runtime, caller, lambda: items, name=None, request_id="req_1")
        assert sum(1 for _ in results(runtime, caller, batch.id)) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    peak(1000)
    assert peak(10_000) < 1.5 * peak(2000)
