"""Lines and sums of a quote as an answer: amounts are decimal strings, null where there is no price."""

import functools
import operator
from collections.abc import Callable
from typing import Any

from marshmallow import fields

from service.quoting.bom_rules import Charge
from service.quoting.prices import PartKind
from service.schemas.plain import count, decimal, flag, many, one, text, texts
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}


def _enum(what: str, kind: type[Any], **kwargs: Any) -> fields.Enum[Any]:
    return fields.Enum(kind, by_value=True, required=True, metadata={"description": what}, **kwargs)


class CountDisputeSchema(WordedSchema):
    """The count by another reading."""

    quantity = count("How many by that reading.")
    why = text("Who reads it so.")
    sources = texts("Where that is from.")


class QuoteLineSchema(WordedSchema):
    """One part with its count and its prices; all prices are null where the book has none."""

    id = text("Id of the line.", attribute="bom.id")
    rule = text("The rule that counted it.", attribute="bom.rule")
    part = text("The part, as price books name it.", attribute="bom.part")
    kind = _enum("What kind of part.", PartKind, attribute="bom.kind")
    name = text("Its name.", attribute="bom.name")
    quantity = count("How many are bought.", attribute="bom.quantity")
    unit = text("Of what.", attribute="bom.unit")
    charge = _enum("Paid once or by the year.", Charge, attribute="bom.charge")
    months = count("Months that a yearly charge runs; 0 for a charge of once.", attribute="bom.months")
    sku = text("SKU, where one is known.", attribute="bom.sku", **_OPTIONAL)
    orderable = flag("Whether a SKU is known.", attribute="bom.orderable")
    why = text("The arithmetic of the count.", attribute="bom.why")
    basis = text("How the count is known.", attribute="bom.basis")
    sources = texts("Where the rule is from.", attribute="bom.sources")
    configuration = texts("What it consists of.", attribute="bom.configuration")
    included_quantity = count("How many come with other parts, uncharged.", attribute="bom.included_quantity")
    included_months = count(
        "Months that they come for; null for ever, or where none do.", attribute="bom.included_months", **_OPTIONAL
    )
    disputed = one(CountDisputeSchema, "The count by another reading.", attribute="bom.disputed", **_OPTIONAL)
    note = text("What to know about it.", attribute="bom.note", **_OPTIONAL)
    stated = flag("Whether the seller stated another count than the rule's.", attribute="bom.stated")
    list_price = decimal("List price of one, in the currency of the price book.", **_OPTIONAL)
    unit_list = decimal("The same in the currency of the quote, unrounded.", **_OPTIONAL)
    discount_fraction = decimal("Discount.")
    unit_net = decimal("Net price of one, unrounded.", **_OPTIONAL)
    extended_list = decimal("List price of all, over all months.", **_OPTIONAL)
    extended_discount = decimal("Discount on all.", **_OPTIONAL)
    extended_net = decimal("Net price of all.", **_OPTIONAL)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """A long quote has hundreds of lines, and the general way of reading a member takes most of writing one."""
        return _reader(attr)(obj)


@functools.cache
def _reader(path: str) -> Callable[[Any], Any]:
    return operator.attrgetter(path)


class UncountedSchema(WordedSchema):
    """A part that the facts do not allow to count; quantities may state how many, by its id."""

    id = text("What its line is called once a count is stated.")
    rule = text("The rule.")
    part = text("The part, as price books name it then.")
    kind = _enum("What kind of part.", PartKind)
    name = text("Its name.")
    unit = text("Of what.")
    charge = _enum("Paid once or by the year.", Charge)
    why = text("Why it is not counted.")


class SumSchema(WordedSchema):
    """Sums of rounded lines."""

    list_amount = decimal("List prices.")
    discount_amount = decimal("Discounts.")
    net_amount = decimal("Net prices.")


class ExtraChargeSchema(WordedSchema):
    """An amount beside the parts."""

    name = text("What for.")
    amount = decimal("How much.")


class TotalsSchema(WordedSchema):
    """One currency; one-time and recurring apart."""

    currency = text("Currency of every amount.")
    term_months = count("Months that recurring charges are summed over.")
    one_time = one(SumSchema, "Charges of once.")
    recurring = one(SumSchema, "Yearly charges over the term.")
    subtotal = decimal("Net of all lines that have a price.")
    charges = many(ExtraChargeSchema, "Amounts beside the parts.")
    charges_amount = decimal("Their sum.")
    total = decimal("Subtotal and charges; null while a part has no price.", **_OPTIONAL)
    tax_note = text("Tax, in words.", **_OPTIONAL)


class FxRateSchema(WordedSchema):
    """The exchange rate that the quote was priced at."""

    rate = decimal("Units of the quote's currency for one of the price book's.")
    date = text("Its day.")
    source = text("Where it is from.")
