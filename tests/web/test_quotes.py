"""Quotes as pages: from an option to acceptance, by those who may, and nothing that was typed is lost."""

import re

import pytest

from service.access import Role
from tests.api.selling import Shop, open_shop
from tests.web.conftest import Visitor, asked_first, text_of
from tests.web.test_quote_writing import CLEAR


@pytest.fixture
def shop(speaker, work) -> Shop:
    return open_shop(speaker, work)


def form_of(shop: Shop, **changes: str) -> dict[str, str]:
    plain = {"run_id": shop.run_id, "option": "1", "quote.customer.name": "Example University", "quote.currency": "USD"}
    return {**plain, "quote.discount_fraction": "30 %", "quote.destination_country": "DE", **changes}


def step(who: Visitor, quote: str, name: str, **typed: str):
    version = re.search(r'name="version" value="(\d+)"', who.get(quote).text)
    return who.post(f"{quote}/{name}", {"version": version[1] if version else "0", **typed}, on=quote)


def test_from_an_option_to_acceptance(shop, seller, visitor):
    assert shop.stock().status_code == 200
    page = seller.get(f"/runs/{shop.run_id}")
    assert f"/quotes/new?run={shop.run_id}&amp;option=1" in page.text
    new = f"/quotes/new?run={shop.run_id}&option=1"
    assert "Total over 36 months" in text_of(seller.get(new).text)
    preview = seller.post("/quotes/preview", form_of(shop), on=new, HX_Request="true")
    assert "discount" in text_of(preview.text)
    assert not shop.seller.get("/v1/quotes?state=draft").json["items"]
    quote = seller.post("/quotes", form_of(shop), on=new).headers["Location"]
    shown = text_of(seller.get(quote).text)
    assert "Example University" in shown
    assert "Export screening" in shown
    assert re.search(r"SKU \w+ · 36 months|no SKU known yet · 1 server", shown), shown
    assert "GPUs: " in shown
    assert re.search(r"Quantity\s+Discount\s+List price of one", shown)
    assert "o; p; t" not in shown
    assert "server" in shown
    assert step(seller, quote, "submit").status_code == 303
    assert "/approve" not in seller.get(quote).text
    assert "/withdraw" in seller.get(quote).text
    refused = step(seller, quote, "approve")
    assert refused.status_code == 409
    assert "alert" in refused.text
    approver = visitor("acme", Role.APPROVER)
    assert "/approve" in approver.get(quote).text
    assert step(approver, quote, "approve").status_code == 303
    assert "nothing in it can be changed any more" in asked_first(seller.get(quote).text, f"{quote}/issue")
    assert step(seller, quote, "issue").status_code == 303
    assert "Decline" in seller.get(quote).text
    for name in ("accept", "decline", "withdraw"):
        assert asked_first(seller.get(quote).text, f"{quote}/{name}").endswith(".")
    assert step(seller, quote, "decline").status_code == 409
    assert step(seller, quote, "accept", accepted_by="The dean").status_code == 303
    assert "Accepted" in seller.get(quote).text
    assert "Example University" in seller.get("/quotes?state=accepted").text


def test_an_issued_quote_whose_prices_were_replaced_says_so(shop, seller):
    shop.stock()
    issued = f"/quotes/{shop.issued(valid_days=90)['id']}"
    assert "At risk:" not in text_of(seller.get(issued).text)
    assert "No quote is like this" in text_of(seller.get("/quotes?state=at_risk").text)
    assert shop.stock(price="900.00").status_code == 200
    told = text_of(seller.get(issued).text)
    assert re.search(r"At risk: it may no longer hold.*Price book replaced\. list, version 2 prices in USD since", told)
    for path in ("/quotes", "/quotes?state=issued", "/quotes?state=at_risk"):
        assert re.search(r"Issued +Price book replaced", text_of(seller.get(path).text)), path
    draft = f"/quotes/{shop.draft(valid_days=90).json['id']}"
    assert draft in seller.get("/quotes").text
    assert draft not in seller.get("/quotes?state=at_risk").text


def test_a_draft_is_changed_and_revisions_are_told_apart(shop, seller, visitor):
    shop.stock()
    new = f"/quotes/new?run={shop.run_id}&option=1"
    quote = seller.post("/quotes", form_of(shop), on=new).headers["Location"]
    change = f"{quote}/change"
    page = seller.get(change)
    assert 'value="30 %"' in page.text
    assert 'value="Example University"' in page.text
    version = re.search(r'name="version" value="(\d+)"', page.text)[1]
    clear = {f"quote.{name}": text for name, text in CLEAR.items()}
    changed = form_of(shop, **clear, **{"quote.discount_fraction": "5 %", "version": version})
    assert seller.post(quote, changed, on=change).status_code == 303
    for name in ("submit", "issue"):
        assert step(seller, quote, name).status_code == 303, name
    revised = step(seller, quote, "revise").headers["Location"]
    assert revised != quote
    assert "what changed" in seller.get(revised).text
    moved = form_of(shop, **{"quote.discount_fraction": "30 %", "version": "1"})
    assert seller.post(revised, moved, on=f"{revised}/change").status_code == 303
    differs = seller.get(f"{quote}/diff/{revised.rpartition('/')[2]}")
    assert differs.status_code == 200
    told = text_of(differs.text)
    assert re.search(r"Q-\d+-\d+ what changed from revision 1 to revision 2", told)
    assert re.search(r"Net, paid once [\d,.]+\u00a0?\s?USD", told)
    assert "Net, paid by the year" in told
    assert "deal desk" in told
    assert "deal_desk" not in told
    assert "NVIDIA AI Enterprise subscription" in told
    assert "can no longer be issued" not in text_of(seller.get(revised).text)
    assert step(seller, quote, "accept", accepted_by="The dean").status_code == 303
    ended = seller.get(revised).text
    assert re.search(r"can no longer be issued: revision 1 \(quo_\w+\) of Q-\d+-\d+ was accepted", text_of(ended))
    assert "/submit" not in ended
    assert "/withdraw" in ended


