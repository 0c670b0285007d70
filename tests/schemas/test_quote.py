"""The snapshot of a quote: all is in it, money is text, equal quotes have equal bytes, and two can be compared."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import orjson
import pytest

from service.errors import InvalidRequestError
from service.quoting.pricing import Priced
from service.quoting.quote import disclaimers_of, end_of_validity, quote_number
from service.quoting.revision import LineFate, revision_difference
from service.schemas.digest import canonical_json, sha256_digest
from service.schemas.quote import QuoteDocumentSchema
from service.schemas.revision import RevisionDifferenceSchema, revision_of
from tests.build import seller_book
from tests.schemas.quotes import FX, quote_document

SCHEMA = QuoteDocumentSchema()


@pytest.fixture(scope="module")
def catalog(facts):
    return facts.catalog


@pytest.fixture(scope="module")
def document(catalog):
    return quote_document(catalog)


@pytest.fixture(scope="module")
def snapshot(document):
    return orjson.loads(canonical_json(SCHEMA.dump(document)))


def walk(value, path=""):
    yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner, path)


def test_every_field_of_every_part_is_in_the_snapshot(snapshot):
    def missing(schema, found, path):
        for name, field in schema.fields.items():
            here = f"{path}.{field.data_key or name}"
            if not isinstance(found, dict) or (field.data_key or name) not in found:
                yield here
                continue
            inner = getattr(field, "inner", field)
            value = found[field.data_key or name]
            if getattr(inner, "schema", None) is not None and hasattr(inner, "nested"):
                for each in value if isinstance(value, list) else [value] if value is not None else []:
                    yield from missing(inner.schema, each, here)

    assert list(missing(SCHEMA, snapshot, "")) == []


def test_money_is_text_and_never_a_float(snapshot):
    money = ("amount", "price", "list", "net", "discount", "total", "charges", "gpu_hour", "rate", "low", "high")
    quoted = {name: snapshot[name] for name in ("lines", "totals", "tco", "fx", "terms")}
    for path, value in walk(quoted):
        name = path.rsplit(".", 1)[-1]
        if name.startswith(money) and not name.endswith("months"):
            assert not isinstance(value, float), path
    server = next(line for line in snapshot["lines"] if line["id"] == "server")
    assert server["list_price"] == "325000"
    assert server["extended_net"] == "1050424.38"  # 325000 x 0.92345 x 4 x 0.875
    assert snapshot["totals"]["charges"] == [{"name": "Freight", "amount": "900.00"}]


def test_a_part_without_a_price_has_no_amounts_and_the_quote_says_so(snapshot):
    support = next(line for line in snapshot["lines"] if line["part"] == "prosupport")
    assert [support[name] for name in ("list_price", "unit_net", "extended_list", "extended_net")] == [None] * 4
    assert snapshot["missing"] == ["prosupport"]
    assert snapshot["complete"] is False
    assert snapshot["totals"]["total"] is None
    assert any("ProSupport" in said and "INCOMPLETE" in said for said in snapshot["disclaimers"])


def test_equal_quotes_have_equal_bytes_and_a_cent_changes_them(catalog, document):
    again = quote_document(catalog)
    assert sha256_digest(SCHEMA.dump(again)) == sha256_digest(SCHEMA.dump(document))
    other = quote_document(catalog, fx=replace(FX, rate=Decimal("0.92346")))
    assert sha256_digest(SCHEMA.dump(other)) != sha256_digest(SCHEMA.dump(document))


def test_the_snapshot_carries_the_disclaimer_and_the_age_of_the_export_rules(snapshot, catalog):
    assert snapshot["export"]["disclaimer"] == catalog.export_rules.disclaimer
    assert snapshot["export"]["unseen_since"]
    assert snapshot["export"]["needs_review"] is True


def test_an_indicative_book_is_marked_first(document):
    priced = Priced(lines=document.lines, totals=document.totals, missing=document.missing, complete=document.complete)
    said = disclaimers_of(
        priced,
        document.uncounted,
        seller_book({}, indicative=True),
        sized=document.sized,
        option=document.option,
        supply=document.supply,
    )
    assert said[0].startswith("INDICATIVE")
    assert said[1:] == document.disclaimers


def test_equal_revisions_do_not_differ(snapshot):
    found = revision_difference(revision_of(snapshot), revision_of(snapshot))
    assert (found.causes, found.lines, found.sums) == ((), (), ())


def test_a_difference_names_causes_lines_and_sums(catalog, snapshot):
    document = quote_document(catalog, fx=replace(FX, rate=Decimal("0.95")), discount="0.2", revision=2)
    kept = tuple(line for line in document.lines if line.bom.id != "deployment")
    new = orjson.loads(canonical_json(SCHEMA.dump(replace(document, lines=kept))))
    found = revision_difference(revision_of(snapshot), revision_of(new))
    causes = {change.quantity: (change.old, change.new) for change in found.causes}
    assert causes["fx.rate"] == (Decimal("0.92345"), Decimal("0.95"))
    assert causes["terms.discount_fraction"] == (Decimal("0.125"), Decimal("0.2"))
    fates = {change.line: change.fate for change in found.lines}
    assert fates["deployment"] is LineFate.REMOVED
    assert fates["server"] is LineFate.CHANGED
    server = {change.quantity: change for change in next(c for c in found.lines if c.line == "server").changes}
    assert server["extended_net"].new == Decimal("988000.00")  # 325000 x 0.95 x 4 x 0.8
    assert server["extended_net"].change_fraction == pytest.approx(988000 / 1050424.38 - 1, abs=1e-6)
    assert "quantity" not in server
    assert {change.quantity for change in found.sums} >= {"totals.subtotal"}


def test_a_difference_is_an_answer(catalog, snapshot):
    new = orjson.loads(canonical_json(SCHEMA.dump(quote_document(catalog, discount="0"))))
    dumped = RevisionDifferenceSchema().dump(revision_difference(revision_of(new), revision_of(snapshot)))
    assert dumped["lines"][0]["fate"] == "changed"
    changed = {change["quantity"]: change["new"] for change in dumped["causes"]}
    assert changed["terms.discount_fraction"] == "0.125"


def test_numbers_count_within_their_year():
    assert quote_number(2026, 123) == "Q-2026-000123"
    assert quote_number(2027, 1_234_567) == "Q-2027-1234567"


@pytest.mark.parametrize(
    ("zone", "ends"),
    [
        ("UTC", "2027-01-01T00:00:00+00:00"),
        ("Europe/Berlin", "2026-12-31T23:00:00+00:00"),
        ("America/Los_Angeles", "2027-01-01T08:00:00+00:00"),
    ],
)
def test_a_quote_holds_until_the_end_of_its_day_where_its_zone_says(zone, ends):
    found = end_of_validity(date(2026, 12, 31), zone)
    assert found.astimezone(ZoneInfo("UTC")) == datetime.fromisoformat(ends)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_a_zone_that_there_is_not_is_refused(zone):
    with pytest.raises(InvalidRequestError, match="IANA"):
        end_of_validity(date(2026, 12, 31), zone)
