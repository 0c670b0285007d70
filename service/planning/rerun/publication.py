"""When a measured run was published, as far as its source tells."""

import re

_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])", re.ASCII)
_YEAR = re.compile(r"20\d\d", re.ASCII)


def month_of(published: str | None) -> str | None:
    """Month of publication as YYYY-MM; the middle of the year where only that can be read, None where nothing can."""
    if published is None or _MONTH.fullmatch(published):
        return published
    year = _YEAR.match(published)
    return f"{year[0]}-06" if year else None
