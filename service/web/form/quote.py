"""The form of a quote: for whom, on what terms, where it goes, and what its ownership is computed with."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from service.quoting.tco_inputs import FACTORS, RANGES
from service.schemas.quote_request import QUOTE_REQUEST
from service.sizing.workload import Constraints
from service.web.form.countries import country_name
from service.web.form.field import PERCENT, Form, FormField, Group, Shape, fields_of
from service.web.form.typed_number import percentage

PREFIX = "quote"
_WORDS = {
    "quote.customer.name": "Customer",
    "quote.seller.name": "Company that offers it",
    "quote.seller.reference": "Your reference",
    "contact": "Contact",
    "reference": "Customer's reference",
    "currency": "Currency",
    "price_book_id": "Price book",
    "discount_fraction": "Discount",
    "term_months": "Term of yearly charges",
    "spares": "Cold spares for",
    "quote.fx.rate": "Rate",
    "quote.fx.date": "Day of the rate",
    "quote.fx.source": "Whose rate",
    "valid_days": "Days valid",
    "valid_until": "Valid until",
    "time_zone": "Time zone",
    "deliver_by": "Needed by",
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
    "load_fraction": "Draw while in use",
    "pue": "PUE",
    "electricity_price_kwh": "Electricity, a kWh",
    "space_price_kw_month": "Space, a kW and month",
    "staff_price_year": "Staff, a year",
    "depreciation_months": "Written off over",
    "residual_fraction": "Value left",
    "financing_rate_fraction": "Financing rate",
    "quote.tco.cloud.name": "Cloud to compare with",
    "quote.tco.cloud.date": "Its prices of",
    "quote.tco.cloud.reserved": "Every hour is paid for",
}
INITIAL = {"quote.currency": "USD"}
_PRICES, _OWNERSHIP = "Prices", "Cost of ownership"
_FACTOR_WORDS = {
    "hardware_price_factor": "Prices of the hardware",
    "software_price_factor": "Prices of the software",
    "support_price_factor": "Prices of the support",
}
_BOUNDS = "The lower and the upper bound that the sensitivity moves it between, such as {}."
_SUCH_AS = {"pue": "1.2 to 1.6", "staff_price_year": "80000 to 120000", "space_price_kw_month": "120 to 200"}
_EITHER_SIDE = "10 % to either side"
_COUNTRY, _NEEDED = f"{PREFIX}.destination_country", f"{PREFIX}.deliver_by"


def _of(*names: str) -> tuple[FormField, ...]:
    return fields_of(QUOTE_REQUEST, PREFIX, *names, words=_WORDS)


def _range_field(name: str) -> FormField:
    """Between what an input of the cost of ownership lies."""
    share = name.endswith("_fraction")
    ends = [f"{end:,f}" for end in RANGES[name]]
    low, high = (float(end) * (100 if share else 1) for end in RANGES[name])
    return FormField(
        path=f"{PREFIX}.tco.bounds.{name}",
        label=f"{_WORDS[name]}, from and to",
        shape=Shape.RANGE,
        what=_BOUNDS.format(_SUCH_AS.get(name, "40 to 80" if share else "0.10 to 0.30")),
        unit=PERCENT if share else "",
        default=_EITHER_SIDE,
        limit=" to ".join(percentage(end) for end in ends) if share else " to ".join(ends),
        bounds=(low, high),
    )


def _factor_field(name: str) -> FormField:
    """Between what the prices of one kind lie, over those of the quote."""
    return FormField(
        path=f"{PREFIX}.tco.bounds.{name}",
        label=f"{_FACTOR_WORDS[name]}, from and to",
        shape=Shape.RANGE,
        what=f"As a multiple of what the quote says. {_BOUNDS.format('0.9 to 1.25')}",
        default=_EITHER_SIDE,
        limit="0 to 10",
        bounds=(0.0, 10.0),
    )


def hour_field(gpu: str) -> FormField:
    """What an hour of this GPU costs in the cloud."""
    return FormField(
        path=f"{PREFIX}.tco.cloud.gpu_hour.{gpu}",
        key=gpu,
        label="Cloud, a GPU-hour",
        shape=Shape.EXACT,
        what="Price of an hour of this GPU in the cloud, in the currency of the quote.",
    )


def told_of_site(constraints: Constraints) -> dict[str, str]:
    """What a sizing was told of where the servers will stand and by when, as it would be typed."""
    country, needed = constraints.destination_country, constraints.deliver_by
    said = {_COUNTRY: country and country_name(country), _NEEDED: needed and str(needed)}
    return {path: text for path, text in said.items() if text}


def form_for(
    gpu: str | None, *, books: Iterable[tuple[str, str]] = (), told: Mapping[str, str] = MappingProxyType({})
) -> Form:
    """The form of a quote of servers with this GPU, whose hour a cloud has a price for too, from one of the books.

    `told` is what holds where its field is left empty, because the sizing was told it.
    """
    cloud = () if gpu is None else (*_of("tco.cloud.name", "tco.cloud.date", "tco.cloud.reserved"), hour_field(gpu))
    [book] = _of("price_book_id")
    chosen = replace(book, shape=Shape.CHOICE, options=tuple(books), default="the one in force", wide=True)
    more = {_PRICES: (chosen,), _OWNERSHIP: cloud}
    noted = (_with_notes(one, told) for one in FORM.groups)
    return replace(FORM, groups=tuple(replace(one, fields=(*one.fields, *more.get(one.title, ()))) for one in noted))


def _with_notes(group: Group, told: Mapping[str, str]) -> Group:
    noted = tuple(
        replace(one, note=f"As sized: {told[one.path]}, which holds where this is left empty.")
        if one.path in told
        else one
        for one in group.fields
    )
    return replace(group, fields=noted)


FORM = Form(
    kind="quote",
    title="Quote",
    lead="",
    fixed=(),
    groups=(
        Group(
            title="For whom and where",
            fields=_of("customer.name", "customer.contact", "customer.reference", "destination_country", "deliver_by"),
        ),
        Group(title=_PRICES, fields=_of("currency", "discount_fraction", "term_months", "spares")),
        Group(title="Exchange rate", folded=True, fields=_of("fx.rate", "fx.date", "fx.source")),
        Group(title="Validity", folded=True, fields=_of("valid_days", "valid_until", "time_zone")),
        Group(
            title="Export: sender and end user",
            folded=True,
            fields=_of(
                "exporter_country",
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
        Group(title="Offered by", folded=True, fields=_of("seller.name", "seller.contact", "seller.reference")),
        Group(
            title=_OWNERSHIP,
            folded=True,
            fields=_of(
                "tco.horizon_months",
                "tco.utilisation_fraction",
                "tco.load_fraction",
                "tco.pue",
                "tco.electricity_price_kwh",
                "tco.space_price_kw_month",
                "tco.staff_price_year",
                "tco.depreciation_months",
                "tco.residual_fraction",
                "tco.financing_rate_fraction",
            ),
        ),
        Group(
            title="How sure the cost of ownership is",
            folded=True,
            fields=(*(_range_field(name) for name in RANGES), *(_factor_field(name) for name in FACTORS)),
        ),
    ),
)
