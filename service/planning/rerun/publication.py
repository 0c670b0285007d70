"""When a measured run was published, and from when its software is, as far as its source tells."""

import re
from collections.abc import Mapping

from service.sizing.calibration import Release
from service.sizing.workload import ServingEngine

_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])", re.ASCII)
_YEAR = re.compile(r"20\d\d", re.ASCII)
# A name on its own: what is built around an engine counts its versions otherwise.
_VERSION = re.compile(r"(?<![\w-])(vllm|sglang|trtllm|tensorrt-llm)\s+v?(\d+(?:\.\w+)+)", re.ASCII | re.IGNORECASE)
_NAMES = {"trtllm": ServingEngine.TENSORRT_LLM}
# The compiler itself, not the engine that is named after it and runs models in PyTorch since its release 1.0.
_COMPILER = re.compile(r"(?<![\w-])tensorrt\s+v?\d", re.ASCII | re.IGNORECASE)


def month_of(published: str | None, released: str | None = None) -> str | None:
    """Month of publication as YYYY-MM; the middle of the year where only that can be read, None where nothing can.

    The middle of what was left of the year where the model came out (YYYY-MM) after that: nobody ran it before.
    """
    if published is None or _MONTH.fullmatch(published):
        return published
    year = _YEAR.match(published)
    if year is None:
        return None
    middle = f"{year[0]}-06"
    if released is None or not middle < released[:7] <= f"{year[0]}-12":
        return middle
    return _middle(released[:7], f"{year[0]}-12")


def software_month(
    software: str | None, published: str | None, releases: Mapping[tuple[str, str], Release]
) -> str | None:
    """Month of the software: the middle of the months that it names, else when its version came out, if that is known.

    Nobody publishes what is not out yet, so never after the publication.
    """
    told = month_of(published)
    named = [found[0] for found in _MONTH.finditer(software or "")]
    month = _middle(named[0], named[-1]) if named else _released(software or "", releases)
    return told if month is None else min(month, told or month)


def is_compiled(software: str | None) -> bool:
    """Whether the software that was published is a compiler of engines: MLPerf's submissions name TensorRT."""
    return _COMPILER.search(software or "") is not None


def _released(software: str, releases: Mapping[tuple[str, str], Release]) -> str | None:
    """The most specific release that the version belongs to; 1.2.0rc2.post1 to 1.2.0rc2, 0.5.16 not to 0.5.1."""
    found = _VERSION.search(software)
    if found is None:
        return None
    name, version = found[1].lower(), found[2].lower()
    engine = _NAMES.get(name, name)
    belongs = [
        release
        for (of, prefix), release in releases.items()
        if of == engine and re.match(rf"{re.escape(prefix)}(?!\d)", version)
    ]
    return max(belongs, key=lambda release: len(release.version)).month if belongs else None


def _middle(first: str, last: str) -> str:
    months = [int(month[:4]) * 12 + int(month[5:]) - 1 for month in (first, last)]
    year, month = divmod(sum(months) // 2, 12)
    return f"{year}-{month + 1:02d}"
