"""Canonical JSON and its SHA-256: the identity of a sizing question."""

import hashlib
import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import orjson

from service.schemas.workload import QUESTION
from service.sizing.workload import Question

_INT64 = 2**63
_AS_IT_IS = frozenset({str, bool, type(None)})


def canonical_json(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces, and one form for a number: 1e3, 1000.0 and 1000 are all `1000`."""
    return sorted_json(canonical(value))


def sorted_json(value: Any) -> bytes:
    """The same of what is made of canonical parts."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def sha256_digest(value: Any) -> str:
    """`sha256:` and the hexadecimal SHA-256 of the canonical JSON."""
    return f"sha256:{hashlib.sha256(canonical_json(value)).hexdigest()}"


def question_digest(
    question: Question,
    *,
    catalog_version: str,
    calibration_version: str,
    engine_version: str,
    price_book_digest: str | None = None,
) -> str:
    """Identity of a question under these versions; with a price book when the answer is ranked by its prices."""
    return sha256_digest(
        {
            "question": QUESTION.dump(question),
            "catalog_version": catalog_version,
            "calibration_version": calibration_version,
            "engine_version": engine_version,
            "price_book_digest": price_book_digest,
        }
    )


def canonical(value: Any) -> Any:
    """What JSON is made of, each number in its one form; ValueError where it has none."""
    # Nearly everything is one of these, and their exact type is quicker to see than what they are a kind of.
    kind = value.__class__
    if kind in _AS_IT_IS:
        return value
    if kind is dict:
        return {name if name.__class__ is str else str(name): canonical(inner) for name, inner in value.items()}
    return _of_other_kind(value)


def _of_other_kind(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [canonical(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int | float):
        return canonical_number(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def canonical_number(value: float) -> int | float:
    """The one form of a number; ValueError where it has none."""
    if not math.isfinite(value):
        raise ValueError(f"{value} has no canonical JSON")
    if value == int(value):
        # Above 2^63 every float is whole; there the shortest float form is the one form.
        return int(value) if abs(value) < _INT64 else float(value)
    return value
