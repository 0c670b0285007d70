"""What a quote's page shows, block by block, as text that is ready to be set: the template only places it."""

from collections.abc import Iterator, Mapping
from typing import Any

from service.documents.chart import target_rows
from service.documents.export_block import export_block
from service.documents.labels import assumption_name
from service.documents.older import as_today
from service.documents.order import names_of
from service.documents.ownership_block import ownership_block
from service.documents.price_block import grand_total, price_block
from service.documents.site_block import site_block
from service.documents.spelled import TIMES, amount, day, figure, percent, share, whole, words

Quote = Mapping[str, Any]
Row = dict[str, Any]

_ISSUED = frozenset({"issued", "accepted", "declined", "expired", "superseded"})
# Countries that print on US Letter.
_LETTER = frozenset({"US", "CA", "MX"})
_LEGEND = "Bar: 80 % interval; mark: median; dashed line: target."


def page_view(quote: Quote, *, state: str, sha256: str | None, to_customer: bool = False) -> Row:
    """One revision, as who sells it or its customer reads it.

    Its state and the hash of its snapshot are all that it does not say itself.
    """
    quote = as_today(quote)
    return {
        "title": f"Quote {quote['number']}, revision {quote['revision']}",
        "author": "Headroom",
        "paper": "us-letter" if quote["export"]["shipment"]["destination"] in _LETTER else "a4",
        "heading": f"Quote {quote['number']}",
        "subheading": f"Revision {quote['revision']}, {_dated(quote)}",
        "footer": f"{quote['number']} revision {quote['revision']}" + ("" if sha256 is None else f" · {sha256}"),
        "banners": list(banners(quote, state)),
        "customer": _customer(quote["customer"]),
        "seller": _customer(quote["offered_by"], f"Written by {quote['seller']}"),
        "dates": [
            _dated(quote)[:1].upper() + _dated(quote)[1:],
            f"Valid until {day(quote['valid_until'])}",
            f"(end of that day, {quote['time_zone']})",
        ],
        "summary": _summary(quote),
        "total": grand_total(quote),
        "facts": list(_facts(quote)),
        "chart": {"rows": target_rows(quote), "legend": _legend(quote)},
        "price": price_block(quote, to_customer=to_customer),
        "ownership": None if quote["tco"] is None else ownership_block(quote["tco"]),
        "site": site_block(quote["option"]),
        "terms": list(_terms(quote)),
        "assumptions": list(_assumptions(quote)),
        "export": export_block(quote["export"]),
        "signature": _signature(quote) if state in _ISSUED else None,
    }


def _dated(quote: Quote) -> str:
    issued = quote["issued_on"]
    return f"written {day(quote['created_on'])}" if issued is None else f"issued {day(issued)}"


def banners(quote: Quote, state: str) -> Iterator[str]:
    """What must be seen first: that it is a draft, indicative, incomplete, or changed by hand."""
    if state not in _ISSUED:
        yield f"DRAFT{'' if state == 'draft' else f', {words(state)}'}: this revision has not been issued."
    yield from (text for text in quote["disclaimers"] if text.isupper() or text.partition(":")[0].isupper())


def _customer(customer: Mapping[str, Any], *more: str) -> Row:
    reference = customer["reference"]
    lines = [customer["contact"], None if reference is None else f"Reference {reference}", *more]
    return {"name": customer["name"], "lines": [line for line in lines if line]}


def _summary(quote: Quote) -> Row:
    option = quote["option"]
    servers = f"{whole(option['servers'])} {TIMES} {option['server_name']}"
    met = f"Predicted to be met with {percent(quote['confidence_fraction'])} confidence."
    return {
        "sentence": f"{servers}: {whole(option['gpus'])} GPUs in all",
        "target": f"{quote['target']['sentence']} {met}",
    }


def _facts(quote: Quote) -> Iterator[Row]:
    totals, currency, facility = quote["totals"], quote["currency"], quote["option"]["facility"]
    once, recurring = totals["one_time"], totals["recurring"]
    yield {
        "name": f"Paid once, net, {currency}",
        "value": amount(once["net_amount"], currency),
        "note": f"list {amount(once['list_amount'], currency)}",
    }
    yield {
        "name": f"Over {totals['term_months']} months, net, {currency}",
        "value": amount(recurring["net_amount"], currency),
        "note": f"list {amount(recurring['list_amount'], currency)}",
    }
    yield {
        "name": "Power at the meter",
        "value": f"{figure(facility['facility_power_kw'])} kW",
        "note": f"{figure(facility['it_power_kw'])} kW IT, PUE {figure(facility['pue'])}",
    }
    yield {
        "name": "Confidence",
        "value": percent(quote["confidence_fraction"]),
        "note": "that the target is met",
    }


def _legend(quote: Quote) -> str:
    basis = dict.fromkeys(metric["basis"] for metric in quote["option"]["metrics"].values())
    return f"{_LEGEND} Basis: {', '.join(words(name) for name in basis)}."


def _terms(quote: Quote) -> Iterator[Row]:
    terms, supply = quote["terms"], quote["supply"]
    for name in ("payment", "delivery", "warranty"):
        if terms[name] is not None:
            yield {"name": name.capitalize(), "value": terms[name]}
    yield {"name": "Term", "value": f"{terms['term_months']} months for everything that is paid by the year"}
    yield {"name": "Discount", "value": f"{share(terms['total_discount_fraction'])} in all"}
    yield {"name": "Lead time", "value": _lead_time(supply, names_of(quote))}


def _lead_time(supply: Mapping[str, Any], names: Mapping[str, str]) -> str:
    weeks, wished = supply["longest_weeks"], supply["deliver_by"]
    told = "none is known" if weeks is None else f"{weeks} weeks, the longest of the seller's table"
    if supply["without_lead_time"] and weeks is not None:
        told += f"; none is known of {', '.join(names.get(part, part) for part in supply['without_lead_time'])}"
    return told if wished is None else f"{told}; wished by {day(wished)}: {words(supply['delivery'])}"


def _assumptions(quote: Quote) -> Iterator[str]:
    run = quote["run"]
    yield from (f"{assumption_name(item['field'])}: {item['value']} ({item['why']})" for item in quote["assumed"])
    yield from (text for text in quote["disclaimers"] if not text.partition(":")[0].isupper())
    yield (
        f"Sizing {run['id']} by engine {run['engine_version']}, catalog {run['catalog_version'][:19]}, "
        f"calibration {run['calibration_version'][:19]}."
    )


def _signature(quote: Quote) -> Row:
    which = f"quote {quote['number']}, revision {quote['revision']}"
    return {
        "text": f"By signing, the customer accepts {which}: its lines, sums and terms as they stand above.",
        "fields": ["Customer: name, date, signature", "Seller: name, date, signature"],
    }
