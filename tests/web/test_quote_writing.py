"""The form of a quote: each number of it can be typed, what is wrong costs nothing else, two people see each other."""

import html
import json
import re

import pytest

from service.access import Role
from service.web import quote_writing
from service.web.field_words import field_name
from service.web.form.inference import INITIAL as SIZED
from tests.api.selling import Shop, open_shop
from tests.web.conftest import Visitor, text_of

# Every fact that the export rules ask of a sale to Germany: without one of them somebody must look at it.
CLEAR = {
    "destination_country": "DE",
    "exporter_country": "US",
    "end_user.headquarters_country": "DE",
    "end_user.ultimate_parent_country": "DE",
    "end_user.end_use": "civil",
    "end_user.listed_owners_fraction": "0 %",
}


@pytest.fixture
def shop(speaker, work) -> Shop:
    made = open_shop(speaker, work)
    assert made.stock().status_code == 200
    return made


def form_of(shop: Shop, **changes: str) -> dict[str, str]:
    plain = {"run_id": shop.run_id, "option": "1", "quote.customer.name": "Example University", "quote.currency": "USD"}
    return plain | {f"quote.{name}": text for name, text in changes.items()}


def new_of(shop: Shop) -> str:
    return f"/quotes/new?run={shop.run_id}&option=1"


def previewed(seller: Visitor, shop: Shop, **changes: str) -> str:
    answer = seller.post("/quotes/preview", form_of(shop, **changes), on=new_of(shop), HX_Request="true")
    assert answer.status_code == 200
    return str(answer.text)


def written(seller: Visitor, shop: Shop, **changes: str) -> str:
    made = seller.post("/quotes", form_of(shop, **changes), on=new_of(shop))
    assert made.status_code == 303, text_of(made.text)[:3000]
    return str(made.headers["Location"])


def asked(shop: Shop, quote: str) -> dict[str, object]:
    found: dict[str, object] = shop.seller.get(f"/v1{quote}").json["document"]
    return found


def typed_in(page: str) -> dict[str, str]:
    """What stands in the fields of a form."""
    fields = re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', page)
    chosen = re.findall(r'<select[^>]*name="([^"]+)".*?<option value="([^"]*)" selected', page, flags=re.DOTALL)
    return {name: html.unescape(text) for name, text in [*fields, *chosen]}


def fault_beside(page: str, field: str) -> str:
    found = re.search(rf'id="fault-{field}".*?</div>', page, flags=re.DOTALL)
    assert found, field
    return text_of(found[0])


def test_lines_charges_and_terms_are_typed_and_kept(shop, seller):
    typed = {
        "quantities.server": "2",
        "line_discounts.server": "12.5 %",
        "charges.0.name": "Freight",
        "charges.0.amount": "1,250.50",
        "charges.2.name": "Unpacking",
        "charges.2.amount": "99",
        "term_months": "24",
        "destination_country": "Germany",
        "terms.payment": "Within 30 days",
        "seller.name": "Example Systems",
    }
    words = text_of(previewed(seller, shop, **typed))
    for told in ("Freight", "1,250.50", "Total over 24 months", "Unpacking"):
        assert told in words.replace("\u00a0", " "), told
    quote = written(seller, shop, **typed)
    document = asked(shop, quote)
    [server] = [line for line in document["lines"] if line["id"] == "server"]
    assert (server["quantity"], server["discount_fraction"], server["stated"]) == (2, "0.125", True)
    assert [one["amount"] for one in document["totals"]["charges"]] == ["1250.50", "99.00"]
    assert document["export"]["shipment"]["destination"] == "DE"
    assert document["offered_by"]["name"] == "Example Systems"
    # The form of the draft has all of it again, and saving it as it stands changes nothing.
    change = seller.get(f"{quote}/change").text
    again = typed_in(change)
    assert again["quote.quantities.server"] == "2"
    assert again["quote.line_discounts.server"] == "12.5 %"
    assert again["quote.charges.1.name"] == "Unpacking"
    assert again["quote.destination_country"] == "Germany"
    before = shop.seller.get(f"/v1{quote}").json["sha256"]
    assert seller.post(quote, again, on=f"{quote}/change").status_code == 303
    assert shop.seller.get(f"/v1{quote}").json["sha256"] == before


