"""JSON texts as this service reads them: UTF-8, shallow, each key once, every number finite; else refused early."""

import json
import math
from typing import Any

import orjson

from service.errors import PlannerError

MAX_DEPTH = 64
MAX_MEMBERS = 10_000
# Each takes fifty times the memory of its two characters.
MAX_CONTAINERS = 100_000
# More would not fit into a floating-point number.
_MAX_DIGITS = 308


class MalformedBodyError(PlannerError):
    """The body is not JSON as this service reads it."""

    code = "malformed_body"


def parse_json(body: bytes) -> Any:
    """The value of a JSON text; MalformedBodyError says what is wrong with it."""
    if not body:
        raise MalformedBodyError("The body is empty; send a JSON object.")
    if (known := _plain(body)) is not None:
        return known
    containers = body.count(b"{") + body.count(b"[")
    if containers > MAX_CONTAINERS:
        raise MalformedBodyError(f"The body has more than {MAX_CONTAINERS} lists and objects.")
    try:
        value = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise MalformedBodyError(f"The body is not UTF-8: byte {error.start} cannot be read.") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise MalformedBodyError(f"The body is not JSON: {error.msg.removesuffix(' at')} at {where}.") from error
    except RecursionError as error:
        raise MalformedBodyError(_TOO_DEEP) from error
    # What is refused in there can only be written with an escape, or with a bracket for each level.
    if b"\\u" in body or containers > MAX_DEPTH:
        _check_nesting_and_text(value)
    return value


def _plain(body: bytes) -> Any:
    """The value of a body that has nothing to look twice at, in a fifth of the time; None for all others.

    Without escapes every string has two quotes, so as many of them in what was read as in the body mean that no key
    stood twice. orjson would make a rounded number of a long one.
    """
    if b"\\" in body or _LONG_NUMBER in body.translate(_DIGITS) or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        return None
    quotes = body.count(b'"')
    if quotes > MAX_MEMBERS:
        return None
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None  # said in our own words
    return value if orjson.dumps(value).count(b'"') == quotes else None


# Whatever the digits are; an expression would take six times as long.
_LONG_NUMBER = b"0" * 18
_DIGITS = bytes(ord("0") if chr(code) in "0123456789" else ord(" ") for code in range(256))
_TOO_DEEP = f"The body is nested more than {MAX_DEPTH} levels deep."


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_MEMBERS:
        raise MalformedBodyError(f"An object of the body has more than {MAX_MEMBERS} members.")
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise MalformedBodyError(f"The key {_quoted(key)} stands twice in one object.")
            seen.add(key)
    return members


def _quoted(key: str) -> str:
    return json.dumps(key if len(key) <= 60 else key[:57] + "...")


def _refuse_constant(name: str) -> Any:
    raise MalformedBodyError(f"{name} is not JSON; every number must be finite.")


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise MalformedBodyError(f"The number {text[:40]} is too large to be read.")
    return value


def _int(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise MalformedBodyError(f"A number of the body has more than {_MAX_DIGITS} digits.")
    return int(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_constant=_refuse_constant, parse_float=_float, parse_int=_int
)


def _check_nesting_and_text(value: Any) -> None:
    """Walks without recursion, so that no body can exhaust the stack."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    while waiting:
        node, depth = waiting.pop()
        if isinstance(node, str):
            _check_text(node)
        elif isinstance(node, dict | list):
            if depth > MAX_DEPTH:
                raise MalformedBodyError(_TOO_DEEP)
            if isinstance(node, dict):
                waiting.extend((key, depth) for key in node)
                waiting.extend((inner, depth + 1) for inner in node.values())
            else:
                waiting.extend((inner, depth + 1) for inner in node)


def _check_text(text: str) -> None:
    if "\x00" in text:
        raise MalformedBodyError("A string of the body contains the character NUL.")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise MalformedBodyError("A string of the body contains half of a surrogate pair.") from error