def test_a_wrong_field_is_told_beside_it_and_nothing_is_lost(shop, seller):
    wrong = form_of(shop, **{"quote.discount_fraction": "a lot", "quote.currency": "EURO", "quote.customer.name": ""})
    page = seller.post("/quotes", wrong, on=f"/quotes/new?run={shop.run_id}")
    assert page.status_code == 422
    for field in ("quote-discount-fraction", "quote-currency", "quote-customer-name"):
        assert re.search(rf'id="fault-{field}"[^>]*>\s*<p>', page.text), field
    for typed in ("a lot", "EURO"):
        assert f'value="{typed}"' in page.text


def test_a_file_is_made_by_a_worker_and_waited_for(shop, seller):
    quote = shop.draft().json["id"]
    waits = seller.get(f"/quotes/{quote}/file.pdf")
    assert waits.status_code == 202
    assert "asks again by itself" in waits.text
    assert "nothing more happens here" in waits.text
    assert "<progress" not in waits.text
    # The page of the quote shows it in a frame.
    assert "frame-ancestors 'self'" in waits.headers["Content-Security-Policy"]
    assert "script-src 'self'" in waits.headers["Content-Security-Policy"]
    assert seller.get(f"/quotes/{quote}/file.exe").status_code == 404


def test_another_tenants_quote_is_not_there(shop, visitor):
    quote = shop.draft().json["id"]
    stranger = visitor("rival", Role.SELLER)
    for path in ("", "/change", "/file.pdf", f"/diff/{quote}"):
        answer = stranger.get(f"/quotes/{quote}{path}")
        assert answer.status_code == 404, path
        assert "Example" not in answer.text
    assert stranger.post(f"/quotes/{quote}/withdraw", {"version": "1", "reason": "x"}).status_code == 404
    assert stranger.get(f"/quotes/new?run={shop.run_id}").status_code == 404


def test_a_requester_sees_no_quotes(anna, shop):
    assert anna.get("/quotes").status_code == 403
    assert "Quote this option" not in anna.get(f"/runs/{shop.run_id}").text


def test_ownership_is_drawn_beside_a_cloud(shop, seller):
    shop.stock()
    new = f"/quotes/new?run={shop.run_id}&option=1"
    price = re.search(r'name="quote\.tco\.electricity_price_kwh".*?</div>', seller.get(new).text, flags=re.DOTALL)
    assert "kWh" not in text_of(price[0])
    [hour] = re.findall(r'name="(quote\.tco\.cloud\.gpu_hour\.[^"]+)"', seller.get(new).text)
    owned = {"horizon_months": "48", "electricity_price_kwh": "0.2", "cloud.name": "Some cloud"}
    tco = {f"quote.tco.{name}": value for name, value in owned.items()}
    typed = form_of(shop, **tco, **{"quote.tco.cloud.date": "2026-11-01", hour: "9.50"})
    preview = seller.post("/quotes/preview", typed, on=new)
    assert "the same hours from Some cloud" in text_of(preview.text)
    assert 'class="cloud"' in preview.text
    assert "owned, without space, staff (no price was given)" in text_of(preview.text)
    known = {**typed, "quote.tco.space_price_kw_month": "90", "quote.tco.staff_price_year": "1000"}
    assert "no price was given" not in text_of(seller.post("/quotes/preview", known, on=new).text)
    quote = seller.post("/quotes", typed, on=new).headers["Location"]
    assert "less is spent on owning from month" in text_of(seller.get(quote).text)
    assert 'value="9.50"' in seller.get(f"{quote}/change").text or 'value="9.5"' in seller.get(f"{quote}/change").text


def test_what_a_refused_step_was_told_is_still_there(shop, seller):
    quote = f"/quotes/{shop.draft().json['id']}"
    refused = seller.post(f"{quote}/withdraw", {"version": "99", "reason": "a typo"}, on=quote)
    assert refused.status_code == 409
    assert '<details class="sure" name="sure" open>' in refused.text
    assert 'name="reason" value="a typo"' in refused.text


def test_what_is_over_may_be_written_anew_once(shop, seller):
    quote = f"/quotes/{shop.draft().json['id']}"
    assert f"{quote}/revise" not in seller.get(quote).text
    assert step(seller, quote, "withdraw", reason="other servers").status_code == 303
    assert f"{quote}/revise" in seller.get(quote).text
    revised = step(seller, quote, "revise", version="2")
    assert revised.status_code == 303
    assert f"{quote}/revise" not in seller.get(quote).text
