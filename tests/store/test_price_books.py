"""Price books in the store: money to the last digit, scoping by tenant, and which book prices on a day."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError

from service.store import price_books
from service.store.filters import PriceBookFilter
from service.store.tables.price_books import PriceBookRow
from service.store.tables.tenants import TenantRow
from tests.fakes import NOON

DAY = date(2026, 11, 20)


def book_row(**changes: object) -> PriceBookRow:
    values: dict[str, object] = {
        "id": "pbk_1",
        "tenant_id": "ten_a",
        "name": "list",
        "version": 1,
        "dated": DAY,
        "currency": "USD",
        "indicative": False,
        "note": "",
        "digest": "sha256:1",
        "line_count": 1,
        "priced_count": 1,
        "changes": 0,
        "principal": "ann",
        "created_at": NOON,
    }
    return PriceBookRow(**{**values, **changes})


def line(place: int = 0, **changes: object) -> dict[str, object]:
    values: dict[str, object] = {
        "place": place,
        "part": f"part-{place}",
        "kind": "server",
        "unit": "system",
        "list_price": Decimal("1.5"),
        "sku": None,
        "lead_time_weeks": None,
        "note": "",
    }
    return {**values, **changes}


@pytest.fixture
def tenant(session):
    session.add_all(TenantRow(id=name, name=name, created_at=NOON) for name in ("ten_a", "ten_b"))
    session.commit()


PRICES = [
    Decimal("12345678901234.5678"),
    Decimal("0.0001"),
    Decimal("100.10"),
    Decimal("9999999999999.9999"),
    Decimal("1E+3"),
    None,
]


@pytest.mark.usefixtures("tenant")
def test_money_comes_back_to_the_last_digit(session):
    rows = [line(place, list_price=price) for place, price in enumerate(PRICES)]
    price_books.add(session, book_row(), rows)
    session.commit()
    session.expire_all()
    found = [row.list_price for row in price_books.lines(session, "ten_a", "pbk_1")]
    assert found == PRICES
    assert str(found[2]) == "100.10"
    kind = "typeof" if session.get_bind().dialect.name == "sqlite" else "pg_typeof"
    stored = session.scalar(text(f"SELECT {kind}(list_price) FROM price_book_lines WHERE place = 0"))
    assert stored == "text"


@pytest.mark.usefixtures("tenant")
@pytest.mark.parametrize("price", [1.5, 1, "1.5", Decimal("NaN"), Decimal("Infinity")])
def test_what_is_no_exact_amount_is_not_stored(price, session):
    with pytest.raises((StatementError, ValueError), match="exact"):
        price_books.add(session, book_row(), [line(list_price=price)])


@pytest.mark.usefixtures("tenant")
def test_a_part_stands_once_in_a_book_and_a_version_once_under_a_name(session):
    price_books.add(session, book_row(), [line(0)])
    session.commit()
    with pytest.raises(IntegrityError):
        price_books.add(session, book_row(id="pbk_2"), [line(0)])
    session.rollback()
    with pytest.raises(IntegrityError):
        price_books.add(session, book_row(id="pbk_2", version=2), [line(0), line(1, part="part-0")])


@pytest.mark.usefixtures("tenant")
def test_another_tenants_book_is_none(session):
    price_books.add(session, book_row(), [line()])
    price_books.activate(session, price_books.get(session, "ten_a", "pbk_1"), effective_from=DAY, now=NOON)
    assert price_books.next_version(session, "ten_a", "list") == 2
    assert price_books.next_version(session, "ten_b", "list") == 1
    assert price_books.get(session, "ten_b", "pbk_1") is None
    assert price_books.lines(session, "ten_b", "pbk_1") == []
    assert price_books.in_force(session, "ten_b", on=DAY) == {}
    assert price_books.newest(session, "ten_b", only=PriceBookFilter(), before_id=None, limit=9) == []
    assert not price_books.mark_used(session, "ten_b", "pbk_1", on=DAY, now=NOON)
    session.expire_all()
    assert price_books.get(session, "ten_a", "pbk_1").used_at is None


FORCE = [
    # (first day, last day, currency) of each book, the day, and which prices in USD and EUR then
    ([(20, None, "USD")], 19, {}),
    ([(20, None, "USD")], 20, {"USD": 0}),
    ([(20, 21, "USD")], 21, {"USD": 0}),
    ([(20, 21, "USD")], 22, {}),
    ([(20, None, "USD"), (22, None, "USD")], 21, {"USD": 0}),
    ([(20, None, "USD"), (22, None, "USD")], 22, {"USD": 1}),
    ([(22, None, "USD"), (20, None, "USD")], 25, {"USD": 0}),
    ([(20, None, "USD"), (22, 23, "USD")], 24, {"USD": 0}),
    ([(20, None, "USD"), (20, None, "USD")], 20, {"USD": 1}),
    ([(20, None, "USD"), (20, None, "EUR")], 20, {"USD": 0, "EUR": 1}),
    ([(None, None, "USD")], 28, {}),
]


def test_one_book_per_currency_prices_on_a_day(session):
    for case, (books, day, prices) in enumerate(FORCE):
        tenant = f"ten_{case}"
        session.add(TenantRow(id=tenant, name=tenant, created_at=NOON))
        session.flush()
        for place, (first, last, currency) in enumerate(books):
            row = book_row(
                id=f"pbk_{case}_{place}",
                tenant_id=tenant,
                version=place + 1,
                currency=currency,
                expires_on=None if last is None else date(2026, 11, last),
            )
            price_books.add(session, row, [line()])
            if first is not None:
                assert price_books.activate(session, row, effective_from=date(2026, 11, first), now=NOON)
        session.expire_all()
        found = price_books.in_force(session, tenant, on=date(2026, 11, day))
        shown = {currency: int(row.id.rpartition("_")[2]) for currency, row in found.items()}
        assert shown == prices, (books, day)


@pytest.mark.usefixtures("tenant")
def test_a_book_is_activated_over_what_was_read_only_and_never_once_used(session):
    row = book_row()
    price_books.add(session, row, [line()])
    stale = book_row(changes=0)
    assert price_books.activate(session, row, effective_from=DAY, now=NOON)
    assert not price_books.activate(session, stale, effective_from=date(2026, 12, 1), now=NOON)
    session.refresh(row)
    assert not price_books.mark_used(session, "ten_a", row.id, on=date(2026, 11, 19), now=NOON)
    for _ in range(2):
        assert price_books.mark_used(session, "ten_a", row.id, on=DAY, now=NOON)
    assert not price_books.activate(session, row, effective_from=date(2026, 12, 1), now=NOON)
