"""Two revisions of a quote beside each other: read from their snapshots, and their difference as an answer."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from marshmallow import fields

from service.quoting.revision import Compared, LineFate, Revision
from service.schemas.difference import ChangeSchema
from service.schemas.plain import many, text
from service.schemas.words import WordedSchema

_LINE = ("part", "name", "unit", "charge", "sku", "why")
_LINE_NUMBERS = ("quantity", "included_quantity", "months")
# In the currency of the quote, which need not be that of the price book.
_LINE_MONEY = ("unit_list", "discount_fraction", "unit_net", "extended_list", "extended_net")
_CAUSES = (
    "run.id",
    "run.digest",
    "run.catalog_version",
    "run.calibration_version",
    "run.engine_version",
    "option.server",
    "option.servers",
    "option.gpus",
    "confidence_fraction",
    "price_book.name",
    "price_book.date",
    "price_book.currency",
    "price_book.indicative",
    "price_book.digest",
    "rules.bom",
    "rules.discounts",
    "currency",
    "fx.date",
    "customer.name",
    "customer.contact",
    "customer.reference",
    "terms.term_months",
    "terms.payment",
    "terms.delivery",
    "terms.warranty",
    "terms.discount_tier",
    "valid_until",
    "time_zone",
    "export.severity",
    "export.table_version",
    "supply.deliver_by",
    "supply.delivery",
)
# Numbers that say which one: the second is not twice the first.
_ORDINALS = ("option.rank", "price_book.version")
_CAUSES_MONEY = ("fx.rate", "terms.discount_fraction")
_SUMS = (
    "totals.one_time.net_amount",
    "totals.recurring.net_amount",
    "totals.subtotal",
    "totals.charges_amount",
    "totals.total",
    "tco.total",
)


def revision_of(snapshot: Mapping[str, Any]) -> Revision:
    """What is compared of a revision, from the JSON that `QuoteDocumentSchema` wrote."""
    return Revision(
        lines={line["id"]: _line(line) for line in snapshot["lines"]},
        causes={
            **{name: _at(snapshot, name) for name in _CAUSES},
            **{name: _ordinal(_at(snapshot, name)) for name in _ORDINALS},
            **{name: _money(_at(snapshot, name)) for name in _CAUSES_MONEY},
        },
        sums={name: _money(_at(snapshot, name)) for name in _SUMS},
    )


def _line(line: Mapping[str, Any]) -> Compared:
    return {
        **{name: line[name] for name in (*_LINE, *_LINE_NUMBERS)},
        **{name: _money(line[name]) for name in _LINE_MONEY},
    }


def _at(snapshot: Mapping[str, Any], path: str) -> Any:
    found: Any = snapshot
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _ordinal(value: int | None) -> str | None:
    return None if value is None else str(value)


def _money(value: Any) -> Decimal | None:
    return None if value is None else Decimal(value)


class NamedChangeSchema(ChangeSchema):
    """A quantity of a quote that differs."""

    name = text("What people call it.")


class LineChangeSchema(WordedSchema):
    """One line that is not the same."""

    line = text("Id of the line.")
    name = text("What the line is called.")
    fate = fields.Enum(LineFate, by_value=True, required=True, metadata={"description": "What became of it."})
    changes = many(NamedChangeSchema, "What differs.")


class RevisionDifferenceSchema(WordedSchema):
    """What changed from one revision to the next, and why."""

    causes = many(NamedChangeSchema, "Versions, option, prices, terms and screening that differ.")
    lines = many(LineChangeSchema, "Line by line.")
    sums = many(NamedChangeSchema, "What it comes to.")
