"""A revision of a quote as canonical JSON: written once, hashed, and read by every document of it."""

from typing import Any

from marshmallow import fields

from service.access import Role
from service.schemas.difference import Either
from service.schemas.plain import count, decimal, figure, flag, many, one, text, texts
from service.schemas.quote_lines import FxRateSchema, QuoteLineSchema, TotalsSchema, UncountedSchema
from service.schemas.result import AssumedSchema, OptionSchema
from service.schemas.screening import ScreeningSchema
from service.schemas.supply import SupplySchema
from service.schemas.tco import TcoSchema
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}


class CustomerSchema(WordedSchema):
    """For whom it is."""

    name = text("Name.")
    contact = text("Contact.", **_OPTIONAL)
    reference = text("The customer's own reference.", **_OPTIONAL)


class SizedServersSchema(WordedSchema):
    """Servers as the sizing counts them."""

    servers = count("How many.")
    spare_servers = count("How many of them are spare.")
    gpus = count("GPUs in all of them.")


class RunReferenceSchema(WordedSchema):
    """The sizing behind it."""

    id = text("The run.")
    digest = text("Identity of its question under its versions.")
    catalog_version = text("Digest of the facts.")
    calibration_version = text("Version of the calibration.")
    engine_version = text("Version of the engine.")
    kind = text("Kind of workload.")
    workload_name = text("Name of the workload.", **_OPTIONAL)


class AskedSchema(WordedSchema):
    """One thing that was asked."""

    name = text("What; the name ends in its unit.")
    value = Either("How much.")


class QuoteTargetSchema(WordedSchema):
    """What the customer asked for."""

    sentence = text("In one sentence.")
    asked = many(AskedSchema, "Field by field.")


class BookReferenceSchema(WordedSchema):
    """The price book."""

    id = text("Its id; null for the installation's own.", **_OPTIONAL)
    name = text("Its name.")
    date = text("The day of its prices.")
    version = count("Its version.", **_OPTIONAL)
    currency = text("Its currency.")
    indicative = flag("Whether its prices are orders of magnitude only.")
    expires = text("Its last day.", **_OPTIONAL)
    digest = text("Digest of its prices.")


class RulesReferenceSchema(WordedSchema):
    """The rules behind counts and tiers."""

    bom = text("Digest of the rules of the bill of materials.")
    discounts = text("Digest of the discount tiers.")


class TermsStatedSchema(WordedSchema):
    """What the seller states."""

    payment = text("Payment.", **_OPTIONAL)
    delivery = text("Delivery.", **_OPTIONAL)
    warranty = text("Warranty.", **_OPTIONAL)
    term_months = count("Term of yearly charges.")
    discount_fraction = decimal("Discount of lines that have none of their own.")
    total_discount_fraction = decimal("Discount in all.")
    discount_tier = text("The discount tier.")
    approval_role = fields.Enum(
        Role,
        by_value=True,
        required=True,
        allow_none=True,
        metadata={"description": "The least role that must approve; null where nobody must."},
    )
    approval_why = text("Why this tier, and what else somebody must look at.")


class QuoteDocumentSchema(WordedSchema):
    """Everything that one revision says; nothing of its state."""

    number = text("Number; revisions share it.")
    revision = count("Revision, from 1.")
    customer = one(CustomerSchema, "For whom.")
    seller = text("Who wrote it.")
    offered_by = one(CustomerSchema, "Who offers it, as the paper says: the seller that was stated, else the tenant.")
    created_on = text("Day of writing.")
    issued_on = text("Day of issue.", **_OPTIONAL)
    valid_until = text("Last day of validity.")
    time_zone = text("Whose midnight ends it.")
    currency = text("Currency of every amount but list prices of the book.")
    fx = one(FxRateSchema, "Exchange rate; null where book and quote share a currency.", **_OPTIONAL)
    run = one(RunReferenceSchema, "The sizing behind it.")
    target = one(QuoteTargetSchema, "What was asked.")
    option = one(
        OptionSchema,
        "What is quoted: the sized option, with servers, spare servers, GPUs, networks, racks and power of the servers "
        "that the seller states. Speed, memory and confidence are of the servers at work.",
    )
    sized = one(SizedServersSchema, "Servers by the sizing, before the seller states another number.")
    confidence_fraction = figure("Probability that the option meets the target.")
    lines = many(QuoteLineSchema, "Part by part.")
    uncounted = many(UncountedSchema, "Parts that could not be counted.")
    totals = one(TotalsSchema, "Sums.")
    missing = texts("Parts without a price.")
    complete = flag("Whether every part has a price.")
    price_book = one(BookReferenceSchema, "Where prices are from.")
    rules = one(RulesReferenceSchema, "Rules behind counts and tiers.")
    terms = one(TermsStatedSchema, "Terms.")
    tco = one(TcoSchema, "Total cost of ownership.", **_OPTIONAL)
    export = one(ScreeningSchema, "Export screening.")
    supply = one(SupplySchema, "Lead times.")
    assumed = many(AssumedSchema, "Defaults and assumptions of the sizing.")
    disclaimers = texts("What must stand on every document.")
