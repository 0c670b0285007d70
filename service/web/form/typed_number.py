"""Numbers as people type them: 1,000 and 1 000 and 2.5k, 12.5 % and, as on most of the continent, 12,5 %."""

import math
import re
from decimal import Decimal

_BETWEEN = re.compile(r"[\s_'\u2019]")
_DIGITS = r"[+-]?(?:{})(?:[eE][+-]?\d+)?"
_GROUPED = re.compile(_DIGITS.format(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?"), re.ASCII)
_WITH_COMMA = re.compile(_DIGITS.format(r"(?:\d+|[1-9]\d{0,2}(?:\.\d{3})+),\d+"), re.ASCII)
_PLAIN = re.compile(_DIGITS.format(r"\d+\.?\d*|\.\d+"), re.ASCII)
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)
# Behind three decimals a zero says that they are decimals, and no more.
_ZEROS = re.compile(r"(\.\d{3}\d*?)0+$")
_TO = re.compile(r"\s+to\s+|\s*(?:\u2013|;|\.{2,3}|\u2026)\s*|(?<=[\d%\s])\s*-\s*")
_SCALES = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12, "%": 0.01}


def number(text: str) -> float | str:
    """1,000, 2.5k, 2,5 and 30 % as numbers; whatever else was typed stays as it is, to be told what is wrong.

    A comma before three digits groups thousands, any other one is that of a decimal.
    """
    typed = text.strip()
    scale = _SCALES.get(typed[-1:])
    digits = _plain(typed[:-1] if scale else typed)
    if digits is None:
        return text
    # 0.1 and not 0.1000000001, where a scale was typed.
    value = float(f"{float(digits) * (scale or 1.0):.12g}")
    return value if math.isfinite(value) else text


def exact(text: str) -> str:
    """12.5 % and 12,5 % and 1,234.50 as decimal strings; whatever else was typed stays as it is.

    So does a comma before three digits: of a rate or a price a thousandth is as likely as its thousandfold.
    """
    typed = text.strip()
    share = typed.endswith("%")
    bare = typed.removesuffix("%")
    digits = None if "," in bare and either(bare) else _plain(bare)
    # A power of ten written out could be longer than any memory.
    if digits is None or "e" in digits.lower():
        return text
    return _ZEROS.sub(r"\1", format(Decimal(digits) / 100 if share else Decimal(digits), "f"))


def percents(text: str) -> str:
    """12.5 and 12.5 % as the decimal string 0.125; whatever else was typed stays as it is."""
    typed = f"{text.strip().removesuffix('%')}%"
    found = exact(typed)
    return text if found == typed else found


def either(text: str) -> tuple[str, str] | None:
    """The two numbers that may be meant where a comma or a dot stands before three digits; None where it is clear.

    Each is spelled as nothing else can be read: 1.250 is 1250 or 1.25, and 1.085 is 1085 or 1.0850.
    """
    typed = text.strip()
    if _EITHER.fullmatch(typed) is None:
        return None
    whole, decimals = typed.replace(",", ".").split(".")
    left = decimals.rstrip("0")
    return f"{whole}{decimals}", f"{whole}.{left}{'0' if len(left) == len(decimals) else ''}".rstrip(".")


def unmistakable(text: str) -> str:
    """A number with a point for its decimals, spelled so that nobody takes the point for one of thousands."""
    found = either(text)
    return text if found is None else found[1]


def fraction(text: str) -> str | None:
    """Of 0.15 the share that it may be in place of 0.15 %, as a percentage; None where no such doubt is left."""
    found = exact(text)
    if text.strip().endswith("%") or found == "" or _PLAIN.fullmatch(found) is None:
        return None
    return percentage(found) if 0 < Decimal(found) < 1 else None


def ends(text: str) -> tuple[str, str] | None:
    """The two ends of 0.1 to 0.3, of 10-30 % and of 0,1 ... 0,3, each as it was typed; None for whatever is no pair."""
    found = [part.strip() for part in _TO.split(text.strip())]
    return (found[0], found[1]) if len(found) == 2 and all(found) else None


def percentage(text: str) -> str:
    """A share that is kept as a decimal string, as people write it: 0.125 is 12.5 %."""
    return f"{(Decimal(text) * 100).normalize():f} %" if text else text


def _plain(text: str) -> str | None:
    """Digits with a point and nothing between them; None where it is no number."""
    bare = _BETWEEN.sub("", text)
    if _PLAIN.fullmatch(bare):
        return bare
    if _GROUPED.fullmatch(bare):
        return bare.replace(",", "")
    if _WITH_COMMA.fullmatch(bare):
        return bare.replace(".", "").replace(",", ".")
    return None
