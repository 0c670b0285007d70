"""Quotes in the store: what the database itself does not let be, and numbers."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy.exc import IntegrityError, InvalidRequestError

from service.store import quotes, runs, workloads
from service.store.filters import QuoteFilter
from service.store.tables.quotes import QuoteDocumentRow, QuoteRow, QuoteState
from service.store.tables.tenants import TenantRow
from tests.fakes import NOON
from tests.store.conftest import run_row


def quote_row(**changes: object) -> QuoteRow:
    values: dict[str, object] = {
        "id": "quo_1",
        "tenant_id": "ten_a",
        "number": "Q-2026-000001",
        "revision": 1,
        "state": "draft",
        "version": 1,
        "run_id": "run_1",
        "option": 1,
        "customer": "c",
        "currency": "USD",
        "total": Decimal("12345678901234.56"),
        "complete": True,
        "indicative": False,
        "price_book_digest": "sha256:b",
        "valid_until": date(2026, 12, 20),
        "time_zone": "UTC",
        "expires_at": NOON,
        "request": "{}",
        "snapshot": "{}",
        "sha256": "sha256:s",
        "approval": {},
        "authors": ["ann"],
        "screenings": [],
        "created_at": NOON,
        "changed_at": NOON,
    }
    return QuoteRow(**{**values, **changes})


@pytest.fixture(autouse=True)
def run(session):
    session.add_all(TenantRow(id=name, name=name, created_at=NOON) for name in ("ten_a", "ten_b"))
    session.flush()
    workloads.add(
        session,
        "ten_a",
        workload_id="wkl_a",
        name=None,
        labels={},
        kind="inference",
        question="{}",
        principal="ann",
        now=NOON,
    )
    runs.add(session, run_row())
    session.commit()


APPROVED = {"approved_at": NOON, "approved_sha256": "sha256:s"}
ISSUED = {**APPROVED, "issued_at": NOON}


def test_money_comes_back_to_the_last_digit_and_others_see_nothing(session):
    quotes.add(session, quote_row())
    session.commit()
    session.expire_all()
    assert quotes.get(session, "ten_a", "quo_1").total == Decimal("12345678901234.56")
    assert quotes.get(session, "ten_b", "quo_1") is None
    assert quotes.hold_number(session, "ten_b", "quo_1") == []
    assert quotes.newest(session, "ten_b", only=QuoteFilter(), now=NOON, before_id=None, limit=9) == []
    assert quotes.revisions(session, "ten_b", "Q-2026-000001", before=None, limit=9) == []
    assert quotes.live(session, "ten_b", states=tuple(QuoteState), before_id=None, limit=9) == []


@pytest.mark.parametrize("state", ["draft", "pending_approval", "approved"])
def test_one_revision_of_a_number_is_being_written(state, session):
    quotes.add(session, quote_row(state=state, **(APPROVED if state == "approved" else {})))
    session.commit()
    with pytest.raises(IntegrityError):
        quotes.add(session, quote_row(id="quo_2", revision=2))
    session.rollback()
    quotes.add(session, quote_row(id="quo_2", number="Q-2026-000002"))
    quotes.add(session, quote_row(id="quo_3", revision=2, state="withdrawn"))


def test_one_revision_of_a_number_is_out(session):
    quotes.add(session, quote_row(state="issued", **ISSUED))
    quotes.add(session, quote_row(id="quo_2", revision=2))
    session.commit()
    with pytest.raises(IntegrityError):
        quotes.add(session, quote_row(id="quo_3", revision=3, state="accepted", **ISSUED))


def test_a_revision_is_there_once(session):
    quotes.add(session, quote_row(state="withdrawn"))
    session.commit()
    with pytest.raises(IntegrityError):
        quotes.add(session, quote_row(id="quo_2", state="declined"))


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "lost"},
        {"state": "approved"},
        {"approved_at": NOON},
        {"state": "issued", **APPROVED},
        {"state": "issued", **ISSUED, "complete": False},
        {"state": "accepted", **ISSUED, "indicative": True},
    ],
)
def test_what_cannot_be_is_not_stored(changes, session):
    with pytest.raises(IntegrityError):
        quotes.add(session, quote_row(**changes))


def test_a_change_is_over_the_row_that_was_read(session):
    row = quote_row()
    quotes.add(session, row)
    session.commit()
    stale = quote_row()
    assert quotes.change(session, row, now=NOON, state="pending_approval")
    assert (row.version, row.state) == (2, "pending_approval")
    assert not quotes.change(session, stale, now=NOON, state="withdrawn")
    stale.version = 2
    assert not quotes.change(session, stale, now=NOON, state="withdrawn")


def test_lists_leave_what_is_long_in_the_database(session):
    quotes.add(session, quote_row())
    session.commit()
    session.expunge_all()
    (row,) = quotes.newest(session, "ten_a", only=QuoteFilter(), now=NOON, before_id=None, limit=9)
    for name in ("snapshot", "request"):
        with pytest.raises(InvalidRequestError):
            getattr(row, name)


def test_numbers_count_by_tenant_and_year(session):
    drawn = [quotes.next_number(session, tenant, year) for tenant, year in (
        ("ten_a", 2026), ("ten_a", 2026), ("ten_b", 2026), ("ten_a", 2027), ("ten_a", 2026),
    )]  # fmt: skip
    assert drawn == [1, 2, 1, 1, 3]


def test_a_document_is_kept_once_in_each_format(session):
    quotes.add(session, quote_row())
    kept = {"quote_id": "quo_1", "format": "pdf", "snapshot_sha256": "sha256:s", "sha256": "sha256:d"}
    kept |= {"issued": True, "asked_at": NOON}
    session.add(QuoteDocumentRow(**kept, content=b"%PDF\x00", rendered_at=NOON))
    session.commit()
    session.expire_all()
    assert session.get(QuoteDocumentRow, ("quo_1", "pdf")).content == b"%PDF\x00"
    session.expunge_all()
    session.add(QuoteDocumentRow(**kept, content=b"", rendered_at=NOON))
    with pytest.raises(IntegrityError):
        session.flush()
