"""Lead times: the seller's own decide, and what nobody stated leaves the date open."""

from dataclasses import replace
from datetime import date

import pytest

from service.quoting.prices import PartKind
from service.quoting.supply import Delivery, LeadTime, lead_times_of, supply
from tests.build import bom, bom_line, seller_book, yearly_line

TODAY = date(2026, 11, 29)
BILL = bom(
    bom_line(),
    bom_line(id="rack", part="rack", kind=PartKind.RACK),
    bom_line(id="spare", part="spare", quantity=0),
    bom_line(id="deployment", part="deployment", kind=PartKind.SERVICE),
    yearly_line(),
)
BOTH = {"server": LeadTime(weeks=10, as_of="2026-11-01"), "rack": LeadTime(weeks=4, as_of="2026-11-01")}


@pytest.mark.parametrize(
    ("stated", "wished", "delivery"),
    [
        (BOTH, date(2027, 2, 7), Delivery.IN_TIME),
        (BOTH, date(2027, 2, 6), Delivery.LATE),
        ({"server": BOTH["server"]}, date(2027, 2, 7), Delivery.UNKNOWN),
        ({"server": BOTH["server"]}, date(2026, 12, 1), Delivery.LATE),
        ({}, date(2030, 1, 1), Delivery.UNKNOWN),
        (BOTH, None, Delivery.NOT_ASKED),
    ],
)
def test_the_sellers_weeks_are_held_against_the_wished_date(catalog, stated, wished, delivery):
    found = supply(BILL, stated, ordered_on=TODAY, deliver_by=wished, context=catalog.lead_times)
    assert found.delivery is delivery


def test_only_what_is_shipped_is_asked_for(catalog):
    found = supply(BILL, BOTH, ordered_on=TODAY, deliver_by=None, context=catalog.lead_times)
    assert [part.part for part in found.parts] == ["server", "rack"]
    assert (found.longest_weeks, found.without_lead_time) == (10, ())
    assert found.parts[0].ready_on == "2027-02-07"


def test_the_lead_times_are_those_of_the_book_as_of_its_date():
    book = seller_book({"server": "1", "rack": "2"})
    lines = {**book.lines, "server": replace(book.lines["server"], lead_time_weeks=12)}
    assert lead_times_of(replace(book, lines=lines)) == {"server": LeadTime(weeks=12, as_of="2026-11-01")}


def test_context_is_cited_and_no_lead_time(catalog):
    found = supply(BILL, {}, ordered_on=TODAY, deliver_by=None, context=catalog.lead_times)
    assert found.longest_weeks is None
    for said in (*found.notes, *found.backlog):
        assert all(len(source) > 10 for source in said.sources)
        assert said.sources
