"""The block of prices: lines paid once and by the year, sums, and what to know about them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from service.documents.spelled import DASH, amount, day, share, unit_price, whole

Row = dict[str, Any]
MINUS = "\N{MINUS SIGN}"


def price_block(quote: Mapping[str, Any]) -> Row:
    """Lines by how they are charged, totals and notes."""
    totals, currency = quote["totals"], quote["currency"]
    kinds = (("one_time", "Once", "List each"), ("yearly", "By the year, summed over the term", "List a year"))
    lines = list(enumerate(quote["lines"], start=1))
    parts = [
        {
            "heading": f"{heading} ({currency})",
            "unit_heading": unit,
            "lines": [_line(place, line, currency) for place, line in lines if line["charge"] == charge],
        }
        for charge, heading, unit in kinds
    ]
    return {
        "parts": [part for part in parts if part["lines"]],
        "totals": list(_totals(totals, currency)),
        "notes": list(_price_notes(quote)),
    }


def _line(place: int, line: Mapping[str, Any], currency: str) -> Row:
    charged = line["quantity"] > 0
    return {
        "place": str(place),
        "name": line["name"],
        "details": list(_details(line)),
        "flags": list(_flags(line)),
        "quantity": whole(line["quantity"]),
        "unit": line["unit"],
        "list": unit_price(line["unit_list"], currency),
        "discount": share(line["discount_fraction"]) if charged else DASH,
        "net": unit_price(line["unit_net"], currency),
        "amount": amount(line["extended_net"], currency),
    }


def _details(line: Mapping[str, Any]) -> Iterator[str]:
    if line["sku"] is not None:
        yield f"SKU {line['sku']}"
    if line["configuration"]:
        yield "; ".join(line["configuration"])
    yield line["why"]
    if line["months"]:
        yield f"{line['months']} months"
    if line["included_quantity"]:
        months = "" if line["included_months"] is None else f" for {line['included_months']} months"
        yield f"{whole(line['included_quantity'])} included with other parts{months}, not charged"


def _flags(line: Mapping[str, Any]) -> Iterator[str]:
    if line["quantity"] and line["list_price"] is None:
        yield "no price in this book"
    if line["quantity"] and not line["orderable"]:
        yield f"no SKU known; part {line['part']}"
    if line["disputed"] is not None:
        yield f"{whole(line['disputed']['quantity'])} by another reading: {line['disputed']['why']}"


def _totals(totals: Mapping[str, Any], currency: str) -> Iterator[Row]:
    for name, part in (("Once", totals["one_time"]), (f"Over {totals['term_months']} months", totals["recurring"])):
        yield _total(f"{name}: list", part["list_amount"], currency)
        if Decimal(part["discount_amount"]):
            yield {
                "name": f"{name}: discount",
                "value": f"{MINUS}{amount(part['discount_amount'], currency)}",
                "strong": False,
            }
        yield _total(f"{name}: net", part["net_amount"], currency, strong=True)
    for charge in totals["charges"]:
        yield _total(charge["name"], charge["amount"], currency)
    if totals["total"] is None:
        yield {"name": f"Total ({currency})", "value": "incomplete: see the parts without a price", "strong": True}
    else:
        yield _total(f"Total over {totals['term_months']} months ({currency})", totals["total"], currency, strong=True)


def _total(name: str, value: str, currency: str, *, strong: bool = False) -> Row:
    return {"name": name, "value": amount(value, currency), "strong": strong}


def _price_notes(quote: Mapping[str, Any]) -> Iterator[str]:
    book, fx = quote["price_book"], quote["fx"]
    version = "" if book["version"] is None else f", version {book['version']}"
    yield f"Prices: {book['name']}{version}, of {day(book['date'])}, in {book['currency']}."
    if fx is not None:
        yield f"Rate: 1 {book['currency']} = {fx['rate']} {quote['currency']}, {day(fx['date'])}, {fx['source']}."
    yield f"Tax: {quote['totals']['tax_note'] or 'not included.'}"
    if quote["uncounted"]:
        yield "Not counted, and in no sum: " + "; ".join(
            f"{part['name']} ({part['why']})" for part in quote["uncounted"]
        )
