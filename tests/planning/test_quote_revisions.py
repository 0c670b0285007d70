"""Revisions, what changed between them, and quotes at risk with their reasons."""

from dataclasses import replace
from decimal import Decimal

import orjson
import pytest

from service.errors import ConflictError, InvalidRequestError, NotFoundError
from service.planning.change import change
from service.planning.execute import execute
from service.planning.quote_difference import quote_difference
from service.planning.quote_revise import revise
from service.planning.quote_risk import list_at_risk
from service.planning.quote_steps import accept, approve, decline, issue, reject, submit, withdraw
from service.planning.quotes import get_quote, list_revisions
from service.planning.reading import get_run
from service.schemas.quote_revision import RevisionRequest
from tests.build import book_lines
from tests.planning.conftest import chat
from tests.planning.selling import LARGE, ONE_DATABASE, Desk, sized

NOTHING = RevisionRequest()


@pytest.fixture
def desk(runtime, caller) -> Desk:
    desk = Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))
    desk.book()
    return desk


def again(desk, quote, caller=None, **asked):
    who = caller or desk.seller
    return revise(desk.runtime, who, quote.id, replace(NOTHING, **asked), version=None, request_id="req_v")


def resize(desk, **workload):
    """The workload is changed, and its new run done."""
    run = get_run(desk.runtime, desk.caller, desk.run_id)
    newer = change(desk.runtime, desk.caller, run.workload_id, chat(**workload), version=None, request_id="req_n")
    execute(desk.runtime, newer.id)
    return newer.id


def risks(desk, *, within_days=14, **page):
    found = list_at_risk(desk.runtime, desk.seller, within_days=within_days, **page)
    return {each.quote.id: [risk.kind.value for risk in each.risks] for each in found}


def test_a_revision_is_a_draft_at_the_prices_of_today_and_the_old_one_stays_out(desk, runtime):
    old = desk.issued(line_discounts={desk.parts()[0]["id"]: "0.2"})
    desk.book(price="1100.00")
    new = again(desk, old)
    assert (new.number, new.revision, new.state, new.authors) == (old.number, 2, "draft", ("sam",))
    assert get_quote(runtime, desk.seller, old.id).state == "issued"
    assert new.total > old.total
    found = quote_difference(runtime, desk.seller, old.id, other_id=new.id).difference
    prices = {c.quantity: (c.old, c.new) for line in found.lines for c in line.changes if c.quantity == "unit_list"}
    assert set(prices) == {"unit_list"}
    assert {cause.quantity for cause in found.causes} == {"price_book.version", "price_book.digest"}
    assert [each.revision for each in list_revisions(runtime, desk.seller, old.id)] == [2, 1]
    assert [each.revision for each in list_revisions(runtime, desk.seller, new.id, before=2)] == [1]
    desk.step(approve, desk.step(submit, new), desk.approver)
    assert desk.step(issue, new).state == "issued"
    superseded = get_quote(runtime, desk.seller, old.id)
    assert (superseded.state, superseded.reason) == ("superseded", "Revision 2 was issued.")
    assert superseded.snapshot == old.snapshot


@ONE_DATABASE
def test_what_changed_is_told_in_the_currency_of_the_quote_and_not_of_its_price_book(desk, runtime):
    rate = {"rate": "0.9", "date": "2026-11-20", "source": "the bank"}
    old = desk.issued(currency="EUR", fx=rate)
    desk.book(price="1100.00")
    found = quote_difference(runtime, desk.seller, old.id, other_id=again(desk, old).id)
    told = {(c.old, c.new) for line in found.difference.lines for c in line.changes if c.quantity == "unit_list"}
    assert {(Decimal(before), Decimal(after)) for before, after in told} == {(Decimal(900), Decimal(990))}
    assert (found.old_currency, found.new_currency) == ("EUR", "EUR")


@ONE_DATABASE
def test_a_revision_takes_the_newest_answer_with_the_same_server(desk, runtime):
    old = desk.issued()
    newer = resize(desk, demand={"requests_s": 500})
    new = again(desk, old)
    said = orjson.loads(new.snapshot)
    assert (new.run_id, said["option"]["server"]) == (newer, orjson.loads(old.snapshot)["option"]["server"])
    assert said["option"]["servers"] > orjson.loads(old.snapshot)["option"]["servers"]
    kept = quote_difference(runtime, desk.seller, old.id, other_id=new.id).difference
    assert "run.id" in {cause.quantity for cause in kept.causes}
    assert kept.sums