@pytest.mark.parametrize(
    ("typed", "kept"), [("12.5", "0.125"), ("12.5 %", "0.125"), ("1", "0.01"), ("100", "1"), ("0", "0")]
)
def test_discounts_are_typed_in_percent(shop, seller, typed, kept):
    quote = written(seller, shop, **{"discount_fraction": typed, "line_discounts.server": typed})
    document = asked(shop, quote)
    [server] = [line for line in document["lines"] if line["id"] == "server"]
    assert (document["terms"]["discount_fraction"], server["discount_fraction"]) == (kept, kept)
    again = typed_in(seller.get(f"{quote}/change").text)
    assert again["quote.line_discounts.server"].rstrip(" %") == typed.rstrip(" %")
    assert again["quote.discount_fraction"].rstrip(" %") == typed.rstrip(" %").replace("0", "", typed == "0")


def test_shares_of_ownership_show_in_percent_what_they_are_read_in(shop, seller):
    page = seller.get(new_of(shop)).text
    [field] = re.findall(r'<input id="quote-tco-utilisation-fraction".*?</div>', page, flags=re.DOTALL)
    assert re.search(r'placeholder="\d+ %"', field), field
    assert '<span class="unit">%</span>' in field


def test_what_was_computed_without_a_refused_field_does_not_look_valid(shop, seller):
    sound = previewed(seller, shop, discount_fraction="5")
    assert "unsettled" not in sound
    page = previewed(seller, shop, discount_fraction="101")
    assert "Type percents, at most 100" in fault_beside(page, "quote-discount-fraction")
    assert '<p class="grand unsettled"' in page
    assert '<dl class="checks unsettled"' in page
    assert "Not valid yet" in text_of(page)
    assert "Discount: Type percents" in text_of(page)


def test_what_the_sizing_was_told_of_where_and_when_stands_in_the_quote(shop, seller, work):
    made = seller.post(
        "/size/inference",
        {**SIZED, "constraints.destination_country": "Germany", "constraints.deliver_by": "2099-05-01"},
    )
    assert made.status_code == 303
    work()
    on = f"/quotes/new?run={made.headers['Location'].rpartition('/')[2]}&option=1"
    page = seller.get(on).text
    typed = typed_in(page)
    assert (typed["quote.destination_country"], typed["quote.deliver_by"]) == ("Germany", "2099-05-01")
    assert "As sized: Germany, which holds where this is left empty." in text_of(page)
    assert "As sized" not in text_of(seller.get(new_of(shop)).text)


def test_a_field_that_is_emptied_takes_back_what_was_asked(shop, seller):
    quote = written(
        seller, shop, **{"line_discounts.server": "12 %", "charges.0.name": "Freight", "charges.0.amount": "9"}
    )
    again = typed_in(seller.get(f"{quote}/change").text)
    again |= {"quote.line_discounts.server": "", "quote.charges.0.name": "", "quote.charges.0.amount": ""}
    assert seller.post(quote, again, on=f"{quote}/change").status_code == 303
    document = asked(shop, quote)
    assert document["totals"]["charges"] == []
    assert {line["discount_fraction"] for line in document["lines"]} == {"0"}


def test_the_tier_of_approval_follows_the_discount_of_one_line(shop, seller):
    assert "not needed" in text_of(previewed(seller, shop, **CLEAR))
    words = text_of(previewed(seller, shop, **CLEAR, **{"line_discounts.server": "40 %"}))
    assert "by approver or admin" in words
    assert "40 % on a line is above the 15 %" in words.replace("\u00a0", " ")


def test_a_flag_of_the_export_screening_is_among_the_reasons_of_approval(shop, seller):
    china = {**CLEAR, "destination_country": "CN", "end_user.headquarters_country": "CN"}
    words = text_of(previewed(seller, shop, **china))
    assert "by approver or admin" in words
    assert re.search(r"tier standard: export screening: [a-z ]+ \(US-", words), words
    quote = written(seller, shop, **china)
    assert "export screening: " in text_of(seller.get(quote).text)


