"""Where a published run can be read: the address in its reference, or the file of the repository that it names."""

import re

_HOST = re.compile(r"(?:https?://)?((?:[\w-]+\.)+[a-z]{2,}/[^\s;,)]+)")
_REPOSITORY = re.compile(
    r"(?P<repository>[\w-]+/[\w.-]*\w)"
    r"(?:@(?P<at>[\w.]+))?"
    r"(?:(?::\s*|\s+)(?P<path>\w[\w./+-]*))?"
    r"(?:\s?@(?P<later>[\w.]*\w))?"
)
_SHORTENED = "..."


def source_link(reference: str | None) -> str | None:
    """The address behind a reference as evidence writes it; None where it names none."""
    said = (reference or "").strip()
    host = _HOST.match(said)
    if host is not None:
        return None if host[1].endswith(_SHORTENED) else f"https://{host[1]}"
    named = _REPOSITORY.match(said)
    if named is None:
        return None
    place = f"https://github.com/{named['repository']}"
    path, at = named["path"], named["at"] or named["later"]
    if path is None or not ("/" in path or "." in path):
        return f"{place}/tree/{at}" if at else place
    return f"{place}/blob/{at or 'HEAD'}/{path}"
