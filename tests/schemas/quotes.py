"""A whole quote document, made of the parts that a quote is made of."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

from service.access import Role
from service.catalog.catalog import Catalog
from service.quoting.approval import approval
from service.quoting.bom import bill_of_materials
from service.quoting.pricing import price
from service.quoting.quote import (
    Customer,
    QuoteDocument,
    RulesReference,
    RunReference,
    TermsStated,
    book_reference,
    disclaimers_of,
    quote_number,
    sized_servers,
)
from service.quoting.screening import Shipment, screen
from service.quoting.supply import lead_times_of, supply
from service.quoting.target import target_of
from service.quoting.tco import tco
from service.quoting.tco_inputs import CloudPrices, TcoInputs
from service.quoting.terms import ExtraCharge, FxRate
from service.sizing.result import Assumed
from tests.build import question, quote_terms, seller_book, sizing_option

PRICES = {
    "poweredge-xe9780-b300": "325000",
    "powerswitch-z9864f-on": "60000.005",
    "optic-800g": "1200",
    "cable-800g": "90",
    "rack-19-inch-air": "3000",
    "nvidia-ai-enterprise": "4500",
    "deployment": "8000",
}
FX = FxRate(rate=Decimal("0.92345"), date="2026-11-27", source="the central bank")


def quote_document(catalog: Catalog, *, fx: FxRate = FX, discount: str = "0.125", **changes: Any) -> QuoteDocument:
    """A draft in euros that lacks the price of support, with a TCO and a cloud to compare with."""
    option = sizing_option()
    book = seller_book(PRICES)
    bill = bill_of_materials(option, hardware=catalog.hardware, rules=catalog.bom_rules, term_months=36, spares="n+1")
    terms = quote_terms(
        currency="EUR",
        fx=fx,
        discount_fraction=Decimal(discount),
        charges=(ExtraCharge(name="Freight", amount=Decimal(900)),),
        tax_note="VAT is added",
    )
    priced = price(bill, book, terms)
    export = screen(Shipment(parts=("b300-sxm",), on="2026-11-29", destination="DE"), catalog.export_rules)
    tier = approval(priced, catalog.discount_tiers, Role.SELLER, export)
    cloud = CloudPrices(name="A cloud", date="2026-11-01", gpu_hour={"b300-sxm": Decimal("3.5")})
    supplied = supply(
        bill,
        lead_times_of(book),
        ordered_on=date(2026, 11, 29),
        deliver_by=date(2027, 3, 1),
        context=catalog.lead_times,
    )
    inputs = TcoInputs(electricity_price_kwh=Decimal("0.2"), cloud=cloud, bounds={"pue": (Decimal("1.2"), Decimal(2))})
    plain = QuoteDocument(
        number=quote_number(2026, 123),
        revision=1,
        customer=Customer(name="A customer", contact="purchasing"),
        seller="seller-1",
        offered_by=Customer(name="A seller Ltd", contact="sales@seller.example"),
        created_on="2026-11-29",
        issued_on=None,
        valid_until="2026-12-31",
        time_zone="Europe/Berlin",
        currency="EUR",
        fx=fx,
        run=RunReference(
            id="run-1",
            digest="sha256:question",
            catalog_version=catalog.version,
            calibration_version=catalog.calibration.version,
            engine_version="0.6.0",
            kind="inference",
            workload_name="support chat",
        ),
        target=target_of(question()),
        option=option,
        sized=sized_servers(option),
        confidence_fraction=option.confidence_fraction,
        lines=priced.lines,
        uncounted=bill.uncounted,
        totals=priced.totals,
        missing=priced.missing,
        complete=priced.complete,
        price_book=book_reference(book),
        rules=RulesReference(bom=bill.rules_digest, discounts=catalog.discount_tiers.digest),
        terms=TermsStated(
            payment="30 days net",
            delivery=None,
            warranty=None,
            term_months=36,
            discount_fraction=terms.discount_fraction,
            total_discount_fraction=tier.total_discount_fraction,
            discount_tier=tier.tier,
            approval_role=tier.needs,
            approval_why=tier.why,
        ),
        tco=tco(priced, option, kind="inference", inputs=inputs, context=catalog.tco_context),
        export=export,
        supply=supplied,
        assumed=(Assumed(field="slo.percentile", value="95", why="a default"),),
        disclaimers=disclaimers_of(
            priced, bill.uncounted, book, sized=sized_servers(option), option=option, supply=supplied, fx=fx
        ),
    )
    return replace(plain, **changes)
