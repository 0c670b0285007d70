"""A quote as a seller and an approver write it, in a real browser on the real product."""

from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.api.selling import SMALL
from tests.build import book_lines
from tests.e2e.conftest import Started

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]


@pytest.fixture(scope="module")
def sold(product: Started) -> str:
    """A run of few servers, and a price book in force that has every part of it."""
    with product.client() as client:
        run = client.post("/v1/workloads", json=SMALL, headers={"Prefer": "wait=30"}).json()["id"]
    seller, admin = ({"Authorization": f"Bearer {product.key(role)}"} for role in ("seller", "admin"))
    with httpx.Client(base_url=product.address, trust_env=False, timeout=40.0) as client:
        body = {"run_id": run, "customer": {"name": "Nobody"}, "currency": "USD"}
        lines = client.post("/v1/quotes", json=body, headers=seller).json()["document"]["lines"]
        book = {"name": "list", "currency": "USD", "date": "2026-11-01", "lines": book_lines(lines, "1000.00")}
        made = client.post("/v1/price-books", json=book, headers=admin).headers["Location"]
        today = {"effective_from": f"{datetime.now(UTC):%Y-%m-%d}"}
        done = client.post(f"{made}/activate", json=today, headers={**admin, "If-Match": "*"})
        assert done.status_code == httpx.codes.OK, done.text
    return run


def test_a_quote_from_an_option_to_acceptance(visit, sold):
    """What a seller and an approver do, and what a customer gets."""
    seller = visit()
    page = seller.go(f"/runs/{sold}")
    page.click("text=Quote this option")
    expect(page.locator(".totals")).to_contain_text("Total over 36 months")
    page.fill('[name="quote.customer.name"]', "Example University")
    page.fill('[name="quote.discount_fraction"]', "30 %")
    expect(page.locator(".totals")).to_contain_text("discount")
    page.fill('[name="quote.destination_country"]', "DE")
    page.click("text=Write the draft")
    page.wait_for_url("**/quotes/quo_*")
    seller.keep_picture("journey-quote-draft")
    page.click("button:text-is('Submit')")
    expect(page.locator(".title-row")).to_contain_text("Pending approval")
    address = urlsplit(page.url).path
    approver = visit(role="approver")
    approver.go(address).click("button:text-is('Approve')")
    expect(approver.page.locator(".title-row")).to_contain_text("Approved")
    seller.go(address).click("summary:has-text('Issue')")
    page.click("button:text-is('Issue it')")
    expect(page.locator(".title-row")).to_contain_text("Issued")
    page.click("summary:has-text('Accept')")
    page.fill('[name="accepted_by"]', "The dean")
    page.click("button:text-is('Note the acceptance')")
    expect(page.locator(".title-row")).to_contain_text("Accepted")
    seller.keep_picture("journey-quote-accepted")


def test_a_line_of_a_quote_is_typed_into_while_the_totals_follow(visit, sold):
    """Discounts, quantities and charges move the totals and the approval under the hands of whoever types."""
    opened = visit()
    page = opened.go(f"/quotes/new?run={sold}&option=1")
    before = page.inner_text(".grand strong")
    page.focus('[name="quote.line_discounts.server"]')
    page.keyboard.type("40 %")
    expect(page.locator(".checks")).to_contain_text("tier deal desk")
    expect(page.locator('[name="quote.line_discounts.server"]')).to_be_focused()
    assert page.inner_text(".grand strong") != before
    page.fill('[name="quote.quantities.server"]', "none")
    expect(page.locator("#fault-quote-quantities-server p")).to_be_visible()
    expect(page.locator(".grand")).to_contain_text("Total over 36 months")
    page.fill('[name="quote.quantities.server"]', "")
    page.click("text=Other charges")
    page.fill('[name="quote.charges.0.name"]', "Freight")
    page.fill('[name="quote.charges.0.amount"]', "1500")
    expect(page.locator('[name="quote.charges.1.name"]')).to_be_visible()
    expect(page.locator(".totals")).to_contain_text("Freight")
    page.fill('[name="quote.destination_country"]', "China")
    expect(page.locator("#export ~ p >> nth=0")).to_contain_text("Strongest flag")
    page.fill('[name="quote.deliver_by"]', "2099-01-31")
    expect(page.locator(".checks")).to_contain_text("Needed by 31 January 2099")
    # All of it is there again after a reload.
    page.reload()
    expect(page.locator(".totals")).to_contain_text("Freight")
    assert page.input_value('[name="quote.line_discounts.server"]') == "40 %"
    opened.keep_picture("journey-quote-lines")


def test_two_people_change_one_draft(visit, things):
    address = f"/quotes/{things['quote']}/change"
    first, second = visit(), visit(role="admin")
    mine, theirs = first.go(address), second.go(address)
    theirs.fill('[name="quote.discount_fraction"]', "20 %")
    theirs.click("text=Save the draft")
    theirs.wait_for_url(f"**/quotes/{things['quote']}")
    mine.fill('[name="quote.customer.contact"]', "Ms Example")
    mine.click("text=Save the draft")
    expect(mine.locator("[role=alert]")).to_contain_text("Somebody else changed this meanwhile")
    expect(mine.locator("[role=alert]")).to_contain_text("20 %")
    assert mine.input_value('[name="quote.customer.contact"]') == "Ms Example"
    first.keep_picture("journey-quote-overtaken")
    mine.click("text=Save the draft")
    mine.wait_for_url(f"**/quotes/{things['quote']}")
