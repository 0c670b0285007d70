"""Quotes that are written anew: over what was read, and what a change takes back."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import orjson
import pytest

from service.errors import (
    ConflictError,
    InvalidRequestError,
    PreconditionFailedError,
)
from service.planning.audit import list_events
from service.planning.quote_steps import issue, submit
from service.planning.quotes import get_quote, rewrite
from service.store.filters import AuditFilter
from tests.planning.selling import ONE_DATABASE, Desk, asked, sized


@pytest.fixture
def desk(runtime, caller) -> Desk:
    return Desk(runtime=runtime, caller=caller, run_id=sized(runtime, caller))


def put(desk, quote, caller=None, *, version=None, **changes):
    request = asked(desk.run_id, **changes)
    return rewrite(desk.runtime, caller or desk.seller, quote.id, request, version=version, request_id="req_p")


def test_a_change_writes_it_anew_over_what_was_read(desk, runtime):
    desk.book()
    quote = desk.draft()
    changed = put(desk, quote, version=1, discount_fraction="0.4")
    assert (changed.version, changed.state, changed.number) == (2, "draft", quote.number)
    assert changed.total < quote.total
    assert changed.sha256 != quote.sha256
    with pytest.raises(PreconditionFailedError, match="version 2"):
        put(desk, quote, version=1, discount_fraction="0.5")
    assert get_quote(runtime, desk.seller, quote.id) == changed
    with pytest.raises(InvalidRequestError):
        put(desk, quote, option=99)
    assert get_quote(runtime, desk.seller, quote.id) == changed


@ONE_DATABASE
def test_what_changes_nothing_is_no_change(desk, runtime):
    desk.book()
    quote = desk.approved()
    assert put(desk, quote, version=quote.version) == quote
    assert list_events(runtime, desk.admin, only=AuditFilter(action="quote.changed")) == ()


@ONE_DATABASE
def test_any_change_of_content_takes_the_approval_back(desk):
    desk.book()
    for quote in (desk.step(submit, desk.draft()), desk.approved()):
        changed = put(desk, quote, customer={"name": "Somebody else"})
        assert (changed.state, changed.approval.approved_by, changed.approval.approved_sha256) == ("draft", None, None)
        with pytest.raises(ConflictError):
            desk.step(issue, quote)


@ONE_DATABASE
def test_an_issued_quote_is_not_written_any_more(desk):
    desk.book()
    quote = desk.issued()
    with pytest.raises(ConflictError, match="revise"):
        put(desk, quote)


def test_of_two_editors_at_once_one_is_told_to_read_again(desk, runtime):
    quote = desk.draft()
    start = threading.Barrier(2)

    def edit(discount):
        start.wait()
        try:
            return put(desk, quote, version=1, discount_fraction=discount).version
        except PreconditionFailedError:
            return None

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(edit, ("0.1", "0.2")), key=str) == [2, None]
    assert get_quote(runtime, desk.seller, quote.id).version == 2
    assert len(list_events(runtime, desk.admin, only=AuditFilter(action="quote.changed"))) == 1


def test_a_quote_of_500_lines_takes_as_many_statements_as_a_short_one(desk, runtime, statements):
    rules = runtime.catalog.bom_rules
    rule = next(rule for rule in rules.rules if rule.id == "server")
    many = replace(
        rules, rules=(*rules.rules, *(replace(rule, id=f"more-{place}", part=f"part-{place}") for place in range(500)))
    )
    long_desk = Desk(
        runtime=replace(runtime, catalog=replace(runtime.catalog, bom_rules=many)),
        caller=desk.caller,
        run_id=desk.run_id,
    )
    counts = []
    for each in (desk, long_desk):
        each.book(name=f"book {len(counts)}")
        with statements(runtime) as seen:
            quote = each.draft()
            put(each, quote, discount_fraction="0.4")
            get_quote(each.runtime, each.seller, quote.id)
        counts.append(len(seen))
    assert len(orjson.loads(quote.snapshot)["lines"]) > 500
    assert counts[0] == counts[1]
