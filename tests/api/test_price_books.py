"""/v1/price-books: who may, what is refused and leaves nothing behind, tags, pages, keys and tables."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.environment import ROOT
from service.access import Role
from tests.api.conftest import Speaker
from tests.api.selling import open_shop

BOOKS = "/v1/price-books"
FOLDER = ROOT / "config" / "examples" / "document" / "price-books"
BOOK: dict[str, Any] = json.loads((FOLDER / "price-book-with-lead-times.json").read_bytes())
QUERY = "name=list&currency=USD&date=2026-11-01"
TABLE = b"part,kind,unit,list_price\npoweredge-xe9680l-b200,server,system,400000.00\noptic,optic,module,\n"
TODAY = datetime.now(UTC).date()


def stored(speaker: Speaker) -> list[Any]:
    return speaker.get(BOOKS).json["items"]


def test_a_book_is_uploaded_activated_and_read(admin: Speaker, acme: Speaker, check):
    posted = admin.post(BOOKS, BOOK)
    assert posted.status_code == 201
    assert (posted.json["state"], posted.json["version"], posted.json["without_price"]) == ("uploaded", 1, 0)
    place = posted.headers["Location"]
    whole = acme.get(place)
    assert whole.headers["ETag"] == posted.headers["ETag"]
    assert [line["list_price"] for line in check(whole)["lines"]] == ["400000.00", "50000.00", "999.95"]
    assert acme.get(place, If_None_Match=whole.headers["ETag"]).status_code == 304
    active = admin.post(f"{place}/activate", {"effective_from": str(TODAY)}, If_Match=whole.headers["ETag"])
    assert (active.status_code, active.json["state"]) == (200, "in_force")
    again = acme.get(place, If_None_Match=whole.headers["ETag"])
    assert (again.status_code, again.headers["ETag"]) == (200, active.headers["ETag"])
    (item,) = check(acme.get(f"{BOOKS}?activated=true&currency=EUR"))["items"]
    assert "lines" not in item
    assert acme.get(f"{BOOKS}?activated=false").json == {"items": []}


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.ADMIN}))
def test_administrators_write_and_the_tenant_reads(role, admin: Speaker, speaker):
    posted = admin.post(BOOKS, BOOK)
    somebody = speaker("acme", role)
    assert somebody.post(BOOKS, BOOK).status_code == 403
    assert somebody.post(f"{posted.headers['Location']}/activate", {}, If_Match="*").status_code == 403
    expected = 403 if role is Role.OPERATOR else 200
    assert {somebody.get(path).status_code for path in (BOOKS, posted.headers["Location"])} == {expected}
    assert len(stored(admin)) == 1


def test_another_tenants_book_is_404_and_stays_as_it_is(admin: Speaker, speaker):
    place = admin.post(BOOKS, BOOK).headers["Location"]
    rival = speaker("rival", Role.ADMIN)
    assert rival.get(place).status_code == 404
    assert rival.post(f"{place}/activate", {"effective_from": str(TODAY)}, If_Match="*").status_code == 404
    assert stored(rival) == []
    assert admin.get(place).json["state"] == "uploaded"


def test_all_or_nothing_with_a_word_on_each_row(admin: Speaker):
    lines = [*BOOK["lines"], {**BOOK["lines"][0], "part": "x", "list_price": "-1"}, {"part": "y"}]
    refused = admin.post(BOOKS, {**BOOK, "lines": lines})
    assert refused.status_code == 422
    fields = [error["field"] for error in refused.json["errors"]]
    assert sorted(fields) == ["lines.3.list_price", "lines.4.kind", "lines.4.unit"]
    assert stored(admin) == []


def test_units_and_kinds_are_told_in_the_same_report_as_all_else(admin: Speaker):
    """One look at a table is enough to mend it."""
    rows = (
        b"nvidia-ai-enterprise,software,server,4500.00\n"
        b"x,server,system,-1\n"
        b"prosupport,service,server-year,100.00\n"
        b"a,b,c,1,2,3,4,5\n"
    )
    refused = admin.post(f"{BOOKS}?{QUERY}", data=TABLE + rows, content_type="text/csv")
    assert refused.status_code == 422
    told = {error["field"]: error["message"] for error in refused.json["errors"]}
    assert list(told) == ["lines.2.unit", "lines.3.list_price", "lines.4.kind", "lines.5"]
    assert "Row 4 of the table: nvidia-ai-enterprise is counted by the GPU-year" in told["lines.2.unit"]
    assert stored(admin) == []


@pytest.mark.parametrize(
    "name", ["id", "tenant_id", "version", "state", "digest", "used", "principal", "effective_from"]
)
def test_what_the_service_decides_is_not_taken(name, admin: Speaker):
    refused = admin.post(BOOKS, {**BOOK, name: "x"})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, name)


def test_a_change_needs_its_condition(admin: Speaker):
    posted = admin.post(BOOKS, BOOK)
    path = f"{posted.headers['Location']}/activate"
    body = {"effective_from": str(TODAY)}
    assert admin.post(path, body).status_code == 428
    assert admin.post(path, body, If_Match='"other"').status_code == 412
    assert admin.post(path, body, If_Match="x").status_code == 400
    assert admin.post(path, body, If_Match=posted.headers["ETag"]).status_code == 200
    assert (
        admin.post(path, {"effective_from": str(TODAY + timedelta(3))}, If_Match=posted.headers["ETag"]).status_code
        == 412
    )
    assert admin.get(posted.headers["Location"]).json["effective_from"] == str(TODAY)


@pytest.mark.parametrize("day", ["2026-11-01", "2100-01-01", "tomorrow", None])
def test_a_book_begins_on_a_day_that_it_has(day, admin: Speaker):
    path = f"{admin.post(BOOKS, BOOK).headers['Location']}/activate"
    refused = admin.post(path, {"effective_from": day}, If_Match="*")
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "effective_from")


def test_under_a_key_it_is_stored_once_and_answered_alike(admin: Speaker):
    first, again = (admin.post(BOOKS, BOOK, Idempotency_Key="once") for _ in range(2))
    assert (again.status_code, again.data, again.headers["Idempotency-Replayed"]) == (201, first.data, "true")
    assert admin.post(BOOKS, {**BOOK, "note": "x"}, Idempotency_Key="once").status_code == 422
    assert len(stored(admin)) == 1


def test_a_table_is_a_book(admin: Speaker, check):
    posted = admin.post(f"{BOOKS}?{QUERY}&indicative=true", data=TABLE, content_type="text/csv; charset=utf-8")
    assert posted.status_code == 201
    body = check(admin.get(posted.headers["Location"]))
    assert (body["name"], body["indicative"], body["without_price"]) == ("list", True, 1)
    assert [line["list_price"] for line in body["lines"]] == ["400000.00", None]
    again = admin.post(f"{BOOKS}?{QUERY}&indicative=true", data=TABLE, content_type="text/csv")
    assert (again.json["version"], again.json["digest"]) == (2, body["digest"])


@pytest.mark.parametrize(
    ("query", "table", "status", "field"),
    [
        (QUERY, TABLE + b"b,sever,system,0\n", 422, "lines.2.kind"),
        (QUERY, b"part,price\n", 422, "lines"),
        ("name=list", TABLE, 422, "currency"),
        (f"{QUERY}&name=other", TABLE, 422, "name"),
        (f"{QUERY}&lines=1", TABLE + b"b\n", 422, "lines.2.kind"),
        (f"{QUERY}&nmae=1", TABLE, 422, "nmae"),
        (QUERY, b"", 400, None),
        (QUERY, b"part\xff", 400, None),
        (QUERY, TABLE + b"\x00", 400, None),
    ],
)
def test_a_wrong_table_leaves_nothing(query, table, status, field, admin: Speaker):
    refused = admin.post(f"{BOOKS}?{query}", data=table, content_type="text/csv")
    assert refused.status_code == status, refused.text
    assert field is None or field in {error["field"] for error in refused.json["errors"]}
    assert stored(admin) == []


def test_beside_json_there_is_no_query_and_no_other_media_type(admin: Speaker):
    refused = admin.post(f"{BOOKS}?name=list", BOOK)
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "name")
    other = admin.post(BOOKS, data=TABLE, content_type="text/plain")
    assert (other.status_code, "text/csv" in other.json["detail"]) == (415, True)


def test_pages_and_audit(admin: Speaker, check):
    ids = [admin.post(BOOKS, {**BOOK, "name": f"n{number}"}).json["id"] for number in range(3)]
    admin.post(f"{BOOKS}/{ids[0]}/activate", {"effective_from": str(TODAY)}, If_Match="*")
    seen, query = [], "limit=2"
    while query:
        page = check(admin.get(f"{BOOKS}?{query}"))
        seen += [item["id"] for item in page["items"]]
        query = f"limit=2&cursor={page['next_cursor']}" if "next_cursor" in page else ""
    assert sorted(seen) == sorted(ids)
    events = check(admin.get("/v1/audit-events?resource_kind=price_book"))["items"]
    assert sorted(event["action"] for event in events) == ["price_book.activated", *["price_book.created"] * 3]
    assert {event["resource_id"] for event in events} == set(ids)


def template_with(acme: Speaker, price: str) -> str:
    """The template with a price in every row."""
    answer = acme.get(f"{BOOKS}/template")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert {row["list_price"] for row in rows} == {""}
    filled = io.StringIO(newline="")
    table = csv.DictWriter(filled, fieldnames=rows[0].keys())
    table.writeheader()
    table.writerows({**row, "list_price": price} for row in rows)
    return filled.getvalue()


def test_the_template_is_taken_as_it_is_and_filled_in(admin: Speaker, acme: Speaker):
    empty = admin.post(f"{BOOKS}?{QUERY}", data=acme.get(f"{BOOKS}/template").data, content_type="text/csv")
    assert (empty.status_code, empty.json["warnings"]) == (201, [])
    assert empty.json["without_price"] == empty.json["line_count"] > 0
    filled = admin.post(f"{BOOKS}?{QUERY}", data=template_with(acme, "1250.00"), content_type="text/csv")
    assert (filled.status_code, filled.json["warnings"], filled.json["without_price"]) == (201, [], 0)


def test_a_quote_from_the_filled_template_lacks_no_price(speaker, work):
    shop = open_shop(speaker, work)
    table = template_with(shop.seller, "1250.00")
    made = shop.admin.post(f"{BOOKS}?{QUERY}", data=table, content_type="text/csv")
    today = {"effective_from": str(TODAY)}
    assert shop.admin.post(f"{made.headers['Location']}/activate", today, If_Match="*").status_code == 200
    quote = shop.draft().json
    assert quote["document"]["price_book"]["name"] == "list"
    assert {line["list_price"] for line in quote["document"]["lines"]} == {"1250.00"}


def test_the_template_has_a_tag_and_a_row_for_every_server(acme: Speaker):
    first = acme.get(f"{BOOKS}/template")
    assert acme.get(f"{BOOKS}/template", If_None_Match=first.headers["ETag"]).status_code == 304
    parts = {row["part"] for row in csv.DictReader(io.StringIO(first.text))}
    known = {one["id"] for one in acme.get("/v1/catalog/servers?limit=500").json["items"]}
    assert known
    assert known <= parts
