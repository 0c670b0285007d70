"""The block of prices: lines paid once and by the year, sums, and what to know about them."""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from service.documents.order import ordered_lines
from service.documents.spelled import DASH, amount, counted_in, day, is_rounded, share, unit_price, whole

Row = dict[str, Any]
MINUS = "\N{MINUS SIGN}"
_DOT = " \N{MIDDLE DOT} "
_ROUNDED = "Prices of one are shown rounded; every amount is computed from the exact price and rounded once."


def price_block(quote: Mapping[str, Any], *, to_customer: bool = False) -> Row:
    """Lines by how they are charged, totals and notes; a customer is not told what only the seller has to look at."""
    currency = quote["currency"]
    lines = ordered_lines(quote)
    kinds = (
        ("one_time", "Paid once"),
        ("yearly", f"Paid by the year, over {quote['totals']['term_months']} months; prices of one are for a year"),
    )
    parts = [
        {
            "heading": heading,
            "lines": [
                _line(place, line, currency, to_customer=to_customer)
                for place, line in lines
                if line["charge"] == charge
            ],
        }
        for charge, heading in kinds
    ]
    return {
        "title": f"Lines, in {currency}",
        "parts": [part for part in parts if part["lines"]],
        "totals": list(_totals(quote["totals"], currency)),
        "notes": list(_price_notes(quote)),
    }


def grand_total(quote: Mapping[str, Any]) -> Row:
    """What it comes to, as the first page shows it."""
    totals, currency = quote["totals"], quote["currency"]
    listed = sum(Decimal(totals[part]["list_amount"]) for part in ("one_time", "recurring"))
    note = f"list {amount(str(listed), currency)}, discount {share(quote['terms']['total_discount_fraction'])}"
    missing = "incomplete"
    return {
        "name": f"Total over {totals['term_months']} months, {currency}",
        "value": missing if totals["total"] is None else amount(totals["total"], currency),
        "note": f"{note}; tax: {totals['tax_note'] or 'not included'}",
    }


def _line(place: int, line: Mapping[str, Any], currency: str, *, to_customer: bool) -> Row:
    charged = line["quantity"] > 0
    return {
        "place": str(place),
        "id": line["id"],
        "name": line["name"],
        "details": _DOT.join(_details(line, to_customer=to_customer)),
        "configuration": _DOT.join(line["configuration"]),
        "flags": list(_flags(line)),
        "quantity": whole(line["quantity"]),
        "unit": counted_in(line["unit"], line["quantity"], line["months"]),
        "list": unit_price(line["unit_list"], currency),
        "discount": share(line["discount_fraction"]) if charged else DASH,
        "net": unit_price(line["unit_net"], currency),
        "amount": amount(line["extended_net"], currency),
    }


def _details(line: Mapping[str, Any], *, to_customer: bool) -> Iterator[str]:
    if not line["quantity"]:
        yield "not bought"
    elif line["sku"]:
        yield f"SKU {line['sku']}"
    elif not to_customer:
        # The paper says once, below, what parts without one mean.
        yield "no SKU known yet"
    yield "quantity set by hand" if to_customer and line["stated"] else line["why"]
    if line["included_quantity"]:
        months = "" if line["included_months"] is None else f" for {line['included_months']} months"
        yield f"{whole(line['included_quantity'])} included with other parts{months}, not charged"


def _flags(line: Mapping[str, Any]) -> Iterator[str]:
    if line["quantity"] and line["list_price"] is None:
        yield "no price in this book"
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
        yield {"name": f"Total ({currency})", "value": "incomplete", "strong": True}
    else:
        yield _total(f"Total over {totals['term_months']} months ({currency})", totals["total"], currency, strong=True)


def _total(name: str, value: str, currency: str, *, strong: bool = False) -> Row:
    return {"name": name, "value": amount(value, currency), "strong": strong}


def book_in_words(book: Mapping[str, Any]) -> str:
    """The price book as a document names it: name, version, day, currency, last day."""
    version = "" if book["version"] is None else f", version {book['version']}"
    ends = "" if book["expires"] is None else f", valid until {day(book['expires'])}"
    return f"{book['name']}{version}, of {day(book['date'])}, in {book['currency']}{ends}"


def rate_in_words(quote: Mapping[str, Any]) -> str | None:
    """The exchange rate with its day and source; None where none was needed."""
    fx = quote["fx"]
    if fx is None:
        return None
    return f"1 {quote['price_book']['currency']} = {fx['rate']} {quote['currency']}, {day(fx['date'])}, {fx['source']}"


def _price_notes(quote: Mapping[str, Any]) -> Iterator[str]:
    yield f"Prices: {book_in_words(quote['price_book'])}."
    rate = rate_in_words(quote)
    if rate is not None:
        yield f"Rate: {rate}."
    yield f"Tax: {quote['totals']['tax_note'] or 'not included.'}"
    if any(is_rounded(line[name], quote["currency"]) for line in quote["lines"] for name in ("unit_list", "unit_net")):
        yield _ROUNDED
    if quote["uncounted"]:
        yield "Not counted, and in no sum: " + "; ".join(
            f"{part['name']} ({part['why']})" for part in quote["uncounted"]
        )
