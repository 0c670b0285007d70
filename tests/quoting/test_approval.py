"""Discount tiers: the first one that holds the quote, and who must approve there."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.access import Role
from service.quoting.approval import approval
from service.quoting.pricing import price
from service.quoting.screening import EndUse, Shipment, screen
from service.quoting.stated import adjusted
from service.quoting.terms import ExtraCharge, FxRate
from tests.build import bom, bom_line, quote_terms, seller_book


def priced(*, discount="0", own=None, amount="1000", currency="USD"):
    bill = bom(bom_line(), bom_line(id="rack", part="rack"))
    fx = None if currency == "USD" else FxRate(rate=Decimal(1), date="2026-11-28", source="a bank")
    terms = quote_terms(
        currency=currency,
        fx=fx,
        discount_fraction=Decimal(discount),
        line_discounts={} if own is None else {"rack": Decimal(own)},
    )
    return price(bill, seller_book({"server": amount, "rack": "10"}), terms)


def screened(catalog, **asked):
    """What the table says of a shipment from the United States of which every fact is given."""
    facts = {"destination": "DE", "headquarters": "DE", "ultimate_parent": "DE", "exporter": "US"}
    known = facts | {"end_use": EndUse.CIVIL, "listed_owners_fraction": 0.0} | asked
    return screen(Shipment(parts=("b200-sxm",), on="2026-11-29", **known), catalog.export_rules)


def clear(catalog):
    return screened(catalog)


@pytest.mark.parametrize(
    ("asked", "tier", "needs"),
    [
        ({}, "standard", None),
        ({"discount": "0.10"}, "standard", None),
        ({"discount": "0.101"}, "deal_desk", Role.APPROVER),
        ({"own": "0.15"}, "standard", None),
        ({"own": "0.16"}, "deal_desk", Role.APPROVER),
        ({"own": "1"}, "exceptional", Role.ADMIN),
        ({"discount": "0.36"}, "exceptional", Role.ADMIN),
        ({"amount": "1000001"}, "deal_desk", Role.APPROVER),
        ({"currency": "SEK"}, "deal_desk", Role.APPROVER),
    ],
)
def test_the_first_tier_that_holds_the_quote_is_its_tier(catalog, asked, tier, needs):
    found = approval(priced(**asked), catalog.discount_tiers, Role.SELLER, clear(catalog))
    assert (found.tier, found.needs) == (tier, needs)
    assert (found.needs is None) == (tier == "standard")


def test_why_names_the_bound_the_value_and_the_tier(catalog):
    found = approval(priced(own="0.2"), catalog.discount_tiers, Role.SELLER, clear(catalog))
    assert found.why == "a discount of 20 % on a line is above the 15 % of tier standard"
    assert found.approvers == (Role.APPROVER, Role.ADMIN)


def test_the_discount_in_all_is_that_of_the_money(catalog):
    found = approval(priced(own="0.1", amount="990"), catalog.discount_tiers, Role.SELLER, clear(catalog))
    assert found.total_discount_fraction == Decimal("0.001")
    assert found.line_discount_fraction == Decimal("0.1")


def test_a_role_that_no_tier_sets_free_needs_its_approver(catalog):
    tiers = replace(
        catalog.discount_tiers,
        tiers=tuple(replace(tier, free_for=(Role.ADMIN,)) for tier in catalog.discount_tiers.tiers),
    )
    assert approval(priced(), tiers, Role.SELLER, clear(catalog)).needs is Role.APPROVER
    assert approval(priced(), tiers, Role.ADMIN, clear(catalog)).needs is None


def test_a_quote_without_any_price_has_no_discount(catalog):
    empty = price(bom(bom_line()), seller_book({}), quote_terms(discount_fraction=Decimal("0.9")))
    found = approval(empty, catalog.discount_tiers, Role.SELLER, clear(catalog))
    assert found.total_discount_fraction == found.line_discount_fraction == 0


def test_what_no_bound_was_made_for_is_looked_at_in_every_tier(catalog):
    bill = bom(bom_line(), bom_line(id="rack", part="rack"))
    book = seller_book({"server": "1000", "rack": "10"})
    stated = adjusted(bill, {"rack": 7}, sized=1, rules=catalog.bom_rules, spares="none")
    by_hand = approval(price(stated, book, quote_terms()), catalog.discount_tiers, Role.SELLER, clear(catalog))
    assert (by_hand.tier, by_hand.needs) == ("standard", Role.APPROVER)
    assert "stated counts (rack)" in by_hand.why
    partly = approval(
        price(bill, seller_book({"server": "1000"}), quote_terms()), catalog.discount_tiers, Role.SELLER, clear(catalog)
    )
    assert (partly.tier, partly.needs) == ("standard", Role.APPROVER)
    assert "without a price" in partly.why


def test_charges_count_towards_the_bound(catalog):
    charge = ExtraCharge(name="everything else", amount=Decimal(900_000_000))
    dear = price(bom(bom_line()), seller_book({"server": "1000"}), quote_terms(charges=(charge,)))
    assert approval(dear, catalog.discount_tiers, Role.SELLER, clear(catalog)).tier == "deal_desk"


def test_a_flag_is_looked_at_by_somebody_else_whatever_the_discount(catalog):
    china = screened(catalog, destination="CN", headquarters="CN", ultimate_parent="CN")
    found = approval(priced(), catalog.discount_tiers, Role.ADMIN, china)
    assert (found.tier, found.needs, found.approvers) == ("standard", Role.APPROVER, (Role.APPROVER, Role.ADMIN))
    assert found.why.startswith("export screening: presumption of denial flag (US-2026-CASE-BY-CASE), licence required")
    assert "allowed" not in found.why


def test_a_fact_that_nobody_gave_is_looked_at_too(catalog):
    silent = screened(catalog, end_use=None)
    found = approval(priced(), catalog.discount_tiers, Role.SELLER, silent)
    assert (found.needs, found.why) == (Role.APPROVER, "export screening: needs review (US-END-USE-CATCHALL)")


def test_a_flag_beside_a_large_discount_takes_the_later_approvers(catalog):
    china = screened(catalog, destination="CN")
    dear = approval(priced(discount="0.36"), catalog.discount_tiers, Role.SELLER, china)
    assert (dear.needs, dear.approvers) == (Role.ADMIN, (Role.ADMIN,))
    assert "of tier deal_desk; export screening: " in dear.why
    strict = replace(catalog.discount_tiers, export=replace(catalog.discount_tiers.export, tier="exceptional"))
    assert approval(priced(), strict, Role.SELLER, china).needs is Role.ADMIN


def test_a_rule_that_is_not_enforced_asks_for_no_second_look_unless_the_file_says_so(catalog):
    plain = clear(catalog)
    open_ones = [match.rule for match in plain.matches if match.severity == "needs_review"]
    assert open_ones == ["US-LIC-a-WORLDWIDE-ON-BOOKS"]
    assert approval(priced(), catalog.discount_tiers, Role.SELLER, plain).needs is None
    strict = replace(catalog.discount_tiers, export=replace(catalog.discount_tiers.export, unenforced=True))
    assert "ON-BOOKS" in approval(priced(), strict, Role.SELLER, plain).why
