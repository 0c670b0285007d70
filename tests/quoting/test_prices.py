"""Price books: read strictly, dated, every price with its source."""

import shutil
from datetime import date
from decimal import Decimal

import pytest
import yaml

from config.environment import ROOT
from service.catalog.prices import load_price_book, load_price_books
from service.errors import FactsError

TEXT = (ROOT / "config/prices/2026-11.yaml").read_text(encoding="utf-8")


def write(folder, file="2026-12.yaml", **changes):
    (folder / "prices").mkdir(exist_ok=True)
    content = {**yaml.safe_load(TEXT), **changes}
    (folder / "prices" / file).write_text(yaml.safe_dump(content), encoding="utf-8")


def line(book_lines, part):
    return next(entry for entry in book_lines if entry["part"] == part)


def test_the_book_is_indicative_dated_and_decimal(book):
    assert book.indicative
    assert book.date == "2026-11-22"
    assert book.digest.startswith("sha256:")
    price = book.line("poweredge-xe9780-b300")
    assert price.list_price_usd == Decimal(325000)
    assert price.low_usd <= price.list_price_usd <= price.high_usd
    assert price.sources


def test_every_server_on_offer_has_a_line_and_unknown_is_none_never_zero(book, catalog):
    for server in catalog.hardware.servers:
        if not server.reference:
            assert book.line(server.id) is not None, server.id
    for entry in book.lines.values():
        assert entry.list_price_usd is None or entry.list_price_usd > 0
        assert entry.note


def test_every_part_of_the_book_exists(book, catalog):
    known = {s.id for s in catalog.hardware.servers} | {s.id for s in catalog.hardware.switches}
    known |= {"optic", "nvidia-ai-enterprise", "prosupport", "electricity"}

    assert set(book.lines) <= known


def test_comments_and_order_do_not_change_the_digest(tmp_path, book):
    content = yaml.safe_load(TEXT)
    write(tmp_path, lines=list(reversed(content["lines"])))

    assert load_price_book(tmp_path).digest == book.digest


def test_a_price_changes_the_digest(tmp_path, book):
    content = yaml.safe_load(TEXT)
    line(content["lines"], "poweredge-xe9780-b300")["list_price_usd"] = "325001"
    write(tmp_path, lines=content["lines"])

    assert load_price_book(tmp_path).digest != book.digest


def test_the_newest_book_that_is_not_younger_is_taken(tmp_path):
    (tmp_path / "prices").mkdir()
    shutil.copy(ROOT / "config/prices/2026-11.yaml", tmp_path / "prices")
    write(tmp_path, file="2027-01.yaml", date="2027-01-15")

    assert len(load_price_books(tmp_path)) == 2
    assert load_price_book(tmp_path).date == "2027-01-15"
    assert load_price_book(tmp_path, on=date(2026, 12, 31)).date == "2026-11-22"
    with pytest.raises(FactsError, match="2020-01-01"):
        load_price_book(tmp_path, on=date(2020, 1, 1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"list_price_usd": "0"}, "never 0"),
        ({"list_price_usd": 325000}, "decimal string"),
        ({"list_price_usd": "NaN"}, "more than 0"),
        ({"list_price_usd": "1"}, "between low_usd and high_usd"),
        ({"list_price_usd": None, "low_usd": None, "high_usd": None}, "basis unknown"),
        ({"sources": []}, "needs a source"),
        ({"sources": ["nobody"]}, "unknown source"),
        ({"prise": 1}, "prise"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, changes, words):
    content = yaml.safe_load(TEXT)
    line(content["lines"], "poweredge-xe9780-b300").update(changes)
    write(tmp_path, lines=content["lines"])

    with pytest.raises(FactsError, match=words) as refused:
        load_price_book(tmp_path)
    assert "2026-12.yaml" in str(refused.value)
