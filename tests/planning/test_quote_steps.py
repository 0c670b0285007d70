"""The life of a quote: each step from the states that allow it and no other, approvals, and expiry."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from service.access import Role
from service.errors import ConflictError, ForbiddenError, PreconditionFailedError
from service.planning.audit import list_events
from service.planning.quote_drafting import sha256_of
from service.planning.quote_expiry import expire_overdue
from service.planning.quote_steps import accept, approve, decline, issue, reject, submit, withdraw
from service.planning.quote_view import as_approved
from service.planning.quotes import get_quote, rewrite
from service.planning.sweep import sweep
from service.quoting.export_rules import ExportRule, Join
from service.store.filters import AuditFilter
from tests.planning.quote_life import ACCEPTANCE, again, do, state
from tests.planning.selling import ONE_DATABASE, SMALL, Desk, asked, person, sized


@pytest.fixture
def desk(runtime, caller) -> Desk:
    desk = Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))
    desk.book()
    return desk


def test_from_a_draft_to_an_accepted_quote(desk, runtime, clock):
    quote = desk.draft()
    pending = do(desk, submit, quote, version=1)
    assert (pending.state, pending.version) == ("pending_approval", 2)
    approved = do(desk, approve, pending, version=2)
    assert (approved.state, approved.approval.approved_by) == ("approved", "pat")
    assert approved.approval.approved_sha256 == approved.sha256 == quote.sha256
    clock.advance(86_400)
    issued = do(desk, issue, approved, version=3)
    assert (issued.state, issued.issued_by, issued.issued_at) == ("issued", "sam", clock.now)
    assert orjson.loads(issued.snapshot)["issued_on"] == "2026-11-21"
    assert issued.sha256 == sha256_of(issued.snapshot) != quote.sha256
    assert as_approved(issued.snapshot) == quote.snapshot
    accepted = do(desk, accept, issued, version=4)
    assert (accepted.state, accepted.acceptance, accepted.closed_by) == ("accepted", ACCEPTANCE, "sam")
    assert accepted.snapshot == issued.snapshot
    assert [each["at"] for each in accepted.screenings] == ["issue", "accept"]


REACHED: dict[str, Callable[[Desk], Any]] = {
    "draft": lambda desk: desk.draft(),
    "pending_approval": lambda desk: do(desk, submit, desk.draft()),
    "approved": lambda desk: desk.approved(),
    "issued": lambda desk: desk.issued(),
    "accepted": lambda desk: desk.accepted(),
    "declined": lambda desk: do(desk, decline, desk.issued()),
    "withdrawn": lambda desk: do(desk, withdraw, desk.issued()),
}
ALLOWED = {
    submit: {"draft": "pending_approval"},
    approve: {"pending_approval": "approved"},
    reject: {"pending_approval": "draft"},
    issue: {"approved": "issued"},
    accept: {"issued": "accepted"},
    decline: {"issued": "declined"},
    withdraw: dict.fromkeys(("draft", "pending_approval", "approved", "issued"), "withdrawn"),
}


@ONE_DATABASE
@pytest.mark.parametrize("before", REACHED)
def test_each_step_is_taken_from_the_states_that_allow_it_and_no_other(before, desk, runtime):
    for take, allowed in ALLOWED.items():
        quote = REACHED[before](desk)
        events = len(list_events(runtime, desk.admin, only=AuditFilter(resource_id=quote.id)))
        if before in allowed:
            assert do(desk, take, quote).state == allowed[before]
            events += 1
        else:
            with pytest.raises(ConflictError, match=f"is {before}; only one that is"):
                do(desk, take, quote)
            assert get_quote(runtime, desk.seller, quote.id) == quote
        assert len(list_events(runtime, desk.admin, only=AuditFilter(resource_id=quote.id))) == events


@ONE_DATABASE
def test_a_step_over_a_version_that_was_not_read_is_not_taken(desk):
    quote = desk.draft()
    for take in ALLOWED:
        with pytest.raises(PreconditionFailedError):
            do(desk, take, quote, version=7)
    assert state(desk, quote) == "draft"


@ONE_DATABASE
def test_where_the_tier_asks_for_nobody_it_is_approved_at_once_by_its_hash(desk):
    quote = desk.draft(discount_fraction=SMALL)
    assert quote.approval.needs is None
    approved = do(desk, submit, quote)
    assert (approved.state, approved.approval.approved_by) == ("approved", None)
    assert approved.approval.approved_sha256 == quote.sha256


@ONE_DATABASE
def test_the_tier_says_which_role_approves(desk):
    exceptional = do(desk, submit, desk.draft(discount_fraction="0.9"))
    assert exceptional.approval.approvers == ("admin",)
    for caller in (desk.approver, desk.seller):
        with pytest.raises(ForbiddenError, match="role admin"):
            do(desk, approve, exceptional, caller)
    assert do(desk, approve, exceptional, desk.admin).state == "approved"


@ONE_DATABASE
def test_nobody_approves_what_they_wrote_any_part_of(desk, runtime):
    author = person(desk.caller, "pat", Role.ADMIN)
    other = person(desk.caller, "eve", Role.APPROVER)
    edited = desk.draft()
    rewrite(runtime, author, edited.id, asked(desk.run_id, customer={"name": "X"}), version=None, request_id="r")
    for quote in (desk.draft(author), edited):
        pending = do(desk, submit, quote)
        for role in (Role.APPROVER, Role.ADMIN):
            with pytest.raises(ForbiddenError, match="wrote a part"):
                do(desk, approve, pending, person(desk.caller, "pat", role))
        assert state(desk, quote) == "pending_approval"
    assert do(desk, approve, edited, other).state == "approved"
    # Not even of a revision that somebody else wrote: the discount of an older one may be theirs.
    issued = do(desk, issue, edited)
    newer = do(desk, submit, again(desk, issued, person(desk.caller, "zoe", Role.SELLER)))
    with pytest.raises(ForbiddenError, match="none of its revisions"):
        do(desk, approve, newer, desk.approver)
    with pytest.raises(ForbiddenError):
        do(desk, approve, newer, person(desk.caller, "zoe", Role.APPROVER))
    assert do(desk, approve, newer, other).state == "approved"


@ONE_DATABASE
def test_a_rejected_quote_is_a_draft_with_the_reason_until_it_is_submitted_again(desk):
    rejected = do(desk, reject, do(desk, submit, desk.draft()))
    assert (rejected.state, rejected.reason, rejected.approval.approved_at) == ("draft", "because", None)
    assert do(desk, submit, rejected).reason is None


@ONE_DATABASE
def test_what_is_not_priced_in_full_and_for_real_is_not_issued(desk, runtime, clock):
    missing = desk.parts()[0]["part"]
    desk.book(without=(missing,), name="holes")
    quote = desk.approved()
    assert not quote.complete
    with pytest.raises(ConflictError, match=f"no price: {missing}"):
        do(desk, issue, quote)
    desk.book(name="rough", indicative=True)
    with pytest.raises(ConflictError, match="INDICATIVE"):
        do(desk, issue, desk.approved())
    desk.book(name="short", expires_on="2026-11-21")
    quote = desk.approved()
    clock.advance(2 * 86_400)
    with pytest.raises(ConflictError, match=r"its validity ended with 2026-11-21"):
        do(desk, issue, quote)
    assert state(desk, quote) == "approved"


@ONE_DATABASE
def test_prices_that_were_replaced_are_not_issued_unless_the_quote_says_so(desk):
    old = desk.book()
    quote = desk.approved()
    desk.book(name="newer", price="1100.00")
    with pytest.raises(ConflictError, match=r"list, version \d was replaced by newer, version 1, in force since"):
        do(desk, issue, quote)
    assert state(desk, quote) == "approved"
    kept = desk.approved(price_book_id=old.id)
    assert do(desk, issue, kept).state == "issued"
    assert f"REPLACED PRICES: list, version {old.version} prices this quote" in kept.snapshot.decode()


@ONE_DATABASE
def test_a_quote_whose_validity_ended_before_is_not_issued(desk, clock):
    quote = desk.approved(valid_days=1)
    clock.advance(3 * 86_400)
    with pytest.raises(ConflictError, match="validity ended with 2026-11-21"):
        do(desk, issue, quote)


MIDNIGHTS = [
    # The zone, the last day, and the moment at which it is over.
    ("UTC", "2026-11-25", datetime(2026, 11, 26, 0, 0, tzinfo=UTC)),
    ("Europe/Berlin", "2026-11-25", datetime(2026, 11, 25, 23, 0, tzinfo=UTC)),
    ("America/Los_Angeles", "2026-11-25", datetime(2026, 11, 26, 8, 0, tzinfo=UTC)),
    ("Pacific/Kiritimati", "2026-11-25", datetime(2026, 11, 25, 10, 0, tzinfo=UTC)),
]


@ONE_DATABASE
@pytest.mark.parametrize(("zone", "last", "over"), MIDNIGHTS)
def test_it_is_accepted_until_midnight_where_it_is_valid(zone, last, over, desk, clock):
    early, late = (desk.issued(time_zone=zone, valid_until=last) for _ in range(2))
    assert early.expires_at == over
    clock.now = over - timedelta(microseconds=1)
    assert do(desk, accept, early).state == "accepted"
    clock.now = over
    assert state(desk, late) == "expired"
    with pytest.raises(ConflictError, match="is expired"):
        do(desk, accept, late)


def test_expiry_is_noted_once_by_whoever_comes_first(desk, runtime, clock):
    asked_for, swept = desk.issued(), desk.issued()
    clock.advance(40 * 86_400)
    with pytest.raises(ConflictError, match="validity ended"):
        do(desk, accept, asked_for)
    assert sweep(runtime).expired == 1
    assert expire_overdue(runtime) == 0
    for quote in (asked_for, swept):
        found = get_quote(runtime, desk.seller, quote.id)
        assert (found.state, found.version, found.closed_by) == ("expired", quote.version + 1, "the service itself")
        assert found.closed_at == quote.expires_at
        (event,) = list_events(runtime, desk.admin, only=AuditFilter(resource_id=quote.id, action="quote.expired"))
        assert (event.principal, event.key_id) == ("the service itself", None)
    with pytest.raises(ConflictError):
        do(desk, decline, swept)


def other_rules(runtime, *, sharper: bool = True):
    """The same with one rule that matches everything, or the table of a later version that says the same."""
    table = runtime.catalog.export_rules
    rule = next(rule for rule in table.rules if rule.about.join is Join.ALWAYS or rule.when.join is Join.ALWAYS)
    new: ExportRule = replace(
        rule,
        id="rule-of-tomorrow",
        about=replace(rule.about, join=Join.ALWAYS, parts=()),
        when=replace(rule.when, join=Join.ALWAYS, parts=()),
        destination=replace(rule.destination, everywhere=True, less_groups=(), less_countries=()),
        effective_from=None,
        effective_to=None,
        suspended_from=None,
        suspended_to=None,
        result=table.severities[0],
    )
    rules = (*table.rules, new) if sharper else table.rules
    changed = replace(table, table_version="later", rules=rules)
    return replace(runtime, catalog=replace(runtime.catalog, export_rules=changed))


@ONE_DATABASE
def test_other_rules_than_were_approved_send_it_back_to_draft(desk, runtime):
    quote = desk.approved()
    later = other_rules(runtime)
    with pytest.raises(ConflictError, match="rule-of-tomorrow"):
        issue(later, desk.seller, quote.id, version=None, request_id="r")
    back = get_quote(runtime, desk.seller, quote.id)
    assert (back.state, back.approval.approved_sha256) == ("draft", None)
    assert "rule-of-tomorrow" in back.reason
    assert back.screenings[-1]["at"] == "issue"
    (event,) = list_events(runtime, desk.admin, only=AuditFilter(action="quote.returned"))
    assert event.resource_id == quote.id
    # Written anew, it says so, and is issued once that was approved.
    written = rewrite(later, desk.seller, quote.id, asked(desk.run_id), version=None, request_id="r")
    assert any(m["rule"] == "rule-of-tomorrow" for m in orjson.loads(written.snapshot)["export"]["matches"])
    do(desk, submit, written)
    do(desk, approve, written)
    assert issue(later, desk.seller, quote.id, version=None, request_id="r").state == "issued"


@ONE_DATABASE
def test_other_rules_than_when_it_was_issued_are_not_accepted(desk, runtime):
    quote = desk.issued()
    with pytest.raises(ConflictError, match="rule-of-tomorrow"):
        accept(other_rules(runtime), desk.seller, quote.id, acceptance={}, version=None, request_id="r")
    assert get_quote(runtime, desk.seller, quote.id) == quote
    same = other_rules(runtime, sharper=False)
    accepted = accept(same, desk.seller, quote.id, acceptance={}, version=None, request_id="r")
    assert (accepted.state, accepted.screenings[-1]["table_version"]) == ("accepted", "later")
