"""Price books of tenants on the wire: uploaded whole, as JSON or as a table, and read again with their state."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validates_schema

from service.quoting.prices import PartKind
from service.schemas.constraints import DayField
from service.schemas.currency import CurrencyField
from service.schemas.issue import Issue
from service.schemas.plain import DecimalText, count, decimal, flag, many, text, texts
from service.schemas.run import PageSchema, moment
from service.schemas.strict import Choice, Count, Flag, RecordSchema, Text
from service.schemas.words import WordedSchema

MOST_LINES = 5000
LONGEST_LEAD_WEEKS = 260
STATES = ("uploaded", "scheduled", "in_force", "replaced", "expired")
_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLine:
    """The price of one part per unit; None is a part without a price, never zero."""

    part: str
    kind: PartKind
    unit: str
    list_price: Decimal | None
    sku: str | None
    lead_time_weeks: int | None
    note: str
    # The row of the table that it stands in, as a spreadsheet counts them; None in JSON.
    row: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceBookRequest:
    """A price book as it is uploaded; days are ISO dates."""

    name: str
    currency: str
    date: str
    expires_on: str | None
    indicative: bool
    note: str
    lines: tuple[BookLine, ...]


Judge = Callable[[BookLine], Mapping[str, list[Issue]]]
"""What is wrong with a line whose form is right, by field."""


class UnitPrice(DecimalText):
    """A positive amount as a decimal string with at most four decimals, kept as Decimal; never a float."""

    pattern = r"^\d{1,13}(\.\d{1,4})?$"
    limit = 'more than 0, at most 9999999999999.9999, as a string such as "18250.00"; an unknown price is null'
    _SHAPE = re.compile(pattern, re.ASCII)

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": what, "pattern": self.pattern, "examples": ["18250.00"]}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError(Issue("Money is written as a decimal string.", value=value, limit=self.limit))
        if not self._SHAPE.fullmatch(value) or not Decimal(value):
            raise ValidationError(Issue(f"Must be {self.limit}.", value=value, limit=self.limit))
        return Decimal(value)


class BookLineSchema(RecordSchema):
    """One part of a price book."""

    record: ClassVar[type] = BookLine

    part = Text("Id of the server, switch or other part, as the bill of materials names it.", longest=80, required=True)
    kind = Choice("What the price is for.", PartKind, required=True)
    unit = Text(
        "What one of it is, as bills of materials count it (GPU-year, server-year); or piece, of what is paid once.",
        longest=40,
        required=True,
    )
    list_price = UnitPrice(
        "List price of one unit, in the currency of the book; null where there is none.", **_OPTIONAL
    )
    sku = Text("What the part is ordered by.", longest=80, **_OPTIONAL)
    lead_time_weeks = Count(
        "Weeks from the order to the delivery, as of the date of the book.", low=0, high=LONGEST_LEAD_WEEKS, **_OPTIONAL
    )
    note = Text("What to know about it.", longest=400, shortest=0, load_default="")


class TableLines(list[Any]):
    """Lines of a table, each with the row that it stands in; `wrong` is what makes no line at all, by its place."""

    def __init__(self, lines: Iterable[Any], rows: Iterable[int], wrong: Mapping[int, str]) -> None:
        super().__init__(lines)
        self.rows = tuple(rows)
        self.wrong = wrong


class LinesField(fields.List[Any]):
    """The lines of a book, each part once."""

    limit = f"1 to {MOST_LINES} lines"

    def __init__(self) -> None:
        super().__init__(
            fields.Nested(BookLineSchema),
            required=True,
            metadata={"description": "Each part once.", "minItems": 1, "maxItems": MOST_LINES},
        )

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list):
            raise ValidationError(Issue("Must be a list of lines.", value=value, limit=self.limit))
        if not 1 <= len(value) <= MOST_LINES:
            raise ValidationError(Issue(f"Must hold {self.limit}; this holds {len(value)}.", limit=self.limit))
        rows: tuple[int | None, ...] = value.rows if isinstance(value, TableLines) else (None,) * len(value)
        wrong = _stand_twice(value, rows)
        loaded: list[Any] = []
        judge = getattr(self.parent, "judge", _as_it_is)()
        for place, line in enumerate(value):
            unread = getattr(value, "wrong", {}).get(place)
            found, messages = (None, {"_schema": [unread]}) if unread else self._read(line, judge)
            if messages:
                wrong[place] = {**wrong.get(place, {}), **messages}
            loaded.append(found)
        if wrong:
            raise ValidationError({place: _in_row(rows[place], wrong[place]) for place in sorted(wrong)})
        return tuple(replace(line, row=row) for line, row in zip(loaded, rows, strict=True))

    def _read(self, line: Any, judge: Judge) -> tuple[Any, Mapping[str, Any]]:
        """The line, and what is wrong with it: with its form, else with what it says."""
        try:
            found = self.inner.deserialize(line)
        except ValidationError as error:
            messages = error.messages
            return None, messages if isinstance(messages, dict) else {"_schema": messages}
        return found, judge(found)


def _as_it_is() -> Judge:
    return lambda _: {}


def _stand_twice(lines: list[Any], rows: tuple[int | None, ...]) -> dict[int, Any]:
    first: dict[str, int] = {}
    twice: dict[int, Any] = {}
    for place, line in enumerate(lines):
        part = line.get("part") if isinstance(line, Mapping) else None
        before = first.setdefault(part, place) if isinstance(part, str) else place
        if before != place:
            where = f"lines.{before}" if rows[before] is None else f"row {rows[before]}"
            twice[place] = {"part": [Issue(f"Stands twice; a part has one price, and {where} has it.", value=part)]}
    return twice


def _in_row(row: int | None, messages: Any) -> Any:
    """The messages of a line; those of a table say the row, as whoever looks at it counts."""
    if row is None:
        return messages
    if isinstance(messages, Mapping):
        return {name: _in_row(row, inner) for name, inner in messages.items()}
    if isinstance(messages, str):
        told = _of_cell(messages)
        return Issue(
            in_row(row, told),
            value=getattr(told, "value", None),
            limit=getattr(told, "limit", None),
            did_you_mean=getattr(told, "did_you_mean", ()),
        )
    return [_in_row(row, inner) for inner in messages]


def _of_cell(message: str) -> str:
    """What a price must look like in a table, which knows neither quotes nor null."""
    if getattr(message, "limit", None) != UnitPrice.limit:
        return message
    return Issue(f"Must be {_PRICE_CELL}.", value=getattr(message, "value", None), limit=_PRICE_CELL)


_PRICE_CELL = (
    "more than 0, in digits with a dot before cents, without currency sign or thousands separator, such as 18250.00; "
    "leave it empty where the price is not known"
)


def in_row(row: int | None, message: str) -> str:
    """The message with the row of the table that it is about."""
    return message if row is None else f"Row {row} of the table: {message}"


class PriceBookRequestSchema(RecordSchema):
    """A price book: all of it, or nothing is stored."""

    record: ClassVar[type] = PriceBookRequest

    name = Text("Name of the book; uploaded again, it makes the next version.", longest=100, required=True)
    currency = CurrencyField("Currency of every price in it.", required=True)
    date = DayField("As of which day its prices and lead times are.", required=True)
    expires_on = DayField("The last day on which it prices anything; null for no end.", **_OPTIONAL)
    indicative = Flag(
        "Whether its prices are orders of magnitude: everything priced from it says so, and no quote can be issued.",
        load_default=False,
    )
    note = Text("What to know about it.", longest=400, shortest=0, load_default="")
    lines = LinesField()

    def judge(self) -> Judge:
        """What is wrong with lines whose form is right: nothing, where nobody says what bills of materials ask for."""
        return _as_it_is()

    @validates_schema(skip_on_field_errors=True)
    def _ends_after_it_begins(self, data: dict[str, Any], **_: Any) -> None:
        if data["expires_on"] is not None and data["expires_on"] < data["date"]:
            message = Issue(f"Must not be before the date of the book, {data['date']}.", value=data["expires_on"])
            raise ValidationError({"expires_on": [message]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Activation:
    """From which day a book is in force."""

    effective_from: str


class ActivationSchema(RecordSchema):
    """Puts a price book in force."""

    record: ClassVar[type] = Activation

    effective_from = DayField("The first day (in UTC) on which it prices quotes, today or later.", required=True)


class PriceBookSchema(WordedSchema):
    """A version of a price book without its lines."""

    id = text("Id of this version.")
    name = text("Name of the book.")
    version = count("1 is the first upload of that name.")
    state = fields.String(
        required=True,
        metadata={
            "description": "uploaded until it is activated; scheduled until its first day; in_force while quotes in "
            "its currency are priced from it; replaced when another one is in force since; expired after its last day.",
            "enum": list(STATES),
        },
    )
    currency = text("Currency of every price.")
    date = text("As of which day the prices are.")
    expires_on = text("The last day on which it prices anything.", allow_none=True)
    effective_from = text("The first day on which it prices quotes; null until it is activated.", allow_none=True)
    indicative = flag("Whether its prices are orders of magnitude, from which no quote is issued.")
    note = text("What to know about it.")
    line_count = count("How many parts it lists.")
    without_price = count("How many of them have no price.")
    digest = text("Identity of what it says of prices.")
    used = flag("Whether a quote was priced from it: then nothing about it changes any more.")
    principal = text("Who uploaded it.")
    created_at = moment("When it was uploaded.")
    activated_at = moment("When it was last activated.", allow_none=True)


class BookWarningSchema(WordedSchema):
    """A line that is stored, and that perhaps prices nothing."""

    line = count("Which of the lines, counted from 0.")
    row = count("The row of the table; null in a JSON body, and when the book is read again.", allow_none=True)
    part = text("Its part.")
    message = text("What is odd about it.")
    did_you_mean = texts("Parts that were perhaps meant.")


class UploadedPriceBookSchema(PriceBookSchema):
    """A version of a price book as it was just uploaded."""

    warnings = many(BookWarningSchema, "Lines that no bill of materials will ask for.")


class PricedPartSchema(WordedSchema):
    """One part of a price book."""

    part = text("Id of the part.")
    kind = text("What the price is for.")
    unit = text("What one of it is.")
    list_price = decimal("List price of one unit; null where there is none.", allow_none=True)
    sku = text("What the part is ordered by.", allow_none=True)
    lead_time_weeks = count("Weeks from the order to the delivery.", allow_none=True)
    note = text("What to know about it.")


class WholePriceBookSchema(UploadedPriceBookSchema):
    """A version of a price book with its lines."""

    lines = many(PricedPartSchema, "The parts, as they were uploaded.")


class PriceBookPageSchema(PageSchema):
    """Versions of price books, newest first, without their lines."""

    items = many(PriceBookSchema, "The versions of this page.")
