"""Quotes as they are written: what they say, what is refused and leaves nothing, numbers, and two editors at once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from service.errors import (
    ConflictError,
    InvalidRequestError,
    KeyInProgressError,
    NotFoundError,
)
from service.planning.audit import author_of, list_events
from service.planning.cancel import cancel
from service.planning.execute import execute
from service.planning.idempotency import FirstAnswer, Once
from service.planning.price_books import activate, get_price_book
from service.planning.quote_drafting import Identity, compose, named, sha256_of
from service.planning.quote_steps import approve, submit
from service.planning.quotes import add_row, create, get_quote, list_quotes, new_row, rewrite
from service.planning.submit import submit as post
from service.planning.transact import transact
from service.quoting.steps import QuoteStep
from service.store import quotes, tenants
from service.store.filters import AuditFilter, QuoteFilter
from service.store.tables.quotes import QuoteRow, QuoteState
from tests.build import book_lines
from tests.planning.conftest import chat, rows
from tests.planning.selling import LARGE, ONE_DATABASE, SMALL, TODAY, Desk, asked, sized

ANY = QuoteFilter()


@pytest.fixture
def desk(runtime, caller) -> Desk:
    return Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))


def test_a_draft_says_what_was_sized_and_what_it_costs(desk, runtime):
    book = desk.book()
    quote = desk.draft()
    said = orjson.loads(quote.snapshot)
    assert (quote.state, quote.version, quote.revision, quote.authors) == ("draft", 1, 1, ("sam",))
    assert (said["number"], said["revision"], said["run"]["id"]) == (quote.number, 1, desk.run_id)
    assert (said["price_book"]["id"], said["price_book"]["indicative"]) == (book.id, False)
    assert (quote.complete, quote.indicative, said["missing"]) == (True, False, [])
    assert quote.total == Decimal(said["totals"]["total"])
    lines = said["lines"]
    assert sum(Decimal(line["extended_net"]) for line in lines) == quote.total
    assert (said["created_on"], said["issued_on"], said["valid_until"]) == (TODAY, None, "2026-12-20")
    assert said["export"]["shipment"]["destination"] == "DE"
    assert quote.approval.needs == "approver"
    assert quote.sha256 == sha256_of(quote.snapshot)
    assert get_quote(runtime, desk.seller, quote.id) == quote


@ONE_DATABASE
def test_without_a_book_it_is_indicative_and_names_what_has_no_price(desk):
    quote = desk.draft()
    said = orjson.loads(quote.snapshot)
    assert (quote.indicative, quote.complete, quote.total, quote.price_book_id) == (True, False, None, None)
    assert said["missing"]
    assert said["disclaimers"][0].startswith("INDICATIVE")
    unpriced = [line for line in said["lines"] if line["part"] in said["missing"]]
    assert {line["extended_net"] for line in unpriced} == {None}


def test_a_book_is_used_once_a_quote_is_priced_from_it(desk, runtime):
    book = desk.book()
    assert not get_price_book(runtime, desk.admin, book.id).used
    desk.draft()
    assert get_price_book(runtime, desk.admin, book.id).used


@ONE_DATABASE
def test_the_book_in_the_currency_of_the_quote_prices_it(desk):
    usd, eur = desk.book(), desk.book(currency="EUR", name="eur")
    fx = {"rate": "0.9", "date": TODAY, "source": "a bank"}
    assert desk.draft().price_book_id == usd.id
    assert desk.draft(currency="EUR").price_book_id == eur.id
    assert desk.draft(currency="CHF", fx=fx).price_book_id == eur.id
    assert desk.draft(currency="CHF", fx=fx, price_book_id=usd.id).price_book_id == usd.id


REFUSED = [
    ({"option": 99}, InvalidRequestError, "option"),
    ({"currency": "EUR"}, InvalidRequestError, "fx"),
    ({"fx": {"rate": "1", "date": TODAY, "source": "s"}}, InvalidRequestError, "fx"),
    ({"line_discounts": {"nothing": "0.1"}}, InvalidRequestError, "line_discounts.nothing"),
    ({"quantities": {"nothing": 1}}, InvalidRequestError, "quantities.nothing"),
    ({"spares": "n+7"}, InvalidRequestError, "spares"),
    ({"time_zone": "Mars/Olympus"}, InvalidRequestError, "time_zone"),
    ({"time_zone": "../etc/passwd"}, InvalidRequestError, "time_zone"),
    ({"valid_until": "2026-11-19"}, InvalidRequestError, "valid_until"),
    ({"valid_until": "2030-01-01"}, InvalidRequestError, "valid_until"),
    ({"charges": [{"name": "a", "amount": "0.001"}]}, InvalidRequestError, "charges.0.amount"),
    ({"tco": {"bounds": {"pue": ["2", "1"]}}}, InvalidRequestError, "tco.bounds.pue"),
    ({"quantities": {"server": 10_000}}, InvalidRequestError, "quantities.server"),
    ({"quantities": {"support": 10_000}}, InvalidRequestError, "quantities.support"),
    ({"deliver_by": "2026-11-19"}, InvalidRequestError, "deliver_by"),
    (
        {"currency": "EUR", "fx": {"rate": "0.9", "date": "2026-11-21", "source": "s"}},
        InvalidRequestError,
        "fx.date",
    ),
    ({"price_book_id": "pbk_0"}, NotFoundError, None),
    ({"run_id": "run_0"}, NotFoundError, None),
]


@ONE_DATABASE
def test_what_cannot_be_is_refused_and_leaves_nothing(desk, runtime):
    desk.book()
    before = rows(runtime, QuoteRow)
    for changes, error, field in REFUSED:
        with pytest.raises(error) as refused:
            desk.draft(**changes)
        assert field is None or refused.value.detail.errors[0].field == field, changes
    assert rows(runtime, QuoteRow) == before
    # A number is not even drawn for what is refused.
    assert desk.draft().number == f"Q-2026-{before + 1:06d}"


@ONE_DATABASE
def test_a_run_that_is_not_done_or_not_feasible_or_of_others_is_not_quoted(desk, runtime, caller, stranger):
    queued = post(runtime, caller, chat(isl_tokens=1500), request_id="r")
    infeasible = sized(runtime, caller, slo={"ttft_ms": 1, "tpot_ms": 0.1})
    for run_id, words in ((queued.id, "queued"), (infeasible, "nothing fits")):
        with pytest.raises(ConflictError, match=words):
            desk.draft(run_id=run_id)
    cancel(runtime, caller, queued.id, request_id="r")
    with pytest.raises(ConflictError, match="cancelled"):
        desk.draft(run_id=queued.id)
    with pytest.raises(NotFoundError):
        create(runtime, stranger, asked(desk.run_id), request_id="r")
    assert rows(runtime, QuoteRow) == 0


@ONE_DATABASE
def test_a_book_that_does_not_price_today_is_not_taken(desk, runtime, clock):
    desk.draft()
    later = desk.book(day="2026-12-01", name="later")
    ended = desk.book(expires_on=TODAY, name="ended")
    for book_id in (later.id, ended.id):
        clock.advance(0 if book_id == later.id else 86_400)
        with pytest.raises(InvalidRequestError) as refused:
            desk.draft(price_book_id=book_id)
        assert refused.value.detail.errors[0].field == "price_book_id"
    assert desk.draft().price_book_id is None


def test_numbers_are_of_a_year_and_never_given_out_twice(desk, runtime, clock, stranger):
    first = desk.draft()
    assert first.number == "Q-2026-000001"
    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(lambda _: desk.draft().number, range(8)))
    assert sorted(numbers) == [f"Q-2026-{number:06d}" for number in range(2, 10)]
    clock.advance(60 * 86_400)
    assert desk.draft().number == "Q-2027-000001"
    theirs = Desk(runtime=runtime, caller=stranger, run_id=sized(runtime, stranger))
    assert theirs.draft().number == "Q-2027-000001"


def test_a_number_whose_quote_was_rolled_back_is_not_given_out_again(desk, runtime):
    once = Once(key="k", fingerprint="f", answer=lambda made: FirstAnswer(status=201, headers={}, body=b"{}"), hold_s=5)
    create(runtime, desk.seller, asked(desk.run_id), request_id="r", once=once)
    with pytest.raises(KeyInProgressError):
        create(runtime, desk.seller, asked(desk.run_id), request_id="r", once=once)
    assert rows(runtime, QuoteRow) == 1
    assert desk.draft().number == "Q-2026-000003"


def test_quotes_of_others_are_none(desk, runtime, stranger):
    quote = desk.draft()
    for use in (
        lambda: get_quote(runtime, stranger, quote.id),
        lambda: rewrite(runtime, stranger, quote.id, asked(desk.run_id), version=None, request_id="r"),
        lambda: submit(runtime, stranger, quote.id, version=None, request_id="r"),
        lambda: approve(runtime, stranger, quote.id, version=None, request_id="r"),
    ):
        with pytest.raises(NotFoundError):
            use()
    assert list_quotes(runtime, stranger, only=ANY) == ()
    assert get_quote(runtime, desk.seller, quote.id) == quote


def test_lists_are_narrowed_and_paged(desk, runtime, clock):
    made = []
    for name in ("a", "b", "a"):
        clock.advance(1)
        made.append(desk.draft(customer={"name": name}, discount_fraction=SMALL).id)
    # Parts without a price: somebody must look at it.
    desk.step(submit, get_quote(runtime, desk.seller, made[1]))

    def found(before=None, limit=9, **only):
        rows = list_quotes(runtime, desk.seller, only=QuoteFilter(**only), before_id=before, limit=limit)
        return [made.index(each.id) for each in rows]

    assert (found(), found(customer="a"), found(state="draft"), found(state="pending_approval")) == (
        [2, 1, 0],
        [2, 0],
        [2, 0],
        [1],
    )
    assert found(number="Q-2026-000002") == [1]
    assert (found(run_id=desk.run_id, limit=1), found(before=made[2])) == ([2], [1, 0])


def test_each_change_is_noted_once(desk, runtime):
    desk.book()
    quote = desk.issued(discount_fraction=LARGE)
    events = list_events(runtime, desk.admin, only=AuditFilter(resource_id=quote.id))[::-1]
    assert sorted((event.action, event.principal, event.request_id) for event in events) == sorted(
        [
            ("quote.created", "sam", "req_q"),
            ("quote.submitted", "sam", "req_submit"),
            ("quote.approved", "pat", "req_approve"),
            ("quote.issued", "sam", "req_issue"),
        ]
    )
    (issued,) = [event for event in events if event.action == "quote.issued"]
    assert issued.old_state == f"{quote.number} revision 1: approved, version 3"
    assert issued.new_state == f"{quote.number} revision 1: issued, version 4"


def test_a_number_stays_drawn_when_its_own_transaction_is_over(runtime, caller):
    def draw():
        return transact(runtime, lambda session: quotes.next_number(session, caller.tenant_id, 2026))

    def fail():
        def work(session):
            quotes.next_number(session, caller.tenant_id, 2026)
            raise ConflictError("no")

        with pytest.raises(ConflictError):
            transact(runtime, work)

    assert draw() == 1
    fail()
    assert draw() == 2


def test_a_book_that_is_put_off_while_it_is_priced_from_is_not_used(desk, runtime, clock):
    book = desk.book()
    request = asked(desk.run_id)
    composed = compose(runtime, desk.seller, request, now=clock.now)
    activate(runtime, desk.admin, book.id, effective_from="2026-12-01", changes=None, request_id="r")
    identity = Identity(number="Q-2026-000099", revision=1, created_on=clock.now.date())
    row = new_row(desk.seller, named(composed, identity), row_id="quo_0", now=clock.now)
    author = author_of(desk.seller, "r")
    with pytest.raises(ConflictError, match="later day"):
        transact(
            runtime,
            lambda session: add_row(runtime, session, row, author=author, action=QuoteStep.CREATED, now=clock.now),
        )
    assert not get_price_book(runtime, desk.admin, book.id).used
    with pytest.raises(NotFoundError):
        get_quote(runtime, desk.seller, "quo_0")


@ONE_DATABASE
def test_servers_stated_by_the_seller_move_everything_that_is_counted_by_them(desk):
    desk.book()
    plain, more = (orjson.loads(desk.draft(**changes).snapshot) for changes in ({}, {"quantities": {"server": 3}}))
    sized = plain["option"]
    assert more["sized"] == {name: sized[name] for name in ("servers", "spare_servers", "gpus")}
    assert (more["option"]["servers"], more["option"]["gpus"]) == (3, sized["gpus"] // sized["servers"] * 3)
    assert more["option"]["facility"]["it_power_kw"] > sized["facility"]["it_power_kw"]
    counts = {line["id"]: line["quantity"] for line in more["lines"]}
    assert (counts["server"], counts["support"], counts["deployment"]) == (3, 3, 3)
    assert counts["nvidia-ai-enterprise"] == more["option"]["gpus"]
    assert any(text.startswith("CHANGED BY HAND: ") and "3 servers are quoted" in text for text in more["disclaimers"])
    assert Decimal(more["totals"]["subtotal"]) == sum(Decimal(line["extended_net"] or 0) for line in more["lines"])


@ONE_DATABASE
def test_a_validity_ends_with_the_prices(desk):
    desk.book(expires_on="2026-12-01")
    assert desk.draft().valid_until == "2026-12-01"
    for longer in ({"valid_days": 12}, {"valid_until": "2026-12-02"}):
        with pytest.raises(InvalidRequestError, match="last day of the price book list, version 1"):
            desk.draft(**longer)


@ONE_DATABASE
def test_late_delivery_old_rates_and_replaced_prices_are_seen_first(desk, clock):
    lines = [{**line, "lead_time_weeks": 12} for line in book_lines(desk.parts(), "1000.00")]
    first = desk.book(lines=lines)
    desk.book(name="newer", price="1100.00")
    fx = {"rate": "0.9", "date": "2026-11-01", "source": "a bank"}
    quote = desk.draft(price_book_id=first.id, currency="EUR", fx=fx, deliver_by="2026-12-24")
    said = [text.partition(":")[0] for text in orjson.loads(quote.snapshot)["disclaimers"]]
    assert said[:3] == ["LATE", "OLD RATE", "REPLACED PRICES"]
    clock.advance(1)
    early = orjson.loads(desk.draft(deliver_by="2026-12-24").snapshot)["disclaimers"]
    assert not any(text.startswith("LATE") for text in early)
    assert any(text.startswith("Nobody states a lead time of ") for text in early)


@ONE_DATABASE
def test_a_list_of_issued_quotes_has_none_whose_validity_has_ended(desk, runtime, clock):
    desk.book()
    quote = desk.issued(valid_days=1)
    for state, found in ((QuoteState.ISSUED, [quote.id]), (QuoteState.EXPIRED, [])):
        assert [each.id for each in list_quotes(runtime, desk.seller, only=QuoteFilter(state=state))] == found
    clock.advance(3 * 86_400)
    for state, found in ((QuoteState.ISSUED, []), (QuoteState.EXPIRED, [quote.id])):
        assert [each.id for each in list_quotes(runtime, desk.seller, only=QuoteFilter(state=state))] == found


@ONE_DATABASE
def test_who_offers_what_of_which_configuration_by_when_is_said(desk, runtime, caller):
    desk.book()
    built = {"configurations": {"server": "2 x EPYC 9555, 24 x 64 GB"}}
    told = orjson.loads(desk.draft(seller={"name": "A seller Ltd"}, **built).snapshot)
    assert told["offered_by"] == {"name": "A seller Ltd", "contact": None, "reference": None}
    assert told["lines"][0]["configuration"] == ["2 x EPYC 9555, 24 x 64 GB"]
    with runtime.sessions() as session:
        tenant = tenants.get(session, caller.tenant_id).name
    assert orjson.loads(desk.draft().snapshot)["offered_by"]["name"] == tenant
    sizing = chat()
    bounds = replace(sizing.question.constraints, destination_country="FR", deliver_by="2027-03-01")
    question = replace(sizing.question, constraints=bounds)
    run = post(runtime, caller, replace(sizing, question=question, spelling=None), request_id="r")
    execute(runtime, run.id)
    quote = create(runtime, desk.seller, asked(run.id, destination_country=None, deliver_by=None), request_id="req_q")
    said = orjson.loads(quote.snapshot)
    assert (said["export"]["shipment"]["destination"], said["supply"]["deliver_by"]) == ("FR", "2027-03-01")


@ONE_DATABASE
def test_cold_spares_are_for_the_availability_that_was_asked_of_the_sizing(runtime, caller):
    ids = {}
    for asked_for in ("n", "n+1"):
        desk = Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller, availability=asked_for))
        quote = desk.draft()
        ids[asked_for] = {line["id"] for line in orjson.loads(quote.snapshot)["lines"]}
        assert orjson.loads(quote.request)["spares"] == asked_for
    assert not any(name.startswith("spare-") for name in ids["n"])
    assert any(name.startswith("spare-") for name in ids["n+1"])
