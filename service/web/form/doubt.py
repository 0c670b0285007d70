"""Numbers that can be read in two ways: where the bounds of the field leave both, whoever typed it is asked."""

from collections.abc import Mapping

from service.errors import FieldError
from service.web.form.field import PERCENT, Form, FormField, Shape
from service.web.form.typed_number import either, ends, fraction

NUMBERS = frozenset({Shape.NUMBER, Shape.MONEY, Shape.EXACT, Shape.RANGE})
"""How numbers are typed in."""
# Pages write their own numbers as 1,250, so there a comma is that of thousands; a rate or a price may be either.
_COMMA_IS_CLEAR = frozenset({Shape.NUMBER, Shape.MONEY})


def unclear(form: Form, typed: Mapping[str, str]) -> tuple[FieldError, ...]:
    """What may be either of two numbers: 1.250, and 0.15 where percents are typed. Nobody but its author knows."""
    found = []
    for field in form.everything:
        text = typed.get(field.path, "").strip()
        if text and field.shape in NUMBERS:
            found += _doubt(field, text)
    return tuple(found)


def _doubt(field: FormField, text: str) -> list[FieldError]:
    parts = _parts(field, text)
    read = [_shares(part) if field.unit == PERCENT else _meant(field, part) for part in parts]
    if all(len(one) == 1 for one in read):
        return []
    near = (" to ".join(one[0] for one in read), " to ".join(one[-1] for one in read))
    way_out = ", or type it with its %" if field.unit == PERCENT else ""
    message = f"{text} may be {near[0]} or {near[1]}: choose one{way_out}."
    return [FieldError(field=field.path, message=message, value=text, did_you_mean=near)]


def _parts(field: FormField, text: str) -> tuple[str, ...]:
    return (ends(text) if field.shape is Shape.RANGE else None) or (text,)


def _shares(part: str) -> tuple[str, ...]:
    told, share = f"{part.removesuffix('%').strip()} %", fraction(part)
    return (told,) if share is None else (share, told)


def _meant(field: FormField, part: str) -> tuple[str, ...]:
    """The numbers that may be meant by it: one where the mark or the bounds of the field say which."""
    if field.dot_is_clear and "," not in part:
        return (part,)
    found = either(part.removeprefix("$"))
    if found is None or ("," in part and field.shape in _COMMA_IS_CLEAR and _within(field, found[0])):
        return (part,)
    return tuple(one for one in found if _within(field, one)) or found


def _within(field: FormField, number: str) -> bool:
    return field.bounds[0] <= float(number) <= field.bounds[1]


def settled(field: FormField, text: str) -> str:
    """A number as it is clear in this field: a PUE of 1.125 is no thousand, nor is a discount of 12,500 %."""
    if field.unit == PERCENT:
        bare = text.removesuffix("%").strip()
        meant = _meant(field, bare)
        return f"{meant[0]} %" if len(meant) == 1 and meant[0] != bare else text
    meant = _meant(field, text)
    return meant[0] if len(meant) == 1 else text


def with_doubts(errors: tuple[FieldError, ...], doubts: tuple[FieldError, ...]) -> tuple[FieldError, ...]:
    """What is wrong, with what is asked about: of such a number nothing else is told before it is known."""
    asked = {one.field for one in doubts}
    return (*doubts, *(one for one in errors if one.field not in asked))
