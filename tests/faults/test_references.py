"""What the sweeps of tenants and of bodies reach: each place where a call may name something, and every table."""

import io
import json
import zipfile

import pytest

from scripts.faulting.holdings import belonging, statements
from scripts.faulting.opened import Page, cells, formulas, workbook_texts
from scripts.faulting.references import at, described, filters, members, objects, with_member
from scripts.faulting.sweep import nobody
from service.store.schema import TABLES
from tests.contract import contract_of

OWN = {name: f"{name[:3]}_{'1' * 32}" for name in ("run_id", "quote_id", "price_book_id", "workload_id", "batch_id")}
FOREIGN = {name: value.replace("1", "2") for name, value in OWN.items()}


@pytest.fixture(scope="module")
def document(shared_app):
    return contract_of(shared_app).document


def test_every_member_of_a_body_that_is_an_id_is_tried(document):
    pairs = list(members(document, own=OWN, foreign=FOREIGN, texts=True))
    named = {pair.words for pair in pairs if pair.names_one}
    assert named == {
        "run_id of POST /v1/quotes",
        "price_book_id of POST /v1/quotes",
        "run_id of PUT /v1/quotes/{quote_id}",
        "price_book_id of PUT /v1/quotes/{quote_id}",
        "run_id of POST /v1/quotes/{quote_id}/revise",
    }
    for pair in pairs:
        theirs, nobodys = pair.named
        assert theirs in json.dumps(pair.body)
        assert nobodys == nobody(theirs)
        assert json.dumps(pair.body).replace(theirs, nobodys) == json.dumps(pair.other_body)
        # All else is the caller's own, or it would be refused for that.
        assert not any(FOREIGN[name] == pair.body.get(name) for name in FOREIGN if FOREIGN[name] != theirs)
    assert "customer.name of POST /v1/quotes" in {pair.words for pair in pairs}


def test_every_filter_that_takes_words_is_tried(document):
    pairs = list(filters(document, own=OWN, foreign=FOREIGN, written=("only-theirs",)))
    tried = {pair.words for pair in pairs}
    assert {
        "workload_id of GET /v1/runs",
        "run_id of GET /v1/quotes",
        "resource_id of GET /v1/audit-events",
        "label of GET /v1/workloads",
        "name of GET /v1/batches/{batch_id}/items",
        "customer of GET /v1/quotes",
    } <= tried
    assert not any(word in words for words in tried for word in ("cursor", "/v1/catalog", "state of"))
    assert all(len(pair.theirs) == len(pair.nobodys) and pair.theirs != pair.nobodys for pair in pairs)


def test_operations_are_described_where_their_path_can_be_filled_in(document):
    found = {(each.method, each.template): each.path for each in described(document, OWN)}
    assert found["GET", "/v1/runs/{run_id}"] == f"/v1/runs/{OWN['run_id']}"
    assert ("GET", "/v1/keys/{key_id}") not in found


def test_places_of_a_body():
    body = {"a": {"b": [{"c": 1}, {"d": 2}]}, "e": "f"}
    assert list(objects(body)) == [(), ("a",), ("a", "b", 0)]
    assert at(body, ("a", "b", 0)) == {"c": 1}
    assert with_member(body, ("a", "b", 0, "id"), "x")["a"]["b"][0] == {"c": 1, "id": "x"}
    assert body["a"]["b"][0] == {"c": 1}


def test_whatever_is_a_tenants_is_held_against_what_it_was():
    tables = {row.__table__.name for row in TABLES}
    # What is nobody's, and what the tenant's own calls leave.
    others = {"tenants", "outbox", "leases", "heartbeats", "releases", "idempotency_keys", "browser_sessions"}
    assert set(belonging()) == tables - others
    assert belonging()["price_book_lines"] == "book_id IN (SELECT id FROM price_books WHERE tenant_id = %(tenant)s)"
    assert all(b"%(tenant)s" in statement for _, statement in statements())


def workbook(**parts: str) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as book:
        for name, text in parts.items():
            book.writestr(f"xl/worksheets/{name}.xml", text)
    return held.getvalue()


def test_documents_are_opened():
    assert list(cells(b'\xef\xbb\xbfa,"b\nc"\n')) == ["a", "b\nc"]
    book = workbook(one='<c><f>SUM(A1)</f></c><c><is><t xml:space="preserve">=1 &amp; 2</t></is></c>')
    assert (list(formulas(book)), list(workbook_texts(book))) == (["SUM(A1)"], ["=1 & 2"])
    page = Page("<p title='x'>&lt;b&gt; <b>bold</b></p><script>run()</script>")
    assert (page.words, page.scripts) == ("<b> bold", "run()")
    assert page.elements[0] == ("p", {"title": "x"})