def test_country_and_day_move_flags_and_lead_time_at_once(shop, seller):
    assert "no day asked" in text_of(previewed(seller, shop))
    assert "no lead time is known" in text_of(previewed(seller, shop, deliver_by="2099-01-31"))
    known = text_of(previewed(seller, shop, destination_country="Germany"))
    flagged = text_of(previewed(seller, shop, destination_country="China"))
    assert "destination CN" in flagged
    assert known != flagged


def test_a_country_that_is_mistyped_is_told_with_what_was_meant(shop, seller):
    page = previewed(seller, shop, destination_country="Germny")
    assert 'data-value="Germany"' in page
    assert "destination DE" in text_of(previewed(seller, shop, destination_country="germany"))
    assert "destination DE" in text_of(previewed(seller, shop, destination_country="de"))


def test_a_rate_is_asked_for_where_currencies_differ(shop, seller):
    lost = previewed(seller, shop, currency="EUR", **{"quantities.server": "2"})
    assert "give the rate" in fault_beside(lost, "quote-fx-rate")
    # What was typed beside a line is carried on while no line can be shown.
    assert typed_in(lost)["quote.quantities.server"] == "2"
    rate = {"fx.rate": "0.9", "fx.date": "2026-11-27", "fx.source": "the bank"}
    words = text_of(previewed(seller, shop, currency="EUR", **rate))
    assert "1 USD = 0.9 EUR, 27 November 2026, the bank" in words


def test_a_comma_in_a_rate_is_that_of_a_decimal_or_asked_about(shop, seller):
    rate = {"currency": "EUR", "fx.date": "2026-11-27", "fx.source": "the bank"}
    assert "1 USD = 0.9234 EUR" in text_of(previewed(seller, shop, **rate, **{"fx.rate": "0,9234"}))
    asked = previewed(seller, shop, **rate, **{"fx.rate": "1,085"})
    assert "1,085 may be 1085 or 1.0850: choose one." in fault_beside(asked, "quote-fx-rate")
    assert "1 USD = 1.085 EUR" in text_of(previewed(seller, shop, **rate, **{"fx.rate": "1.085"}))


def test_what_is_wrong_is_told_beside_it_while_the_rest_is_priced(shop, seller):
    wrong = {
        "quantities.server": "none",
        "line_discounts.server": "120 %",
        "charges.1.amount": "a lot",
        "deliver_by": "2020-01-01",
        "discount_fraction": "5 %",
    }
    page = previewed(seller, shop, **wrong)
    assert "Total over 36 months" in text_of(page)
    for field in ("quote-quantities-server", "quote-line-discounts-server", "quote-charges-1-name", "quote-deliver-by"):
        assert len(fault_beside(page, field)) > 3, field
    assert "such as 15 or 12.5" in fault_beside(page, "quote-line-discounts-server")
    refused = seller.post("/quotes", form_of(shop, **wrong), on=new_of(shop))
    assert refused.status_code == 422
    typed = typed_in(refused.text)
    for name, text in wrong.items():
        assert typed[f"quote.{name}"] == text, name


def test_whoever_is_overtaken_sees_by_what_and_loses_nothing(shop, seller, visitor):
    quote = written(seller, shop, discount_fraction="10 %", deliver_by="2027-05-01")
    change = f"{quote}/change"
    mine = typed_in(seller.get(change).text)
    other = visitor("acme", Role.ADMIN)
    theirs = typed_in(other.get(change).text)
    theirs |= {"quote.discount_fraction": "20 %", "quote.customer.contact": "Ms Example"}
    assert other.post(quote, theirs, on=change).status_code == 303
    mine |= {"quote.discount_fraction": "15 %", "quote.terms.payment": "At once"}
    late = seller.post(quote, mine, on=change)
    assert late.status_code == 412
    words = text_of(late.text)
    assert "Somebody else changed this meanwhile" in words
    assert re.search(r"Discount 10 % 20 % 15 %", words), words[:3000]
    assert re.search(r"Contact empty Ms Example as it is", words)
    assert asked(shop, quote)["terms"]["discount_fraction"] == "0.2"
    # Both changes stand in the form; saved again, it goes over what was just shown.
    both = typed_in(late.text)
    assert both["quote.discount_fraction"] == "15 %"
    assert both["quote.customer.contact"] == "Ms Example"
    assert both["quote.terms.payment"] == "At once"
    assert seller.post(quote, both, on=change).status_code == 303
    assert asked(shop, quote)["customer"]["contact"] == "Ms Example"


