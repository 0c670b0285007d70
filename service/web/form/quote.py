"""The form of a quote: for whom, on what terms, where it goes, and what its ownership is computed with."""

from dataclasses import replace

from service.schemas.quote_request import QUOTE_REQUEST
from service.web.form.field import Form, FormField, Group, Shape, fields_of

PREFIX = "quote"
_WORDS = {
    "quote.customer.name": "Customer",
    "contact": "Contact",
    "reference": "Customer's reference",
    "currency": "Currency",
    "discount_fraction": "Discount",
    "term_months": "Term of yearly charges",
    "spares": "Cold spares for",
    "valid_days": "Days valid",
    "valid_until": "Valid until",
    "time_zone": "Time zone",
    "deliver_by": "Wished by",
    "destination_country": "Where it will stand",
    "exporter_country": "Sent from",
    "headquarters_country": "End user's headquarters",
    "ultimate_parent_country": "Ultimate parent's headquarters",
    "end_use": "Wanted for",
    "listed_owners_fraction": "Owned by listed parties",
    "payment": "Payment",
    "delivery": "Delivery",
    "warranty": "Warranty",
    "tax_note": "Tax",
    "horizon_months": "Owned for",
    "utilisation_fraction": "Hours used",
    "electricity_price_kwh": "Electricity, a kWh",
    "space_price_kw_month": "Space, a kW and month",
    "staff_price_year": "Staff, a year",
    "residual_fraction": "Value left",
    "financing_rate_fraction": "Financing rate",
    "quote.tco.cloud.name": "Cloud to compare with",
    "quote.tco.cloud.date": "Its prices of",
}
INITIAL = {"quote.currency": "USD"}


def _of(*names: str) -> tuple[FormField, ...]:
    return fields_of(QUOTE_REQUEST, PREFIX, *names, words=_WORDS)


def form_for(gpu: str) -> Form:
    """The form of a quote of servers with this GPU, whose hour a cloud has a price for too."""
    hour = FormField(
        path=f"{PREFIX}.tco.cloud.gpu_hour.{gpu}",
        label="Cloud, a GPU-hour",
        shape=Shape.EXACT,
        what=f"Price of an hour of {gpu} in the cloud, in the currency of the quote.",
    )
    cloud = (*_of("tco.cloud.name", "tco.cloud.date"), hour)
    *others, last = FORM.groups
    return replace(FORM, groups=(*others, replace(last, fields=(*last.fields, *cloud))))


FORM = Form(
    kind="quote",
    title="Quote",
    lead="",
    fixed=(),
    groups=(
        Group(title="For whom", fields=_of("customer.name", "customer.contact", "customer.reference")),
        Group(title="Prices", fields=_of("currency", "discount_fraction", "term_months", "spares")),
        Group(
            title="Delivery and validity",
            fields=_of(
                "destination_country", "exporter_country", "deliver_by", "valid_days", "valid_until", "time_zone"
            ),
        ),
        Group(
            title="End user",
            folded=True,
            fields=_of(
                "end_user.headquarters_country",
                "end_user.ultimate_parent_country",
                "end_user.end_use",
                "end_user.listed_owners_fraction",
            ),
        ),
        Group(
            title="Terms in words",
            folded=True,
            fields=_of("terms.payment", "terms.delivery", "terms.warranty", "terms.tax_note"),
        ),
        Group(
            title="Cost of ownership",
            folded=True,
            fields=_of(
                "tco.horizon_months",
                "tco.utilisation_fraction",
                "tco.electricity_price_kwh",
                "tco.space_price_kw_month",
                "tco.staff_price_year",
                "tco.residual_fraction",
                "tco.financing_rate_fraction",
            ),
        ),
    ),
)