@ONE_DATABASE
def test_what_is_asked_of_a_revision_is_done(desk):
    old = desk.issued()
    resize(desk, demand={"requests_s": 500})
    new = again(desk, old, run_id=desk.run_id, option=2, valid_until="2027-01-31")
    assert (new.run_id, new.option, new.valid_until) == (desk.run_id, 2, "2027-01-31")
    desk.step(withdraw, new, reason="no")
    with pytest.raises(InvalidRequestError):
        again(desk, new, run_id=desk.run_id, option=99)
    with pytest.raises(NotFoundError):
        again(desk, new, run_id="run_0")


@ONE_DATABASE
def test_what_a_part_that_went_was_told_is_left_out(desk, runtime):
    part = next(line["part"] for line in desk.parts() if line["kind"] == "server")
    old = desk.issued(line_discounts={"server": "0.2", "deployment": "0.1"}, quantities={"deployment": 3})
    options = orjson.loads(get_run(runtime, desk.caller, desk.run_id).result)["options"]
    rank = next(option["rank"] for option in options if option["server"] != part)
    asked = orjson.loads(again(desk, old, option=rank).request)
    assert asked["line_discounts"] == {"deployment": "0.1"}
    assert asked["quantities"] == {"deployment": 3}
    assert asked["option"] == rank


@ONE_DATABASE
def test_a_count_by_hand_of_what_no_rule_counts_is_kept(desk, runtime):
    """It is a part like any other: without a price the quote is incomplete, and says so."""
    counted = {"switch-support": 4}
    unpriced = orjson.loads(desk.draft(quantities=counted).snapshot)
    assert (unpriced["complete"], unpriced["missing"], unpriced["totals"]["total"]) == (False, ["switch-support"], None)
    assert "switch-support" not in {part["id"] for part in unpriced["uncounted"]}
    of_it = {"part": "switch-support", "kind": "support", "unit": "unit-year", "list_price": "250.00"}
    desk.book(name="whole", lines=[*book_lines(desk.parts(), "1000.00"), of_it])
    old = desk.issued(quantities=counted, line_discounts={"switch-support": "0.5"})
    resize(desk, demand={"requests_s": 500})
    new = again(desk, old)
    assert orjson.loads(new.request)["quantities"] == counted
    line = next(line for line in orjson.loads(new.snapshot)["lines"] if line["id"] == "switch-support")
    # 4 x 250.00 a year x 3 years, half of it.
    assert (line["extended_list"], line["extended_net"]) == ("3000.00", "1500.00")


@ONE_DATABASE
def test_a_rate_that_is_not_needed_any_more_is_left_out(desk):
    fx = {"rate": "0.9", "date": "2026-11-20", "source": "a bank"}
    old = desk.issued(currency="EUR", fx=fx)
    desk.book(currency="EUR", name="eur")
    assert orjson.loads(again(desk, old).snapshot)["fx"] is None


@ONE_DATABASE
def test_only_the_newest_revision_that_went_out_is_revised(desk, clock):
    for take, values in ((decline, {"reason": "no"}), (withdraw, {"reason": "no"})):
        ended = desk.step(take, desk.issued(), **values)
        assert again(desk, ended).revision == 2
    expired = desk.issued(valid_days=1)
    clock.advance(3 * 86_400)
    assert again(desk, expired).revision == 2
    for quote, words in (
        (desk.draft(), "change it with PUT"),
        (desk.approved(), "change it with PUT"),
        (desk.accepted(), "was accepted"),
    ):
        with pytest.raises(ConflictError, match=words):
            again(desk, quote)
    old = desk.issued()
    new = again(desk, old)
    with pytest.raises(ConflictError, match=rf"newest revision is 2 \({new.id}\), which is being written"):
        again(desk, old)


@ONE_DATABASE
def test_a_draft_beside_an_accepted_revision_says_that_it_is_at_its_end_and_leads_nobody_on(desk, runtime):
    old = desk.issued()
    waiting = desk.step(submit, again(desk, old))
    assert waiting.cannot_be_issued is None
    desk.step(accept, old, acceptance={"accepted_by": "me", "reference": None})
    said = get_quote(runtime, desk.seller, waiting.id).cannot_be_issued
    assert said == f"revision 1 ({old.id}) of {old.number} was accepted; for more, write a new quote"
    with pytest.raises(ConflictError, match="can no longer be issued: revision 1"):
        desk.step(approve, waiting, desk.approver)
    draft = desk.step(reject, waiting, desk.approver, reason="overtaken")
    assert draft.cannot_be_issued == said
    with pytest.raises(ConflictError, match="can no longer be issued: revision 1"):
        desk.step(submit, draft)
    assert desk.step(withdraw, draft, reason="overtaken").cannot_be_issued is None
    assert get_quote(runtime, desk.seller, old.id).cannot_be_issued is None


