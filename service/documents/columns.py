"""The columns of a quote's lines, as its table files have them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.documents.inert import inert

Value = str | Decimal | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading, and the member of a line that stands below it; `number` columns are computed with."""

    heading: str
    member: str
    number: bool = False

    def of(self, line: Mapping[str, Any]) -> Value:
        """The value of a line: a number, text that nobody computes, or None where there is none."""
        value = line[self.member]
        if value is None:
            return None
        if isinstance(value, list | tuple):
            return inert("; ".join(value))
        if isinstance(value, bool):
            return "yes" if value else "no"
        return Decimal(str(value)) if self.number else inert(str(value))


COLUMNS = (
    Column(heading="Line", member="id"),
    Column(heading="Part", member="part"),
    Column(heading="Name", member="name"),
    Column(heading="SKU", member="sku"),
    Column(heading="Orderable", member="orderable"),
    Column(heading="Configuration", member="configuration"),
    Column(heading="How counted", member="why"),
    Column(heading="Charge", member="charge"),
    Column(heading="Quantity", member="quantity", number=True),
    Column(heading="Unit", member="unit"),
    Column(heading="Months", member="months", number=True),
    Column(heading="Included", member="included_quantity", number=True),
    Column(heading="List price", member="unit_list", number=True),
    Column(heading="Discount", member="discount_fraction", number=True),
    Column(heading="List amount", member="extended_list", number=True),
    Column(heading="Discount amount", member="extended_discount", number=True),
    Column(heading="Net amount", member="extended_net", number=True),
)