def test_a_form_that_carries_nonsense_of_what_was_read_is_refused_all_the_same(shop, seller):
    quote = written(seller, shop)
    for read in ("", "[1]", "{", json.dumps({"quote.currency": 7})):
        typed = form_of(shop, discount_fraction="1 %") | {"version": "99", "read": read}
        assert seller.post(quote, typed, on=f"{quote}/change").status_code == 412


def test_what_no_rule_counts_can_be_counted_by_hand(shop, seller):
    page = previewed(seller, shop)
    assert "Not counted, and in no sum" in text_of(page)
    assert 'name="quote.quantities.storage"' in page
    none_needed = written(seller, shop, **{"quantities.storage": "0"})
    assert "storage" not in [one["id"] for one in asked(shop, none_needed)["uncounted"]]


def test_the_book_is_chosen_among_those_of_the_tenant(shop, seller):
    page = seller.get(new_of(shop)).text
    [choice] = re.findall(r'<option value="(pbk_\w+)"\s*>list, version 1, USD', page)
    assert asked(shop, written(seller, shop, price_book_id=choice))["price_book"]["id"] == choice


@pytest.mark.parametrize("field", ["discount_fraction", "line_discounts.server"])
def test_a_discount_that_may_be_a_fraction_is_asked_about(shop, seller, field):
    typed = {**CLEAR, field: "0.15"}
    for page in (
        previewed(seller, shop, **typed),
        seller.post("/quotes", form_of(shop, **typed), on=new_of(shop)).text,
    ):
        beside = f"quote-{field.replace('.', '-').replace('_', '-')}"
        assert "0.15 may be 15 % or 0.15 %" in fault_beside(page, beside)
        assert re.findall(rf'data-fill="quote.{field}" data-value="([^"]+)"', page) == ["15 %", "0.15 %"]
        assert "Total over" in text_of(page)
    assert 'value="0.15"' in page
    assert not shop.seller.get("/v1/quotes?state=draft").json["items"]
    sure = asked(shop, written(seller, shop, **{**CLEAR, field: "0.15 %"}))
    assert sure["lines"][0]["discount_fraction"] == "0.0015"


@pytest.mark.parametrize("typed", ["1.250", "1,250"])
def test_an_amount_that_may_be_its_thousandth_is_asked_about(shop, seller, typed):
    charge = {"charges.0.name": "Freight", "charges.0.amount": typed}
    page = previewed(seller, shop, **CLEAR, **charge)
    assert f"{typed} may be 1250 or 1.25: choose one." in fault_beside(page, "quote-charges-0-amount")
    assert re.findall(r'data-fill="quote.charges.0.amount" data-value="([^"]+)"', page) == ["1250", "1.25"]
    assert seller.post("/quotes", form_of(shop, **CLEAR, **charge), on=new_of(shop)).status_code == 422


@pytest.mark.parametrize(("typed", "kept"), [("1.250,00", "1250.00"), ("1,250.00", "1250.00"), ("1.25", "1.25")])
def test_an_amount_that_is_clear_is_not(shop, seller, typed, kept):
    quote = written(seller, shop, **CLEAR, **{"charges.0.name": "Freight", "charges.0.amount": typed})
    assert asked(shop, quote)["totals"]["charges"][0]["amount"] == kept


def test_a_price_in_thousandths_is_shown_again_so_that_nobody_asks(shop, seller):
    price = "tco.electricity_price_kwh"
    quote = written(seller, shop, **CLEAR, **{price: "1.1250"})
    form = typed_in(seller.get(f"{quote}/change").text)
    assert form[f"quote.{price}"] == "1.1250"
    again = {**form_of(shop, **CLEAR, **{price: form[f"quote.{price}"]}), "version": "1"}
    assert seller.post(quote, again, on=f"{quote}/change").status_code == 303
    assert shop.seller.get(f"/v1{quote}").json["request"]["tco"]["electricity_price_kwh"] == "1.125"


