"""Text that a spreadsheet must not take for a formula (OWASP ASVS 5.0, 1.2.10)."""

import unicodedata

_STARTS = frozenset("=+-@\t\r\n|%;,'\"")


def inert(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet would compute it; wide forms of the signs count too."""
    plain = unicodedata.normalize("NFKC", text).lstrip()
    starts = text[:1] in _STARTS or plain[:1] in _STARTS
    return f"'{text}" if starts else text
