"""How far predictions lie from measurements: by row, and by group, so that one long sweep is not a hundred voices."""

import math
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from service.sizing.interval import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One metric of one run, predicted and measured. `group`: source, model, GPU, precision and mode."""

    group: Hashable
    measured: float
    predicted: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Of `n` rows or groups: absolute error over measured, its 90th percentile, bias, share inside the interval.

    Bias is the median of predicted over measured, less one: positive where the engine promises too much of it.
    """

    n: int
    median_error_fraction: float
    p90_error_fraction: float
    bias_fraction: float
    inside_fraction: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """The same predictions, each row with one voice, and each group with one voice."""

    rows: Errors
    groups: Errors


def scorable(measured: object) -> TypeGuard[float]:
    """Whether there is something to compare: a positive number."""
    if isinstance(measured, bool) or not isinstance(measured, int | float):
        return False
    return math.isfinite(measured) and measured > 0.0


def score(points: Iterable[Scored]) -> Score | None:
    """Errors by row and by group; None without any point. A group's error is the median of its rows' errors."""
    groups: dict[Hashable, list[tuple[float, float]]] = {}
    for point in points:
        signed = point.predicted.p50 / point.measured - 1.0
        inside = point.predicted.p10 <= point.measured <= point.predicted.p90
        groups.setdefault(point.group, []).append((signed, float(inside)))
    if not groups:
        return None
    rows = np.array([row for found in groups.values() for row in found])
    each = [np.array(found) for found in groups.values()]
    return Score(
        rows=_errors(np.abs(rows[:, 0]), bias=rows[:, 0], inside=rows[:, 1]),
        groups=_errors(
            np.array([np.median(np.abs(group[:, 0])) for group in each]),
            bias=np.array([np.median(group[:, 0]) for group in each]),
            inside=np.array([np.mean(group[:, 1]) for group in each]),
        ),
    )


def _errors(error: np.ndarray, *, bias: np.ndarray, inside: np.ndarray) -> Errors:
    return Errors(
        n=int(error.size),
        median_error_fraction=float(np.median(error)),
        p90_error_fraction=float(np.quantile(error, 0.9)),
        bias_fraction=float(np.median(bias)),
        inside_fraction=float(np.mean(inside)),
    )
