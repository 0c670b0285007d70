"""Price books as use cases: versions, activation, races that the database decides, and one audit row per change."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import pytest

from service.errors import (
    ConflictError,
    InvalidRequestError,
    KeyInProgressError,
    NotFoundError,
    PreconditionFailedError,
)
from service.planning.audit import list_events
from service.planning.idempotency import FirstAnswer, Once
from service.planning.price_books import activate, get_price_book, list_price_books, upload
from service.planning.transact import transact
from service.schemas.price_books import PriceBookRequestSchema
from service.store import price_books
from service.store.filters import AuditFilter, PriceBookFilter

ANY = PriceBookFilter()
TODAY = "2026-11-20"


def book(**changes):
    body = {
        "name": "list",
        "currency": "USD",
        "date": "2026-11-01",
        "lines": [
            {"part": "poweredge-xe9680l-b200", "kind": "server", "unit": "system", "list_price": "400000.00"},
            {"part": "optic-400g", "kind": "optic", "unit": "module", "list_price": "999.9501", "lead_time_weeks": 8},
            {"part": "prosupport", "kind": "support", "unit": "server-year"},
        ],
    }
    return PriceBookRequestSchema().load(body | changes)


def put(runtime, caller, request=None, **options):
    return upload(runtime, caller, request or book(), request_id="req_1", **options)


def enforce(runtime, caller, book_id, *, day=TODAY, changes=None):
    return activate(runtime, caller, book_id, effective_from=day, changes=changes, request_id="req_2")


def use(runtime, caller, book_id):
    transact(
        runtime,
        lambda session: price_books.mark_used(
            session, caller.tenant_id, book_id, on=runtime.clock().date(), now=runtime.clock()
        ),
    )


def states(runtime, caller):
    found = [(each.version, each.state) for each in list_price_books(runtime, caller, only=ANY)]
    return sorted(found, reverse=True)


def test_a_book_is_stored_whole_and_prices_nothing_yet(runtime, caller):
    made = put(runtime, caller)
    found = get_price_book(runtime, caller, made.id)
    assert replace(found, lines=()) == made
    assert (made.version, made.state, made.line_count, made.without_price) == (1, "uploaded", 3, 1)
    assert [line.list_price for line in found.lines] == [Decimal("400000.00"), Decimal("999.9501"), None]
    assert [line.lead_time_weeks for line in found.lines] == [None, 8, None]
    assert [line.part for line in found.lines] == ["poweredge-xe9680l-b200", "optic-400g", "prosupport"]


def test_the_digest_is_of_prices_alone(runtime, caller):
    one = put(runtime, caller)
    turned = replace(book(), lines=book().lines[::-1])
    assert put(runtime, caller, turned).digest == one.digest
    for changed in (book(date="2026-11-02"), book(currency="EUR"), book(name="other"), book(indicative=True)):
        assert put(runtime, caller, changed).digest != one.digest


def test_a_name_uploaded_again_is_the_next_version_for_each_tenant(runtime, caller, stranger):
    assert [put(runtime, caller).version for _ in range(3)] == [1, 2, 3]
    assert put(runtime, caller, book(name="other")).version == 1
    assert put(runtime, stranger).version == 1


def test_uploads_at_once_are_versions_of_their_own(runtime, caller):
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: put(runtime, caller), range(4)))
    assert sorted(each.version for each in made) == [1, 2, 3, 4]
    assert len(list_events(runtime, caller, only=AuditFilter(action="price_book.created"))) == 4


def test_a_book_is_in_force_from_its_day_until_another_one_or_its_end(runtime, caller, clock):
    first, second = put(runtime, caller), put(runtime, caller, book(expires_on="2026-11-23"))
    assert enforce(runtime, caller, first.id).state == "in_force"
    assert enforce(runtime, caller, second.id, day="2026-11-22").state == "scheduled"
    assert states(runtime, caller) == [(2, "scheduled"), (1, "in_force")]
    clock.advance(2 * 86_400)
    assert states(runtime, caller) == [(2, "in_force"), (1, "replaced")]
    clock.advance(2 * 86_400)
    assert states(runtime, caller) == [(2, "expired"), (1, "in_force")]


def test_the_same_day_again_changes_nothing(runtime, caller):
    made = put(runtime, caller)
    once = enforce(runtime, caller, made.id, changes=0)
    assert enforce(runtime, caller, made.id, changes=0) == once
    use(runtime, caller, made.id)
    assert enforce(runtime, caller, made.id, changes=0).changes == once.changes
    assert len(list_events(runtime, caller, only=AuditFilter(action="price_book.activated"))) == 1


@pytest.mark.parametrize(("day", "words"), [("2026-11-19", "from 2026-11-20"), ("2026-12-02", "its last day")])
def test_a_day_on_which_it_cannot_begin_is_refused(day, words, runtime, caller):
    made = put(runtime, caller, book(expires_on="2026-12-01"))
    with pytest.raises(InvalidRequestError, match=words) as refused:
        enforce(runtime, caller, made.id, day=day)
    assert refused.value.detail.errors[0].field == "effective_from"
    assert get_price_book(runtime, caller, made.id).effective_from is None


def test_an_expired_book_is_not_put_in_force(runtime, caller):
    made = put(runtime, caller, book(expires_on="2026-11-19"))
    assert made.state == "expired"
    with pytest.raises(InvalidRequestError, match="next version"):
        enforce(runtime, caller, made.id)


def test_nothing_about_a_used_book_changes(runtime, caller):
    made = put(runtime, caller)
    enforce(runtime, caller, made.id)
    use(runtime, caller, made.id)
    before = get_price_book(runtime, caller, made.id)
    with pytest.raises(ConflictError, match="next version"):
        enforce(runtime, caller, made.id, day="2026-12-01")
    assert get_price_book(runtime, caller, made.id) == before
    assert before.used


def test_of_two_administrators_at_once_one_is_told_to_read_again(runtime, caller):
    made = put(runtime, caller)
    start = threading.Barrier(2)

    def race(day):
        start.wait()
        try:
            return enforce(runtime, caller, made.id, day=day, changes=0).effective_from
        except PreconditionFailedError:
            return None

    with ThreadPoolExecutor(2) as pool:
        outcomes = set(pool.map(race, ("2026-11-21", "2026-11-22")))
    assert None in outcomes
    (day,) = outcomes - {None}
    found = get_price_book(runtime, caller, made.id)
    assert (found.effective_from, found.changes) == (day, 1)
    (event,) = list_events(runtime, caller, only=AuditFilter(action="price_book.activated"))
    assert (event.resource_id, event.resource_kind, event.new_state) == (made.id, "price_book", f"in force from {day}")


def test_books_of_others_are_none(runtime, caller, stranger):
    made = put(runtime, caller)
    for use_it in (
        lambda: get_price_book(runtime, stranger, made.id),
        lambda: enforce(runtime, stranger, made.id),
    ):
        with pytest.raises(NotFoundError):
            use_it()
    assert list_price_books(runtime, stranger, only=ANY) == ()
    assert get_price_book(runtime, caller, made.id).effective_from is None


def test_lists_are_narrowed_and_paged(runtime, caller, clock):
    made = []
    for name, currency in (("a", "USD"), ("b", "EUR"), ("a", "EUR")):
        clock.advance(1)
        made.append(put(runtime, caller, book(name=name, currency=currency)).id)
    enforce(runtime, caller, made[1])

    def ids(before=None, limit=9, **only):
        found = list_price_books(runtime, caller, only=PriceBookFilter(**only), before_id=before, limit=limit)
        return [made.index(each.id) for each in found]

    assert (ids(), ids(name="a"), ids(currency="EUR")) == ([2, 1, 0], [2, 0], [2, 1])
    assert (ids(activated=True), ids(activated=False)) == ([1], [2, 0])
    assert (ids(limit=1), ids(before=made[2])) == ([2], [1, 0])


def test_a_key_makes_one_book(runtime, caller):
    once = Once(key="k", fingerprint="f", answer=lambda made: FirstAnswer(status=201, headers={}, body=b"{}"), hold_s=5)
    put(runtime, caller, once=once)
    with pytest.raises(KeyInProgressError):
        put(runtime, caller, once=once)
    assert [each.version for each in list_price_books(runtime, caller, only=ANY)] == [1]


def test_a_book_of_many_lines_takes_few_statements(runtime, caller, statements):
    lines = [{"part": f"p{place}", "kind": "optic", "unit": "module", "list_price": "1"} for place in range(500)]
    made = put(runtime, caller, book(lines=lines))
    with statements(runtime) as few:
        assert len(get_price_book(runtime, caller, made.id).lines) == 500
    assert len([each for each in few if each != "BEGIN"]) == 3


def test_a_price_of_another_unit_or_kind_is_refused_and_leaves_nothing(runtime, caller):
    lines = [
        {"part": "nvidia-ai-enterprise", "kind": "software", "unit": "GPU", "list_price": "13500"},
        {"part": "prosupport", "kind": "service", "unit": "server_year", "list_price": "900"},
        {"part": "optic-400g", "kind": "optic", "unit": "pack of 10", "list_price": "9000"},
    ]
    with pytest.raises(InvalidRequestError) as refused:
        put(runtime, caller, book(lines=lines))
    assert [(error.field, error.limit) for error in refused.value.detail.errors] == [
        ("lines.0.unit", "GPU-year"),
        ("lines.1.kind", "support"),
        ("lines.2.unit", "module or piece"),
    ]
    assert not list_price_books(runtime, caller, only=ANY)


def test_a_part_that_nobody_asks_for_is_stored_with_a_word(runtime, caller):
    lines = [
        {"part": "poweredge-xe9680l-b2000", "kind": "server", "unit": "pallet", "list_price": "1"},
        {"part": "optic-400g", "kind": "optic", "unit": "piece", "list_price": "1"},
    ]
    made = put(runtime, caller, book(lines=lines))
    (warning,) = made.warnings
    assert (warning.line, warning.row, warning.part) == (0, None, "poweredge-xe9680l-b2000")
    assert "poweredge-xe9680l-b200" in warning.did_you_mean
    assert get_price_book(runtime, caller, made.id).warnings == made.warnings
