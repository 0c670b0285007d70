"""What one line came to: the objects that --json writes, and what the tables count."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import numpy as np
import orjson

from scripts.validation.lines import Line
from service.catalog.catalog import Catalog
from service.planning.accuracy import Prediction, predict
from service.schemas.coordinates import coordinates, word
from service.schemas.evidence import read_measured, unparsable
from service.schemas.measured import MeasuredRun, Refused, RefusedLine

_DIGITS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class LineResult:
    """One line that was chosen. `ran` is False where it ran out of memory; `trouble` is a fault of the engine."""

    kind: str
    group: tuple[str, ...]
    by: tuple[str, ...]
    ran: bool
    objects: tuple[dict[str, Any], ...]
    trouble: str | None = None

    @property
    def refused(self) -> str | None:
        """The first reason, where any of its metrics has none of an answer."""
        return next((found["refused"] for found in self.objects if found["refused"]), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which lines are looked at, and what the tables are split by."""

    where: tuple[tuple[str, str], ...] = ()
    by: tuple[str, ...] = ()

    def holds(self, line: Mapping[str, Any]) -> bool:
        """Whether every condition holds."""
        return all(word(line, name) == value for name, value in self.where)


def result_of(catalog: Catalog, line: Line, choice: Choice) -> LineResult | None:
    """The result of a line; None where a condition leaves it out. What is no JSON cannot be left out."""
    try:
        raw = orjson.loads(line.content)
    except orjson.JSONDecodeError:
        raw = None
    if not isinstance(raw, dict):
        return _result({}, unparsable(), _predictions_of_nothing(), line=line, choice=choice)
    if not choice.holds(raw):
        return None
    run = read_measured(raw)
    trouble = None
    try:
        # An absurd line overflows on its way to a refusal; that is no news for whoever reads the terminal.
        with np.errstate(all="ignore"):
            predictions = predict(catalog, run)
    except Exception as error:  # noqa: BLE001 - one line must never stop the thousands behind it
        trouble = f"{run.id or f'line {line.number}'}: {type(error).__name__}: {error}"
        predictions = tuple(Prediction(metric=str(name), refused=Refused.UNSUPPORTED_METRIC) for name in run.measured)
    return _result(raw, run, predictions, line=line, choice=choice, trouble=trouble)


def _predictions_of_nothing() -> tuple[Prediction, ...]:
    return (Prediction(metric=None, refused=Refused.UNPARSABLE),)


def _result(
    raw: Mapping[str, Any],
    run: MeasuredRun | RefusedLine,
    predictions: tuple[Prediction, ...],
    *,
    line: Line,
    choice: Choice,
    trouble: str | None = None,
) -> LineResult:
    found = coordinates(raw)
    return LineResult(
        kind=found.kind,
        group=found.group,
        by=tuple(word(raw, name) for name in choice.by),
        ran=raw.get("fits") is not False,
        objects=tuple(_object(found.kind, run, prediction, number=line.number) for prediction in predictions),
        trouble=trouble,
    )


def _object(kind: str, run: MeasuredRun | RefusedLine, prediction: Prediction, *, number: int) -> dict[str, Any]:
    interval = prediction.interval
    quantiles = (None, None, None) if interval is None else (interval.p10, interval.p50, interval.p90)
    written = {
        "id": run.id,
        "kind": None if isinstance(run, RefusedLine) and run.kind is None else kind,
        "metric": prediction.metric,
        "measured": None if prediction.metric is None else run.measured[prediction.metric],
        **dict(zip(("p10", "p50", "p90"), map(_rounded, quantiles), strict=True)),
        "basis": prediction.basis,
        "fits": prediction.fits,
        "refused": prediction.refused,
        "assumed": list(prediction.assumed),
    }
    return written if run.id is not None else {**written, "line": number}


def _rounded(value: float | None) -> float | None:
    """Five significant digits: more would be noise, and a long file."""
    if value is None or value == 0.0:
        return value
    return round(value, _DIGITS - 1 - floor(log10(abs(value))))
