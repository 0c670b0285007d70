"""The columns of a quote's lines, as its table files have them."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.documents.order import ordered_lines

Value = str | Decimal | int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A heading, and the member of a line that stands below it; `number` columns are computed with."""

    heading: str
    member: str
    number: bool = False

    def of(self, line: Mapping[str, Any]) -> Value:
        """The value of a line: a number, a text, or None where there is none."""
        value = line[self.member]
        if value is None:
            return None
        if isinstance(value, list | tuple):
            return "; ".join(value)
        if isinstance(value, bool):
            return "yes" if value else "no"
        return Decimal(str(value)) if self.number else str(value)


COLUMNS = (
    Column(heading="No.", member="number", number=True),
    Column(heading="Line", member="id"),
    Column(heading="Part", member="part"),
    Column(heading="Name", member="name"),
    Column(heading="SKU", member="sku"),
    Column(heading="SKU known", member="orderable"),
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
    Column(heading="Lead time (weeks)", member="lead_time_weeks", number=True),
)


def rows_of(quote: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines in the order of every document, each with its number and what is known of its lead time."""
    weeks = {part["part"]: part["weeks"] for part in quote["supply"]["parts"]}
    return [
        {**line, "number": number, "lead_time_weeks": weeks.get(line["part"])} for number, line in ordered_lines(quote)
    ]
