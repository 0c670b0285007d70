"""Countries as people call them: a form shows and takes their names, a request has their codes."""

import functools
from collections.abc import Mapping

from babel import Locale

from service.schemas.country import COUNTRIES
from service.schemas.issue import nearest

_LOCALE = "en_GB"
# Whose names of countries are understood too; their data are read when somebody types a name that is not English.
_LANGUAGES = ("de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "nb", "fi", "cs", "tr", "ja", "zh")
_SUGGESTED = 3
_CODE_LETTERS = 2


@functools.cache
def country_names() -> Mapping[str, str]:
    """The name of each country by its two-letter code, in the order of the names."""
    territories = Locale.parse(_LOCALE).territories
    named = {code: str(territories.get(code, code)) for code in COUNTRIES}
    return dict(sorted(named.items(), key=lambda pair: pair[1]))


def country_name(code: str) -> str:
    """What people call the country of a code; whatever is no code stays as it is."""
    return country_names().get(code.upper(), code)


def country_code(text: str) -> str:
    """The code of a country that was typed by its name, in English or another language, or its code; else the text."""
    typed = text.strip().casefold()
    if not typed or typed in _codes():
        return _codes().get(typed, text)
    return _other_names().get(typed, text)


def near_countries(text: str) -> tuple[str, ...]:
    """The names of the countries that were probably meant, best first."""
    known = [*_codes(), *_other_names()] if len(text.strip()) > _CODE_LETTERS else []
    codes = (country_code(name) for name in nearest(text, known, count=_SUGGESTED * len(_LANGUAGES)))
    return tuple(country_name(code) for code in dict.fromkeys(codes))[:_SUGGESTED]


@functools.cache
def _codes() -> Mapping[str, str]:
    return {name.casefold(): code for code, name in country_names().items()} | {
        code.casefold(): code for code in COUNTRIES
    }


@functools.cache
def _other_names() -> Mapping[str, str]:
    """Codes by the names of other languages; a name that two countries have, as Congo, is nobody's."""
    found: dict[str, set[str]] = {}
    for language in _LANGUAGES:
        for code, name in Locale.parse(language).territories.items():
            if code in COUNTRIES:
                found.setdefault(str(name).casefold(), set()).add(code)
    return {name: min(codes) for name, codes in found.items() if len(codes) == 1 and name not in _codes()}
