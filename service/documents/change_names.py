"""What people call the quantities that differ between two answers, or between two revisions of a quote."""

from service.documents.labels import label

_NAMES = {
    "feasible": "Fits",
    "server": "Server",
    "servers": "Servers",
    "gpus": "GPUs",
    "confidence_fraction": "Confidence",
    "facility_power_kw": "Power at the meter",
    "cost.total_usd": "Indicative cost",
    "totals.one_time.net_amount": "Net, paid once",
    "totals.recurring.net_amount": "Net, paid by the year over the term",
    "totals.subtotal": "All lines, net",
    "totals.charges_amount": "Charges beside the lines",
    "totals.total": "Total",
    "tco.total": "Cost of ownership",
    "run.id": "Sizing",
    "run.digest": "Digest of the question",
    "rules.bom": "Rules that count the parts",
    "rules.discounts": "Rules of discounts",
    "price_book.name": "Price book",
    "price_book.version": "Version of the price book",
    "price_book.date": "Day of the price book",
    "price_book.currency": "Currency of the price book",
    "price_book.digest": "Digest of the price book",
    "export.severity": "Strongest export flag",
    "export.table_version": "Version of the export rules",
    "run.catalog_version": "Version of the catalog",
    "run.calibration_version": "Version of the calibration",
    "run.engine_version": "Version of the engine",
    "option.rank": "Option",
    "price_book.indicative": "Prices are orders of magnitude",
    "fx.rate": "Exchange rate",
    "fx.date": "Day of the exchange rate",
    "customer.name": "Customer",
    "customer.contact": "Contact of the customer",
    "customer.reference": "Reference of the customer",
    "terms.term_months": "Months of what is paid by the year",
    "terms.discount_tier": "Tier of discounts",
    "terms.discount_fraction": "Discount",
    "supply.deliver_by": "Needed by",
    "supply.delivery": "Delivery by that day",
    "name": "What it is",
    "charge": "How it is paid",
    "why": "Why so many",
    "included_quantity": "Of these at no charge",
    "months": "Months",
    "unit_list": "List price of one",
    "discount_fraction": "Discount",
    "unit_net": "Net price of one",
    "extended_list": "List price of all",
    "extended_net": "Net price of all",
}
MONEY = frozenset({"unit_list", "unit_net", "extended_list", "extended_net"})
"""Of a line, what is in the currency of the quote."""


def change_name(quantity: str) -> str:
    """What a quantity of an answer is called."""
    return _NAMES.get(quantity) or label(quantity.rpartition(".")[2])
