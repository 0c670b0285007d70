"""Price books as pages: each wrong row is told and what was pasted stays; put in force, held against another."""

import io
import re
from datetime import UTC, datetime, timedelta

import pytest

from service.access import Role
from tests.api.selling import open_shop
from tests.web.conftest import Visitor, text_of
from tests.web.test_quote_writing import fault_beside, typed_in

HEAD = {"book.name": "list", "book.currency": "USD", "book.date": "2026-11-01"}
TABLE = "part,kind,unit,list_price,lead_time_weeks\nrack-pdu,power,unit,900.00,6\nmy-own-part,service,hour,80,\n"


def sent(admin: Visitor, content: str, **changes: str):
    return admin.post("/price-books", {**HEAD, "content": content, **changes}, on="/price-books/new")


def test_a_table_is_uploaded_and_put_in_force(admin):
    made = sent(admin, TABLE)
    assert made.status_code == 303, text_of(made.text)[:2000]
    book = made.headers["Location"]
    words = text_of(admin.get(book).text)
    odd = "1 line that no bill of materials asks for"
    for told in ("2 lines", "as of 1 November 2026", odd, "my-own-part", "6 weeks"):
        assert told in words.replace("\u00a0", " "), told
    form = typed_in(admin.get(book).text)
    wrong = admin.post(f"{book}/activate", {**form, "effective_from": "soon"}, on=book)
    assert (wrong.status_code, 'value="soon"' in wrong.text) == (422, True)
    past = admin.post(f"{book}/activate", {**form, "effective_from": "2020-01-01"}, on=book)
    assert (past.status_code, "alert" in past.text) == (409, True)
    day = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    assert admin.post(f"{book}/activate", {**form, "effective_from": day}, on=book).status_code == 303
    assert "scheduled" in text_of(admin.get("/price-books").text)


def test_a_file_and_json_are_taken_too(admin):
    line = '{"part": "rack-pdu", "kind": "power", "unit": "unit", "list_price": "900.00"}'
    whole = f'{{"name": "other", "currency": "EUR", "date": "2026-10-01", "lines": [{line}]}}'
    file = (io.BytesIO(whole.encode()), "book.json")
    book = admin.post("/price-books", {**HEAD, "file": file}, on="/price-books/new").headers["Location"]
    assert "other version 1, EUR" in text_of(admin.get(book).text)
    assert sent(admin, f"[{line}]").status_code == 303


def test_each_wrong_row_is_told_and_nothing_is_lost(admin):
    wrong = "part,kind,unit,list_price\nrack-pdu,power,unit,free\nrack-pdu,power,unit,1\ncable-200g,cabel,cable,3\n"
    answer = sent(admin, wrong, **{"book.currency": "EURO", "book.note": "spring"})
    assert answer.status_code == 422
    words = text_of(answer.text)
    # The currency beside its field counts too.
    for told in (
        "4 things to put right",
        "Row 2 of the table",
        "Row 3 of the table",
        "Row 4 of the table",
        "meant: cable",
    ):
        assert told in words.replace("\u00a0", " "), told
    assert len(fault_beside(answer.text, "book-currency")) > 3
    assert "rack-pdu,power,unit,free" in answer.text
    kept = typed_in(answer.text)
    assert (kept["book.currency"], kept["book.note"]) == ("EURO", "spring")
    assert "There is none yet" in text_of(admin.get("/price-books").text)


def test_a_part_that_nothing_knows_is_told_with_its_line_and_what_was_meant(admin):
    table = "part,kind,unit,list_price\npoweredge-xe9999,server,piece,1\nrack-pduu,power,unit,1\n"
    words = text_of(admin.get(sent(admin, table).headers["Location"]).text)
    assert "Line 1: poweredge-xe9999 . No bill of materials names such a part" in words
    assert "Line 2: rack-pduu . No bill of materials names such a part" in words
    assert "meant: rack-pdu" in words


@pytest.mark.parametrize("content", ["", "  ", "{", "7", "what is this", "part,kind\na,b\n", "part,part,part\n"])
def test_what_is_no_book_is_told(admin, content):
    answer = sent(admin, content)
    assert answer.status_code == 422
    assert re.search(r'class="(?:problem|fault)"[^>]*>.*?(?:<p>|<th)', answer.text, flags=re.DOTALL)


def test_only_administrators_write(visitor):
    seller = visitor("acme", Role.SELLER)
    assert "Upload" not in text_of(seller.get("/price-books").text)
    assert seller.get("/price-books/new").status_code == 403
    assert seller.post("/price-books", {**HEAD, "content": TABLE}).status_code == 403


def test_two_books_are_held_against_each_other(admin, speaker, work):
    shop = open_shop(speaker, work)
    first = shop.stock(price="1000.00").json["id"]
    second = shop.stock(price="1250.00").json["id"]
    assert "in force" in text_of(admin.get("/price-books").text)
    chosen = admin.get(f"/price-books/{second}/diff?from={first}").headers["Location"]
    assert chosen == f"/price-books/{first}/diff/{second}"
    words = text_of(admin.get(chosen).text)
    for told in ("+25.0", "1,250.00", "dearer"):
        assert told in words.replace("\u00a0", " "), told
    assert "both say the same" in text_of(admin.get(f"/price-books/{first}/diff/{first}").text)


def test_another_tenants_book_is_not_there(admin, visitor):
    book = sent(admin, TABLE).headers["Location"]
    stranger = visitor("rival", Role.ADMIN)
    for path in (book, f"{book}/diff?from=x", f"{book}/diff/pbk_0"):
        assert stranger.get(path).status_code == 404, path
    form = {"effective_from": "2030-01-01", "changes": "0"}
    assert stranger.post(f"{book}/activate", form).status_code == 404


def test_the_pages_offer_a_template_that_they_take_again(admin, visitor):
    link = re.search(r'href="([^"]+)" download', admin.get("/price-books").text)
    assert link
    assert f'href="{link[1]}"' in admin.get("/price-books/new").text
    table = admin.get(link[1])
    assert (table.status_code, table.mimetype) == (200, "text/csv")
    assert sent(admin, table.text).status_code == 303
    assert "download" not in visitor("acme", Role.SELLER).get("/price-books").text
