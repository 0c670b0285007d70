"""The order and the numbers of a quote's lines, the same in every document: what is paid once, then by the year."""

from collections.abc import Mapping
from typing import Any

_YEARLY = "yearly"


def ordered_lines(quote: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """Every line with its number, from 1."""
    lines = sorted(quote["lines"], key=lambda line: line["charge"] == _YEARLY)
    return list(enumerate(lines, start=1))
