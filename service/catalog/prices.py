"""Price books of config/prices: the newest one that is not younger than a date."""

import hashlib
import json
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError

from service.errors import FactsError
from service.quoting.prices import PriceBook, PriceLine
from service.schemas.price_book import PriceBookFileSchema, PriceLineSchema

_FILE = PriceBookFileSchema()
_LINE = PriceLineSchema()


def load_price_book(config_dir: Path, *, on: date | None = None) -> PriceBook:
    """The newest book of config/prices whose date is not after `on`. Raises FactsError naming file and field."""
    books = load_price_books(config_dir)
    valid = [book for book in books if on is None or date.fromisoformat(book.date) <= on]
    if not valid:
        raise FactsError(f"{config_dir / 'prices'} has no price book dated {on} or earlier")
    return max(valid, key=lambda book: (book.date, book.name))


def load_price_books(config_dir: Path) -> tuple[PriceBook, ...]:
    """Every book of config/prices, by file name."""
    return tuple(_load(path) for path in sorted((config_dir / "prices").glob("*.yaml")))


def _load(path: Path) -> PriceBook:
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        data = _FILE.load(raw)
    except (yaml.YAMLError, ValidationError) as error:
        raise FactsError(f"{path.name}: {_words(error)}") from error
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


def _words(error: Exception) -> str:
    return json.dumps(error.messages) if isinstance(error, ValidationError) else str(error)


def _digest(data: dict[str, Any], lines: tuple[PriceLine, ...]) -> str:
    """SHA-256 of what prices an answer; comments and the order of the file are nothing."""
    content = {
        "name": data["name"],
        "date": data["date"].isoformat(),
        "currency": data["currency"],
        "indicative": data["indicative"],
        "lines": [_LINE.dump(line) for line in lines],
    }
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