@ONE_DATABASE
def test_an_expired_day_of_validity_is_given_anew(desk, clock):
    old = desk.issued(valid_until="2026-11-22")
    clock.advance(5 * 86_400)
    assert again(desk, old).valid_until == "2026-12-25"


@ONE_DATABASE
def test_revisions_of_one_number_are_compared(desk, runtime, stranger):
    one, two = desk.draft(), desk.draft()
    same = quote_difference(runtime, desk.seller, one.id, other_id=one.id).difference
    assert (same.causes, same.lines, same.sums) == ((), (), ())
    with pytest.raises(ConflictError, match="revisions of one"):
        quote_difference(runtime, desk.seller, one.id, other_id=two.id)
    for use in (
        lambda: quote_difference(runtime, stranger, one.id, other_id=one.id),
        lambda: list_revisions(runtime, stranger, one.id),
        lambda: revise(runtime, stranger, one.id, NOTHING, version=None, request_id="r"),
    ):
        with pytest.raises(NotFoundError):
            use()


def test_each_risk_is_named_with_its_reason(desk, runtime, clock):
    sound = desk.issued(valid_days=90)
    assert risks(desk) == {}
    ending = desk.issued(valid_days=10)
    assert risks(desk) == {ending.id: ["validity_ends"]}
    assert risks(desk, within_days=9) == {}
    assert risks(desk, within_days=90) == {ending.id: ["validity_ends"], sound.id: ["validity_ends"]}
    newer = resize(desk, demand={"requests_s": 500})
    assert risks(desk, within_days=1) == {sound.id: ["run_answered_anew"], ending.id: ["run_answered_anew"]}
    (found,) = [each for each in list_at_risk(runtime, desk.seller, within_days=1) if each.id == sound.id]
    assert found.risks[0].run_id == newer
    book = desk.book(price="7.00")
    assert risks(desk, within_days=1)[sound.id] == ["run_answered_anew", "price_book_replaced"]
    (found,) = [each for each in list_at_risk(runtime, desk.seller, within_days=1) if each.id == sound.id]
    assert found.risks[1].price_book_id == book.id


@ONE_DATABASE
def test_the_same_answer_again_is_no_risk(desk, runtime):
    quote = desk.issued(valid_days=90)
    run = get_run(runtime, desk.caller, desk.run_id)
    later = replace(runtime, price_book=replace(runtime.price_book, digest="sha256:other"))
    again_sized = change(later, desk.caller, run.workload_id, chat(), version=None, request_id="r")
    assert again_sized.id != run.id
    execute(later, again_sized.id)
    assert quote.id not in risks(desk)


@ONE_DATABASE
def test_a_book_that_ends_and_a_quote_without_one_are_at_risk(desk):
    sound = desk.issued(valid_days=90)
    ending = desk.book(name="ending", expires_on="2026-11-25")
    ends = desk.draft()
    assert ends.price_book_id == ending.id
    assert risks(desk)[ends.id] == ["price_book_expires", "validity_ends"]
    assert risks(desk)[sound.id] == ["price_book_replaced"]
    accepted = desk.accepted()
    assert accepted.id not in risks(desk)


@ONE_DATABASE
def test_a_quote_from_the_indicative_book_is_at_risk_once_there_is_a_real_one(runtime, caller):
    desk = Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))
    quote = desk.draft(valid_days=90)
    assert risks(desk) == {}
    desk.book()
    assert risks(desk)[quote.id] == ["price_book_replaced"]


def test_pages_of_quotes_at_risk_take_few_statements(desk, runtime, clock, statements):
    made = []
    for _ in range(7):
        clock.advance(1)
        made.append(desk.draft(valid_days=3, discount_fraction=LARGE).id)
        desk.draft(valid_days=90)
    seen, last = [], None
    while True:
        with statements(runtime) as few:
            page = list_at_risk(runtime, desk.seller, within_days=5, before_id=last, limit=3)
        assert len(few) < 10
        seen += [each.id for each in page]
        if len(page) < 3:
            break
        last = page[-1].id
    assert seen == made[::-1]


@ONE_DATABASE
def test_others_see_no_quotes_at_risk(desk, runtime, stranger):
    desk.issued(valid_days=1)
    assert list_at_risk(runtime, stranger, within_days=9) == ()
