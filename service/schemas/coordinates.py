"""Where a published run stands among all of them: the words that tables of errors are grouped and filtered by."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

# The first that a line has: the kinds name the same thing differently.
_PLACES: dict[str, tuple[str, ...]] = {
    "kind": ("kind",),
    "source": ("source",),
    "model": ("workload.application", "workload.model"),
    "gpu": ("deployment.gpu",),
    "precision": ("workload.weight_precision", "workload.precision"),
    "mode": ("deployment.mode", "workload.method", "workload.stage"),
}
NAMES = tuple(_PLACES)
"""What a table may be grouped by, beside any dotted key of a line."""
UNKNOWN = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Coordinates:
    """`model` is the application of a scientific job, `mode` the serving mode, the training method or the stage."""

    kind: str
    source: str
    model: str
    gpu: str
    precision: str
    mode: str

    @property
    def group(self) -> tuple[str, ...]:
        """Runs of one group are variations of one experiment."""
        return astuple(self)


def coordinates(line: Mapping[str, Any]) -> Coordinates:
    """The coordinates of a line; a dash for what it does not say."""
    return Coordinates(**{name: word(line, name) for name in NAMES})


def word(line: Mapping[str, Any], name: str) -> str:
    """A coordinate, or the value under a dotted key, as text: `true`, `4`, `validation`; a dash where there is none."""
    for place in _PLACES.get(name, (name,)):
        value = value_at(line, place)
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int | float | str):
            return f"{value:g}" if isinstance(value, float) else str(value)
    return UNKNOWN


def value_at(line: Any, dotted: str) -> Any:
    """What stands under a dotted key; None where nothing does."""
    for part in dotted.split("."):
        # What JSON makes is a dict, and asking for any Mapping takes most of the time of thousands of lines.
        line = line.get(part) if isinstance(line, dict) else None
    return line
