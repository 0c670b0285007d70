"""What a seller asks of a quote: from which option, for whom, at which terms; every default is spelled out again."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validates_schema

from service.quoting.bom import MOST_MONTHS, MOST_PIECES
from service.quoting.days import LONGEST_VALIDITY_DAYS, VALID_DAYS
from service.quoting.quote import Customer
from service.quoting.screening import EndUse
from service.quoting.tco_inputs import TcoInputs
from service.quoting.terms import MOST_CHARGES, ExtraCharge, FxRate
from service.schemas.constraints import CountryField, DayField
from service.schemas.currency import CurrencyField
from service.schemas.exact import ByName, Price, Rate, Share
from service.schemas.issue import Issue
from service.schemas.plain import Tuple
from service.schemas.strict import Amount, Choice, Count, RecordSchema, Text
from service.schemas.tco_request import TcoRequestSchema

MOST_ENTRIES = 1000
_MOST_CONFIGURATIONS = 50
_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class EndUser:
    """Who will use it, as far as it is known; countries are ISO 3166-1 alpha-2."""

    headquarters_country: str | None = None
    ultimate_parent_country: str | None = None
    end_use: EndUse | None = None
    listed_owners_fraction: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsInWords:
    """Terms that are words."""

    payment: str | None = None
    delivery: str | None = None
    warranty: str | None = None
    tax_note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteRequest:
    """What is asked. Days are ISO dates; of `valid_days` and `valid_until` one is given."""

    run_id: str
    option: int
    customer: Customer
    seller: Customer | None
    currency: str
    fx: FxRate | None
    price_book_id: str | None
    discount_fraction: Decimal
    line_discounts: Mapping[str, Decimal]
    quantities: Mapping[str, int]
    configurations: Mapping[str, str]
    charges: tuple[ExtraCharge, ...]
    term_months: int
    spares: str | None
    valid_days: int | None
    valid_until: str | None
    time_zone: str
    deliver_by: str | None
    destination_country: str | None
    exporter_country: str | None
    end_user: EndUser
    terms: TermsInWords
    tco: TcoInputs | None


class CustomerRequestSchema(RecordSchema):
    """For whom the quote is."""

    record: ClassVar[type] = Customer

    name = Text("Name of the customer.", required=True)
    contact = Text("Whom to write to.", **_OPTIONAL)
    reference = Text("The customer's own reference.", **_OPTIONAL)


class SellerRequestSchema(RecordSchema):
    """Who offers the quote."""

    record: ClassVar[type] = Customer

    name = Text("Name of the seller's company.", required=True)
    contact = Text("Whom to write to.", **_OPTIONAL)
    reference = Text("The seller's own reference.", **_OPTIONAL)


class FxRequestSchema(RecordSchema):
    """An exchange rate with its day and where it is from."""

    record: ClassVar[type] = FxRate

    rate = Rate("Units of the quote's currency for one of the price book's.", required=True)
    date = DayField("Day of the rate.", required=True)
    source = Text("Whose rate it is.", required=True)


class ChargeRequestSchema(RecordSchema):
    """An amount of once beside the parts; no discount touches it."""

    record: ClassVar[type] = ExtraCharge

    name = Text("What for, such as freight.", required=True)
    amount = Price("How much, in the currency of the quote.", high="1000000000000000", places=3, required=True)


class EndUserSchema(RecordSchema):
    """Who will use it; what is not known is left out, and rules that ask for it then ask for a review."""

    record: ClassVar[type] = EndUser

    headquarters_country = CountryField("Where the end user has its headquarters.", **_OPTIONAL)
    ultimate_parent_country = CountryField("Where its ultimate parent has its headquarters.", **_OPTIONAL)
    end_use = Choice("What it is wanted for.", EndUse, **_OPTIONAL)
    listed_owners_fraction = Amount("Share of it that listed parties own.", low=0, high=1, **_OPTIONAL)


class TermsInWordsSchema(RecordSchema):
    """Terms in words, as they stand in the quote."""

    record: ClassVar[type] = TermsInWords

    payment = Text("When and how it is paid.", longest=1000, **_OPTIONAL)
    delivery = Text("Where and how it is delivered.", longest=1000, **_OPTIONAL)
    warranty = Text("Warranty.", longest=1000, **_OPTIONAL)
    tax_note = Text("Tax, as a note; no amount is computed.", longest=1000, **_OPTIONAL)


class ChargesField(Tuple):
    """Amounts beside the parts."""

    def __init__(self) -> None:
        super().__init__(
            fields.Nested(ChargeRequestSchema),
            load_default=(),
            metadata={"description": "Amounts of once beside the parts, such as freight.", "maxItems": MOST_CHARGES},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, list) and len(value) > MOST_CHARGES:
            limit = f"at most {MOST_CHARGES} charges"
            raise ValidationError(Issue(f"Takes {limit}; these are {len(value)}.", limit=limit))
        return super()._deserialize(value, attr, data, **kwargs)


class QuoteRequestSchema(RecordSchema):
    """A quote as it is asked for. What it says (number, state, prices, totals, approvals) is the service's to find."""

    record: ClassVar[type] = QuoteRequest

    run_id = Text("A done run of yours in which something fits.", longest=64, required=True)
    option = Count("Rank of the option; 1 is recommended.", low=1, high=1000, load_default=1)
    customer = fields.Nested(CustomerRequestSchema, required=True, metadata={"description": "For whom it is."})
    seller = fields.Nested(
        SellerRequestSchema,
        metadata={"description": "Who offers it, as the paper says; null for the name of your tenant."},
        **_OPTIONAL,
    )
    currency = CurrencyField("Currency of the quote.", required=True)
    fx = fields.Nested(
        FxRequestSchema,
        metadata={"description": "The rate, where the price book is in another currency."},
        **_OPTIONAL,
    )
    price_book_id = Text(
        "A price book of yours that is in force or was; null for the one in force in the currency of the quote, else "
        "for the one that came into force last.",
        longest=64,
        **_OPTIONAL,
    )
    discount_fraction = Share("Discount of every line that has none of its own.", default="0")
    line_discounts = ByName(
        "Line id -> its own discount, in place of that of the quote.",
        Share("A share."),
        most=MOST_ENTRIES,
        load_default=dict,
    )
    quantities = ByName(
        "Line id -> how many, in place of the count; 0 takes the line out and leaves it to be seen. Of servers as many "
        "as are at work by the sizing, at most ten times the option's: all that is counted by servers follows. Of any "
        "other line at most ten times what its rule counts, and a hundred in any case. An id of uncounted makes a line "
        "of what no rule could count; 0 says that none is needed.",
        Count("How many.", low=0, high=MOST_PIECES),
        most=MOST_ENTRIES,
        load_default=dict,
    )
    configurations = ByName(
        "Line id -> what it consists of (CPU, memory, drives ...), in place of what the rules say.",
        Text("In words.", longest=1000),
        most=_MOST_CONFIGURATIONS,
        load_default=dict,
    )
    charges = ChargesField()
    term_months = Count("Term of yearly charges.", low=1, high=MOST_MONTHS, load_default=36)
    spares = Text(
        "Availability that cold spares are for: none, n or n+1; null for the one that the sizing was asked for.",
        longest=20,
        **_OPTIONAL,
    )
    valid_days = Count(
        f"Days that it is valid for, from the day on which it was last written; {VALID_DAYS} where nothing is said.",
        low=1,
        high=LONGEST_VALIDITY_DAYS,
        **_OPTIONAL,
    )
    valid_until = DayField("The last day of its validity, in place of valid_days.", **_OPTIONAL)
    time_zone = Text("Whose midnight ends the last day (IANA), such as Europe/Berlin.", longest=60, load_default="UTC")
    deliver_by = DayField(
        "The day by which the customer needs it; null for that of the sizing's question.", **_OPTIONAL
    )
    destination_country = CountryField("Where it will stand; null for that of the sizing's question.", **_OPTIONAL)
    exporter_country = CountryField("Where it is sent from.", **_OPTIONAL)
    end_user = fields.Nested(EndUserSchema, load_default=EndUser, metadata={"description": "Who will use it."})
    terms = fields.Nested(TermsInWordsSchema, load_default=TermsInWords, metadata={"description": "Terms in words."})
    tco = fields.Nested(
        TcoRequestSchema,
        metadata={"description": "What the total cost of ownership is computed with; null for none."},
        **_OPTIONAL,
    )

    @validates_schema(skip_on_field_errors=True)
    def _one_validity(self, data: dict[str, Any], **_: Any) -> None:
        refuse_two_validities(data)


def refuse_two_validities(data: Mapping[str, Any]) -> None:
    """It is valid for so many days or until a day."""
    if data["valid_days"] is not None and data["valid_until"] is not None:
        limit = "valid_days or valid_until"
        raise ValidationError({"valid_until": [Issue(f"Give {limit}, not both.", limit=limit)]})


QUOTE_REQUEST = QuoteRequestSchema()
