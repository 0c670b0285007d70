"""Of a quote's form what stands beside each line (how many, at which discount, of what) and each charge."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.quoting.terms import MOST_CHARGES
from service.web.form.field import PERCENT, FormField, Group, Shape
from service.web.form.quote import PREFIX
from service.web.form.typed_number import percentage, unmistakable

QUANTITIES, DISCOUNTS, CONFIGURATIONS = "quantities", "line_discounts", "configurations"
CHARGES = "charges"
_CHARGE = re.compile(rf"{PREFIX}\.{CHARGES}\.(\d{{1,3}})\.(?:name|amount)", re.ASCII)
# What a rule counts stands in the field until another number is typed.
_SHAPES = {
    QUANTITIES: (Shape.NUMBER, "Quantity", "How many, in place of the count; 0 takes the line out."),
    DISCOUNTS: (Shape.EXACT, "Discount", "Its own discount, in place of that of the quote."),
    CONFIGURATIONS: (Shape.TEXT, "Consists of", "What it consists of, in place of what the rules say."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFields:
    """The fields of one line of the quote."""

    quantity: FormField
    discount: FormField
    configuration: FormField


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeFields:
    """The fields of one charge beside the parts."""

    name: FormField
    amount: FormField


def line_fields(line_id: str) -> LineFields:
    """The fields of a line, by its id."""
    return LineFields(
        quantity=_field(QUANTITIES, line_id),
        discount=_field(DISCOUNTS, line_id),
        configuration=_field(CONFIGURATIONS, line_id),
    )


def _field(member: str, line_id: str) -> FormField:
    shape, label, what = _SHAPES[member]
    made = FormField(path=f"{PREFIX}.{member}.{line_id}", key=line_id, label=label, shape=shape, what=what)
    return replace(made, unit=PERCENT, bounds=(0.0, 100.0)) if member == DISCOUNTS else made


def charge_fields(typed: Mapping[str, str]) -> tuple[ChargeFields, ...]:
    """A row for each charge that was typed, and one to type the next into."""
    last = max(_rows(typed), default=-1)
    return tuple(_charge(row) for row in range(min(last + 2, MOST_CHARGES)))


def _charge(row: int) -> ChargeFields:
    path = f"{PREFIX}.{CHARGES}.{row}"
    return ChargeFields(
        name=FormField(path=f"{path}.name", label="What for", shape=Shape.TEXT, what="Such as freight."),
        amount=FormField(
            path=f"{path}.amount",
            label="Amount",
            shape=Shape.EXACT,
            what="Paid once, in the currency of the quote; no discount touches it.",
        ),
    )


def _rows(typed: Mapping[str, str]) -> list[int]:
    """The rows in which something stands."""
    found = {int(match[1]) for path, text in typed.items() if text.strip() and (match := _CHARGE.fullmatch(path))}
    return sorted(row for row in found if row < MOST_CHARGES)


def groups_beside(typed: Mapping[str, str]) -> tuple[Group, ...]:
    """The fields of lines and charges in which something stands, for whoever reads the form."""
    fields = []
    for path, text in typed.items():
        _, _, rest = path.partition(f"{PREFIX}.")
        member, _, line_id = rest.partition(".")
        if member in _SHAPES and line_id and text.strip():
            fields.append(_field(member, line_id))
    charges = [field for row in _rows(typed) for field in (_charge(row).name, _charge(row).amount)]
    return (Group(title="Lines", fields=tuple(fields)), Group(title="Other charges", fields=tuple(charges)))


def as_asked(body: dict[str, Any]) -> dict[str, Any]:
    """The body with its charges as the list that they are; rows that are empty are none."""
    rows = body.get(CHARGES)
    if isinstance(rows, Mapping):
        body[CHARGES] = [rows[row] for row in sorted(rows, key=int)]
    return body


def place_typed(field: str, typed: Mapping[str, str]) -> str:
    """Where in the form the charge of an error stands: rows that are empty were not sent."""
    head, _, rest = field.partition(f"{CHARGES}.")
    place, _, inner = rest.partition(".")
    rows = _rows(typed)
    if head or not place.isdecimal() or int(place) >= len(rows):
        return field
    return f"{CHARGES}.{rows[int(place)]}.{inner or 'name'}"


def typed_lines(asked: Mapping[str, Any]) -> dict[str, str]:
    """What would have to be typed beside lines and charges to ask this."""
    typed = {
        f"{PREFIX}.{member}.{line_id}": percentage(str(value)) if member == DISCOUNTS else str(value)
        for member in _SHAPES
        for line_id, value in (asked.get(member) or {}).items()
    }
    for row, charge in enumerate(asked.get(CHARGES) or ()):
        typed |= {f"{PREFIX}.{CHARGES}.{row}.{name}": _spelled(name, str(value)) for name, value in charge.items()}
    return typed


def _spelled(name: str, value: str) -> str:
    return unmistakable(value) if name == "amount" else value


def members_beside() -> Iterable[str]:
    """The members of a request that these fields stand for."""
    return (*_SHAPES, CHARGES)
