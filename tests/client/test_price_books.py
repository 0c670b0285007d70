"""headroom price-books: uploaded as JSON and as a table, put in force, listed, shown; refusals in sentences."""

import json
import re

import pytest

from service.client.ending import Ending

LINES = [
    {"part": "poweredge-xe9680l-b200", "kind": "server", "unit": "system", "list_price": "400000.00"},
    {"part": "optic", "kind": "optic", "unit": "module", "lead_time_weeks": 8},
]
ROWS = """part,kind,unit,list_price,lead_time_weeks
poweredge-xe9680l-b200,server,system,400000.00,
optic,optic,module,,8
"""


def book(name):
    return {"name": name, "currency": "USD", "date": "2026-11-01", "lines": LINES}


def test_a_book_is_stored_put_in_force_listed_and_shown(admin, file):
    done = admin("price-books", "upload", file(book("client json")))
    assert (done.code, done.err) == (Ending.DONE, "")
    assert "client json, version 1, 2 lines, 1 of them without a price." in done.out
    (book_id,) = set(re.findall(r"pbk_\w+", done.out))
    active = admin("price-books", "activate", book_id)
    assert "is in force, from 2" in active.out
    assert admin("price-books", "activate", book_id, "--json").json["state"] == "in_force"
    later = admin("price-books", "activate", book_id, "--from", "2099-12-01")
    assert "is scheduled, from 2099-12-01 on" in later.out
    listed = admin("price-books", "--name", "client json", "--activated")
    assert book_id in listed.out
    assert admin("price-books", "--name", "client json", "--not-activated").out == "There are no such price books.\n"
    shown = admin("price-books", book_id)
    assert "poweredge-xe9680l-b200" in shown.out
    assert re.search(r"optic +optic +module +none", shown.out)
    assert admin("price-books", book_id, "--json").json["lines"][0]["list_price"] == "400000.00"


@pytest.mark.parametrize("by", ["suffix", "name"])
def test_a_table_is_the_same_book(by, admin, tmp_path, file):
    as_json = admin("price-books", "upload", file(book(f"client {by}")), "--json").json
    path = tmp_path / ("book.csv" if by == "suffix" else "book.txt")
    path.write_text(ROWS, encoding="utf-8")
    head = ("--name", f"client {by}", "--currency", "usd", "--date", "2026-11-01")
    as_table = admin("price-books", "upload", path, *head, "--json").json
    assert (as_table["digest"], as_table["version"]) == (as_json["digest"], 2)
    odd = admin(
        "price-books", "upload", path, *head, "--indicative", "--expires", "2099-01-01", "--note", "n", "--json"
    )
    assert (odd.json["indicative"], odd.json["expires_on"], odd.json["note"]) == (True, "2099-01-01", "n")
    assert "INDICATIVE" in admin("price-books", odd.json["id"]).out
    assert "(indicative)" in admin("price-books", "--name", f"client {by}").out


def test_each_wrong_row_is_told(admin, tmp_path):
    path = tmp_path / "book.csv"
    path.write_text(ROWS + "x,sever,system,0,\n", encoding="utf-8")
    done = admin("price-books", "upload", path, "--name", "client wrong", "--currency", "USD", "--date", "2026-11-01")
    assert done.code == Ending.REFUSED
    assert "lines.2.kind" in done.err
    assert "lines.2.list_price" in done.err
    bare = admin("price-books", "upload", path)
    assert (bare.code, "name" in bare.err) == (Ending.REFUSED, True)


def test_who_may_not_is_told(command, file):
    assert command("price-books", "upload", file(book("client"))).code == Ending.REFUSED
    assert command("price-books", "activate", "pbk_0").code == Ending.REFUSED
    assert command("price-books", "pbk_0").code == Ending.REFUSED
    assert command("price-books").code == Ending.DONE


def test_the_same_key_stores_it_once(admin, file):
    path = file(book("client once"))
    ids = {admin("price-books", "upload", path, "--idempotency-key", "k1", "--json").json["id"] for _ in range(2)}
    assert len(ids) == 1
    assert json.loads(path.read_text())["name"] == "client once"


def test_an_odd_part_is_stored_with_a_word_and_another_unit_is_refused_with_its_row(admin, tmp_path):
    table = tmp_path / "list.csv"
    table.write_text("part,kind,unit,list_price\npoweredge-xe9680l-b2000,server,system,1\n")
    head = ("--name", "odd", "--currency", "NOK", "--date", "2026-11-01")
    stored = admin("price-books", "upload", str(table), *head)
    assert "Warning, row 2: poweredge-xe9680l-b2000" in stored.out
    assert "Did you mean poweredge-xe9680l-b200" in stored.out
    table.write_text("part,kind,unit,list_price\n\nprosupport,support,server,1\n")
    refused = admin("price-books", "upload", str(table), *head)
    assert refused.code == Ending.REFUSED
    assert "Row 3 of the table" in refused.err


def test_a_template_is_filled_in_and_taken(admin, tmp_path):
    printed = admin("price-books", "template")
    assert (printed.code, printed.err) == (Ending.DONE, "")
    assert printed.out.startswith("part,kind,unit,list_price,sku,lead_time_weeks,note")
    path = tmp_path / "book.csv"
    assert admin("price-books", "template", "--to", path).code == Ending.DONE
    rows = path.read_text(encoding="utf-8").splitlines()
    filled = [rows[0], *(re.sub(r"^(([^,]*,){3}),", r"\g<1>1000.00,", row) for row in rows[1:])]
    path.write_text("\n".join(filled), encoding="utf-8")
    head = ("--name", "client template", "--currency", "USD", "--date", "2026-11-01")
    done = admin("price-books", "upload", path, *head)
    assert (done.code, done.err) == (Ending.DONE, "")
    assert "without a price" not in done.out
    assert "Warning" not in done.out
