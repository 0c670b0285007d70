"""The order and the numbers of a quote's lines, the same in every document: what is paid once, then by the year."""

from collections.abc import Mapping
from typing import Any

_YEARLY = "yearly"


def names_of(quote: Mapping[str, Any]) -> dict[str, str]:
    """What people call each part of a quote, by its id."""
    return {line["part"]: line["name"] for line in reversed(quote["lines"])}


def ordered_lines(quote: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """Every line with its number, from 1."""
    lines = sorted(quote["lines"], key=lambda line: line["charge"] == _YEARLY)
    return list(enumerate(lines, start=1))
