from enum import StrEnum

import pytest
from sqlalchemy import event

from service.store import deliveries, open_chunks, runs, waiting
from service.store.stated import stated
from service.store.tables.runs import RunRow
from tests.fakes import NOON

LOOKS = {
    "room": (lambda session: runs.count_open(session, "ten_a"), "uq_runs_open_question"),
    "leader": (lambda session: runs.leader_of(session, "ten_a", "sha256:1"), "uq_runs_open_question"),
    "queued": (runs.count_queued, "ix_runs_open"),
    "waiting": (runs.waiting_since, "ix_runs_open"),
    "counts": (runs.open_counts, "ix_runs_open"),
    "unclaimed": (lambda session: runs.unclaimed(session, sent_before=NOON, limit=9), "ix_runs_open"),
    "expired": (lambda session: runs.expired(session, now=NOON, sent_before=NOON, limit=9), "ix_runs_open"),
    "orphans": (lambda session: runs.orphans(session, limit=9), "ix_runs_open"),
    "tenants": (waiting.tenants, "ix_runs_waiting"),
    "next": (lambda session: waiting.take(session, "ten_a", "run_1", patient=False), "ix_runs_waiting"),
    "dead": (lambda session: runs.dead(session, before_id=None, limit=9), "ix_runs_failed"),
    "chunks": (open_chunks.any_open, "ix_batch_chunks_open"),
    "deliveries": (
        lambda session: deliveries.due(session, now=NOON, resend_before=NOON, limit=9),
        "ix_webhook_deliveries_pending",
    ),
}


@pytest.mark.parametrize("look", LOOKS)
def test_what_is_open_is_found_by_the_index_of_what_is_open(session, look):
    if session.get_bind().dialect.name != "sqlite":
        pytest.skip("PostgreSQL chooses by what it has counted, and these tables are empty")
    asked = []
    event.listen(session.get_bind(), "before_cursor_execute", lambda *given: asked.append(given[2:4]))
    call, index = LOOKS[look]
    call(session)
    *_, (statement, values) = asked
    plan = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
    used = [row.detail for row in plan if " INDEX " in row.detail]
    assert any(index in step for step in used)
    # Whoever is next is looked for with every claim, while thousands may wait.
    assert index != "ix_runs_waiting" or all(index in step for step in used)


def test_only_the_word_of_a_state_is_spelled_out(session):
    class Odd(StrEnum):
        QUOTED = "it's"

    with pytest.raises(ValueError, match="not the word of a state"):
        stated(RunRow.status, Odd.QUOTED)
