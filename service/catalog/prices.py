"""Price books of config/prices: the newest one that is not younger than a date."""

from datetime import date
from pathlib import Path
from typing import Any

from service.catalog.files import naming, read_yaml, short
from service.errors import FactsError
from service.quoting.prices import PriceBook, PriceLine
from service.schemas.digest import sha256_digest
from service.schemas.price_book import PriceBookFileSchema, PriceLineSchema

_FILE = PriceBookFileSchema()
_LINE = PriceLineSchema()


def load_price_book(config_dir: Path, *, on: date | None = None) -> PriceBook:
    """The newest book of config/prices whose date is not after `on`. Raises FactsError naming file and field."""
    books = load_price_books(config_dir)
    valid = [book for book in books if on is None or date.fromisoformat(book.date) <= on]
    if not valid:
        raise FactsError(f"{short(config_dir / 'prices')} has no price book dated {on} or earlier")
    return max(valid, key=lambda book: (book.date, book.name))


def load_price_books(config_dir: Path) -> tuple[PriceBook, ...]:
    """Every book of config/prices, by file name."""
    return tuple(_load(path) for path in sorted((config_dir / "prices").glob("*.yaml")))


def _load(path: Path) -> PriceBook:
    with naming(path, "(file)"):
        data: dict[str, Any] = _FILE.load(read_yaml(path))
    lines: tuple[PriceLine, ...] = tuple(sorted(data["lines"], key=lambda line: line.part))
    return PriceBook(
        name=data["name"],
        date=data["date"].isoformat(),
        currency=data["currency"],
        indicative=data["indicative"],
        digest=_digest(data, lines),
        lines={line.part: line for line in lines},
        sources={key: source["what"] for key, source in sorted(data["sources"].items())},
    )


def _digest(data: dict[str, Any], lines: tuple[PriceLine, ...]) -> str:
    """SHA-256 of what prices an answer; comments and the order of the file are nothing."""
    content = {
        "name": data["name"],
        "date": data["date"].isoformat(),
        "currency": data["currency"],
        "indicative": data["indicative"],
        "lines": [_LINE.dump(line) for line in lines],
    }
    return sha256_digest(content)
