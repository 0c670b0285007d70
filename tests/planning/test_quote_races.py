"""Steps of a quote that are raced: they take one legal path, and one revision is out, whoever comes first."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from service.errors import ConflictError, PlannerError
from service.planning.audit import list_events
from service.planning.quote_expiry import expire_overdue
from service.planning.quote_steps import accept, approve, decline, issue, reject, submit, withdraw
from service.planning.quotes import get_quote
from service.store.filters import AuditFilter
from service.store.tables.quotes import QuoteRow
from tests.planning.quote_life import again, do, state
from tests.planning.selling import Desk, sized


@pytest.fixture
def desk(runtime, caller) -> Desk:
    desk = Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))
    desk.book()
    return desk


def race(desk, *steps: Callable[[], Any]) -> list[Any]:
    """What came of each step, all taken at one moment."""
    start = threading.Barrier(len(steps))

    def run(step):
        start.wait()
        try:
            return step()
        except PlannerError as error:
            return error

    with ThreadPoolExecutor(len(steps)) as pool:
        return list(pool.map(run, steps))


# Where each step leads, by the states of the audit.
LEGAL = {
    ("draft", "pending_approval"), ("pending_approval", "approved"), ("pending_approval", "draft"),
    ("approved", "issued"), ("approved", "draft"), ("issued", "accepted"), ("issued", "declined"),
    ("issued", "expired"), ("issued", "superseded"), ("pending_approval", "withdrawn"), ("approved", "withdrawn"),
    ("issued", "withdrawn"), ("draft", "withdrawn"), ("draft", "draft"),
}  # fmt: skip


def path_of(desk, quote_id) -> list[tuple[str | None, str]]:
    """From which state to which, in the order of versions."""
    events = list_events(desk.runtime, desk.admin, only=AuditFilter(resource_id=quote_id), limit=500)

    def read(text):
        return None if text is None else text.partition(": ")[2].partition(",")[0]

    ordered = sorted(events, key=lambda event: int(event.new_state.rpartition(" ")[2]))
    versions = [int(event.new_state.rpartition(" ")[2]) for event in ordered]
    assert versions == list(range(1, len(versions) + 1))
    return [(read(event.old_state), read(event.new_state)) for event in ordered]


def check_path(desk, quote_id) -> None:
    path = path_of(desk, quote_id)
    assert path[0] == (None, "draft")
    for (_, before), (old, new) in itertools.pairwise(path):
        assert before == old
        assert (old, new) in LEGAL, path


ROUNDS = 6


def test_raced_steps_take_one_legal_path(desk):
    for _ in range(ROUNDS):
        pending = do(desk, submit, desk.draft())
        outcomes = race(
            desk,
            lambda q=pending: do(desk, approve, q),
            lambda q=pending: do(desk, reject, q),
            lambda q=pending: do(desk, withdraw, q),
            lambda q=pending: do(desk, approve, q, desk.admin),
        )
        assert any(not isinstance(outcome, PlannerError) for outcome in outcomes)
        check_path(desk, pending.id)
        issued = desk.issued()
        outcomes = race(
            desk,
            lambda q=issued: do(desk, accept, q),
            lambda q=issued: do(desk, decline, q),
            lambda q=issued: do(desk, withdraw, q),
            lambda q=issued: again(desk, q),
        )
        check_path(desk, issued.id)
        ended = [each for each in outcomes[:3] if not isinstance(each, PlannerError)]
        assert len(ended) == 1
        assert state(desk, issued) == ended[0].state


def test_of_a_number_one_revision_is_out_whatever_is_raced(desk, runtime):
    for _ in range(ROUNDS):
        first = desk.issued()
        second = again(desk, first)
        do(desk, approve, do(desk, submit, second))
        race(
            desk,
            lambda q=second: do(desk, issue, q),
            lambda q=first: do(desk, accept, q),
            lambda q=second: do(desk, issue, q),
        )
        states = (state(desk, first), state(desk, second))
        # Accepted before the second was issued, or superseded by it: never both out.
        assert states in {("accepted", "approved"), ("superseded", "issued")}
        for quote in (first, second):
            check_path(desk, quote.id)
        if states[0] == "superseded":
            with pytest.raises(ConflictError, match=rf"revision 2 \({second.id}\) was issued in its place"):
                do(desk, accept, first)
        else:
            with pytest.raises(ConflictError, match=r"revision 1 .* was accepted"):
                do(desk, issue, second)


def test_revisions_raced_are_one(desk, runtime):
    for _ in range(ROUNDS):
        issued = desk.issued()
        outcomes = race(desk, *[lambda q=issued: again(desk, q)] * 3)
        assert sum(not isinstance(outcome, PlannerError) for outcome in outcomes) == 1
        with runtime.sessions() as session:
            found = session.scalars(select(QuoteRow.revision).where(QuoteRow.number == issued.number)).all()
        assert sorted(found) == [1, 2]


def test_never_accepted_once_expired_however_close(desk, runtime, clock):
    for _ in range(ROUNDS):
        quote = desk.issued(valid_days=1)
        clock.now = quote.expires_at - timedelta(milliseconds=1)

        def tick():
            clock.advance(0.002)

        race(desk, lambda q=quote: do(desk, accept, q), tick, lambda: expire_overdue(runtime))
        check_path(desk, quote.id)
        found = get_quote(runtime, desk.seller, quote.id)
        if found.state == "accepted":
            assert found.closed_at < quote.expires_at
        else:
            assert found.state == "expired"
