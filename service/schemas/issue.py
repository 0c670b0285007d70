"""What is wrong with one field: a message that also carries the value, the limit and the nearest known names."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self

from service.errors import FieldError

MAX_ISSUES = 50
"""A body can be wrong in a hundred thousand places; nobody reads more than this many."""

_SHOWN_CHARACTERS = 80
_SCHEMA_KEY = "_schema"
_WORDS = re.compile(r"[^\s_./-]+")
_VENDOR_WORDS = frozenset({"dell", "nvidia", "poweredge"})


class Issue(str):
    """A message for marshmallow, which only asks that it be a string, with what a caller needs to correct it."""

    __slots__ = ("did_you_mean", "limit", "value")

    value: str | None
    limit: str | None
    did_you_mean: tuple[str, ...]

    def __new__(
        cls, message: str, *, value: Any = None, limit: str | None = None, did_you_mean: Sequence[str] = ()
    ) -> Self:
        """The message and its extras; a value that is not a scalar is not repeated."""
        self = super().__new__(cls, message)
        self.value = shown(int(value) if isinstance(value, float) and value.is_integer() else value)
        self.limit = limit
        self.did_you_mean = tuple(did_you_mean)
        return self


def shown(value: Any) -> str | None:
    """A scalar as a caller would recognise it, cut short; None for anything else."""
    if value is None or isinstance(value, Mapping | list | tuple):
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 10**30:
        return "an integer of more than 30 digits"
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


def nearest(name: str, known: Iterable[str], *, count: int = 3) -> tuple[str, ...]:
    """The known names that were probably meant, best first; a name that only begins with a better one is left out."""
    if len(name) > _SHOWN_CHARACTERS:
        return ()
    # Who types nothing but a vendor's word means what bears it.
    spell = _bare if _bare(name) else _joined
    typed = spell(name)
    spelled: dict[str, str] = {}
    for candidate in known:
        spelled.setdefault(spell(candidate), candidate)
    # Who types `b200` has left something out, not mistyped `gb200`.
    begun = sorted((c for c in spelled if len(typed) > 1 and c.startswith(typed)), key=lambda c: (len(c), c))
    close = difflib.get_close_matches(typed, spelled, n=max(1, len(spelled)), cutoff=0.6)
    chosen: list[str] = []
    for match in dict.fromkeys([*begun, *close]):
        if not any(spelled[match].startswith(f"{better}-") for better in chosen):
            chosen.append(spelled[match])
    return tuple(chosen[:count])


def _joined(name: str) -> str:
    """A name without case, blanks, dashes and their like."""
    return "".join(_WORDS.findall(name.lower()))


def _bare(name: str) -> str:
    """The same without the words that say whose product it is; many leave them out, and many add them."""
    return "".join(word for word in _WORDS.findall(name.lower()) if word not in _VENDOR_WORDS)


def field_errors(messages: Any, *, prefix: str = "") -> tuple[FieldError, ...]:
    """The nested messages of marshmallow as a flat list of dotted fields, at most MAX_ISSUES of them."""
    found: list[FieldError] = []
    for error in _walk(messages, prefix):
        found.append(error)
        if len(found) >= MAX_ISSUES:
            break
    return tuple(found)


def _walk(messages: Any, path: str) -> Iterator[FieldError]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            name = path if key == _SCHEMA_KEY else f"{path}.{key}" if path else str(key)
            yield from _walk(inner, name)
    elif isinstance(messages, str):
        yield _field_error(messages, path)
    elif isinstance(messages, Iterable):
        for inner in messages:
            yield from _walk(inner, path)


def _field_error(message: str, path: str) -> FieldError:
    field = path if len(path) <= 200 else path[:197] + "..."
    if isinstance(message, Issue):
        return FieldError(
            field=field,
            message=str(message),
            value=message.value,
            limit=message.limit,
            did_you_mean=message.did_you_mean,
        )
    return FieldError(field=field, message=str(message))