def test_the_price_of_a_gpu_hour_has_a_name():
    assert field_name("quote.tco.cloud.gpu_hour.b200-sxm") == "Cloud, a GPU-hour"


def test_a_number_is_read_by_what_its_field_can_hold(shop, seller):
    typed = {"tco.pue": "1.125", "tco.electricity_price_kwh": "0.125", "discount_fraction": "12,125"}
    quote = shop.seller.get(f"/v1{written(seller, shop, **CLEAR, **typed)}").json["request"]
    assert (quote["tco"]["pue"], quote["discount_fraction"]) == ("1.125", "0.12125")


def test_the_bounds_of_the_ownership_are_typed_and_kept(shop, seller):
    bounds = {
        "tco.electricity_price_kwh": "0.2",
        "tco.bounds.electricity_price_kwh": "0.10 to 0.45",
        "tco.bounds.utilisation_fraction": "40 - 80",
        "tco.bounds.hardware_price_factor": "0,9 to 1,25",
    }
    quote = written(seller, shop, **CLEAR, **bounds)
    moved = {one["input"]: (one["low"], one["high"]) for one in asked(shop, quote)["tco"]["sensitivity"]}
    assert moved["electricity_price_kwh"] == ("0.10", "0.45")
    form = typed_in(seller.get(f"{quote}/change").text)
    assert form["quote.tco.bounds.utilisation_fraction"] == "40 % to 80 %"
    assert form["quote.tco.bounds.hardware_price_factor"] == "0.9 to 1.25"
    bounds["tco.bounds.utilisation_fraction"] = ""
    emptied = {**form_of(shop, **CLEAR, **bounds), "version": "1"}
    assert seller.post(quote, emptied, on=f"{quote}/change").status_code == 303
    assert set(shop.seller.get(f"/v1{quote}").json["request"]["tco"]["bounds"]) == {
        "electricity_price_kwh",
        "hardware_price_factor",
    }


@pytest.mark.parametrize(
    ("name", "typed", "told"),
    [("pue", "wide", "two numbers from 1 to 5"), ("pue", "2 to 1", "the lower one first"),
     ("pue", "1.2", "two numbers"),
     ("residual_fraction", "5 to 120", "from 0 % to 100 %"), ("load_fraction", "0.5 to 0.9", "50 % to 90 %"),
     ("staff_price_year", "80,000 to 120,000", "may be 80000 to 120000 or 80 to 120: choose one."),
     ("staff_price_year", "80.000 to 120.000", "may be 80000 to 120000 or 80 to 120: choose one.")],
)  # fmt: skip
def test_bounds_that_cannot_be_are_told_beside_their_field(shop, seller, name, typed, told):
    page = previewed(seller, shop, **{f"tco.bounds.{name}": typed})
    said = text_of(fault_beside(page, f"quote-tco-bounds-{name.replace('_', '-')}"))
    assert told in said
    assert said.count("Type two numbers") <= 1
    assert "Total over" in text_of(page)


@pytest.mark.parametrize(("books", "currency"), [((), "USD"), (("EUR",), "EUR"), (("USD", "EUR"), "USD")])
def test_a_new_quote_is_in_the_currency_of_the_prices_that_are_in_force(speaker, work, visitor, books, currency):
    shop = open_shop(speaker, work)
    for each in books:
        assert shop.stock(currency=each).status_code == 200
    assert typed_in(visitor("acme", Role.SELLER).get(new_of(shop)).text)["quote.currency"] == currency


def test_books_that_were_never_put_in_force_hide_none_that_prices(speaker, work, visitor, monkeypatch):
    shop = open_shop(speaker, work)
    assert shop.stock(currency="EUR").status_code == 200
    table = shop.admin.get("/v1/price-books/template").data
    idle = "/v1/price-books?name=idle&currency=USD&date=2026-11-02"
    assert shop.admin.post(idle, data=table, content_type="text/csv").status_code == 201
    monkeypatch.setattr(quote_writing, "_MOST_BOOKS", 1)
    assert typed_in(visitor("acme", Role.SELLER).get(new_of(shop)).text)["quote.currency"] == "EUR"
