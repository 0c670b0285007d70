"""Countries as people call them: a form shows and takes their names, a request has their codes."""

import functools
from collections.abc import Mapping

from babel import Locale

from service.schemas.country import COUNTRIES

_LOCALE = "en_GB"


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
    """The code of a country that was typed by its name or its code; anything else stays as it is."""
    return _codes().get(text.strip().casefold(), text)


@functools.cache
def _codes() -> Mapping[str, str]:
    return {name.casefold(): code for code, name in country_names().items()} | {
        code.casefold(): code for code in COUNTRIES
    }
