"""The PDF says what the snapshot says, the same every time, and takes nobody's text for more than text."""

import io
import json
from dataclasses import replace

import pytest
from pypdf import PdfReader

from service.documents.ownership_block import ownership_block
from service.documents.pdf import quote_pdf
from service.documents.price_block import price_block
from service.documents.view import page_view
from service.quoting.quote import Customer
from service.sizing.result import Assumed
from tests.build import metric, sizing_option
from tests.documents.conftest import HOSTILE


def text_of(pdf: bytes) -> str:
    pages = PdfReader(io.BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_it_says_who_what_how_much_and_until_when(quote):
    snapshot = quote()
    text = text_of(quote_pdf(snapshot, state="draft", sha256=None))
    for said in (
        "Q-2026-000123",
        "A customer",
        "31 December 2026",
        "Dell PowerEdge XE9780, 8x B300",
        "DRAFT",
        "INCOMPLETE",
        "no price in this book",
        "1 USD = 0.92345 EUR",
        snapshot["export"]["disclaimer"],
        snapshot["target"]["sentence"],
    ):
        assert said in text
    net = f"{float(snapshot['totals']['one_time']['net_amount']):,.2f}"
    assert net in text


def test_an_issued_quote_is_signed_and_carries_its_hash(quote):
    issued = quote(issued_on="2026-12-01")
    text = text_of(quote_pdf(issued, state="issued", sha256="ab" * 32))
    assert "DRAFT" not in text
    assert "ab" * 32 in text.replace(" ", "")
    assert "Customer: name, date, signature" in text


def test_it_is_the_same_every_time_and_fits_a_letter(quote):
    snapshot = quote()
    first = quote_pdf(snapshot, state="draft", sha256=None)
    assert first == quote_pdf(snapshot, state="draft", sha256=None)
    assert 2 <= len(PdfReader(io.BytesIO(first)).pages) <= 4


def test_the_first_page_has_total_and_seller_the_last_the_signature_and_forty_lines_stay_on_four_pages(quote):
    snapshot = quote(issued_on="2026-12-01")
    snapshot["totals"]["total"] = "1787547.58"
    lines = snapshot["lines"]
    snapshot["lines"] = [{**lines[place % len(lines)], "id": f"line-{place}"} for place in range(40)]
    pages = PdfReader(io.BytesIO(quote_pdf(snapshot, state="issued", sha256=None))).pages
    assert len(pages) <= 4
    first = " ".join(pages[0].extract_text().split())
    for said in ("1,787,547.58", "A seller Ltd", "Written by seller-1"):
        assert said in first
    last = " ".join(pages[-1].extract_text().split())
    assert last.index("Acceptance") < last.index("Customer: name, date, signature")
    assert "Export screening" not in last[last.index("Acceptance") :]


def test_the_paper_says_words_where_the_snapshot_has_ids(quote):
    place = "inference.wider_precision_cost_fraction"
    assumed = (Assumed(field=place, value="0.05", why="engine assumption"),)
    measured = replace(metric("output_tokens_s", 1000.0), nearest=("served-run-17",))
    snapshot = quote(assumed=assumed, option=replace(sizing_option(), metrics=(measured,)))
    text = text_of(quote_pdf(snapshot, state="draft", sha256=None))
    assert "Wider precision cost: 0.05 (engine assumption)" in text
    told = [place, "served-run-17", "optic-800g"]
    assert not [name for name in told if name in text]


def test_the_customer_reads_no_words_of_the_house(quote):
    snapshot = quote()
    line = snapshot["lines"][0]
    line |= {"stated": True, "why": "3 stated by the seller; by the rule 1", "sku": None}
    view = page_view(snapshot, state="issued", sha256=None)
    assert "3 stated by the seller; by the rule 1" in json.dumps(view)
    assert "no SKU known yet" in json.dumps(view)
    text = " ".join(text_of(quote_pdf(snapshot, state="issued", sha256=None)).split())
    assert "quantity set by hand" in text
    for inner in ("by the rule", "no SKU known yet", "open:", "listed owners fraction"):
        assert inner not in text


def test_prices_of_one_are_short_and_lines_are_numbered_in_order(quote):
    snapshot = quote()
    text = text_of(quote_pdf(snapshot, state="draft", sha256=None))
    assert "262,606.09375" not in text
    assert "262,606.09" in text
    assert "every amount is computed from the exact price" in text
    places = [row["place"] for part in price_block(snapshot)["parts"] for row in part["lines"]]
    assert places == [str(number) for number in range(1, len(snapshot["lines"]) + 1)]


def test_it_is_tagged_and_embeds_its_fonts(quote):
    reader = PdfReader(io.BytesIO(quote_pdf(quote(), state="draft", sha256=None)))
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    fonts = {
        str(font["/BaseFont"]) for page in reader.pages for font in page["/Resources"]["/Font"].get_object().values()
    }
    assert all("SourceSansPro" in font or "Libertinus" in font for font in fonts)


@pytest.mark.parametrize("name", HOSTILE)
def test_text_stays_text(quote, name):
    text = text_of(quote_pdf(quote(customer=Customer(name=name, reference=name)), state="draft", sha256=None))
    assert "".join(name.split()) in "".join(text.split())


def test_an_objective_is_drawn_and_told_beside_its_bound(quote):
    metrics = (metric("ttft_p95_ms", 900.0), metric("tpot_p95_ms", 30.0))
    text = text_of(quote_pdf(quote(option=sizing_option(metrics=metrics)), state="draft", sha256=None))
    assert "TTFT, p95" in text
    assert "target: at most" in text


def test_paper_is_that_of_the_destination(quote, catalog):
    def width(country: str) -> float:
        snapshot = quote()
        snapshot["export"]["shipment"]["destination"] = country
        return float(PdfReader(io.BytesIO(quote_pdf(snapshot, state="draft", sha256=None))).pages[0].mediabox.width)

    assert width("US") == pytest.approx(612.0, abs=1)
    assert width("DE") == pytest.approx(595.3, abs=1)


def test_five_hundred_lines_are_set_whole(quote):
    snapshot = quote()
    line = snapshot["lines"][0]
    snapshot["lines"] = [{**line, "id": f"line-{number}", "name": f"Part number {number}"} for number in range(500)]
    text = text_of(quote_pdf(snapshot, state="draft", sha256=None))
    assert "Part number 0" in text
    assert "Part number 499" in text


def test_a_quote_without_ownership_has_no_such_block(quote):
    with_it = text_of(quote_pdf(quote(), state="draft", sha256=None))
    without = text_of(quote_pdf(quote(tco=None), state="draft", sha256=None))
    assert "Cost of ownership" in with_it
    assert "Cost of ownership" not in without


def test_what_rests_on_a_sum_that_lacks_parts_says_which(quote):
    rows = {row["name"]: row["note"] for row in ownership_block(quote()["tco"])["rows"]}
    assert rows["Total"] == "without space, support, staff"
    assert rows["Space"] == "not known: price of space"
    assert rows["Staff"] == "not known: price of staff"
    assert rows["Per GPU-hour"].endswith("; without space, support, staff")
    assert rows["The same hours in a cloud"].endswith("% utilisation, owning without space, support, staff")


def test_a_cloud_that_does_not_sell_the_gpu_is_told(quote):
    tco = quote()["tco"]
    unsold = dict.fromkeys(("gpu_hour", "amount", "difference", "break_even_utilisation_fraction"))
    rows = {row["name"]: row for row in ownership_block({**tco, "cloud": {**tco["cloud"], **unsold}})["rows"]}
    assert rows["The same hours in a cloud"]["note"] == "A cloud, 1 November 2026 has no price of b300-sxm"


def test_letters_that_the_font_lacks_do_not_stop_a_quote(quote):
    assert quote_pdf(quote(customer=Customer(name="\u682a\u5f0f\u4f1a\u793e")), state="draft", sha256=None).startswith(
        b"%PDF"
    )


def test_a_cloud_that_is_always_cheaper_is_said_to_be(quote):
    tco = quote()["tco"]
    dear = {**tco["cloud"], "break_even_utilisation_fraction": "1.2", "without": []}
    rows = {row["name"]: row["note"] for row in ownership_block({**tco, "cloud": dear})["rows"]}
    assert rows["The same hours in a cloud"].endswith("; owning costs more at any utilisation")
