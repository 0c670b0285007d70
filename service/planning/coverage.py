"""How right the shipped predictions are, in a few numbers for whoever watches the service."""

from collections.abc import Iterator
from dataclasses import dataclass

from service.catalog.catalog import Catalog
from service.planning.published import made_under, scored
from service.planning.scoring import score
from service.schemas.accuracy import AccuracyPoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Of one kind and split: points with a prediction and without, share inside the 80 % interval, median error."""

    kind: str
    split: str
    predicted: int
    refused: int
    inside_fraction: float
    median_error_fraction: float


# By the identity of what is stored: it changes with a release, and summing it up takes longer than a scrape may.
_kept: dict[str, tuple[Coverage, ...]] = {}


def coverage(catalog: Catalog) -> tuple[Coverage, ...]:
    """Every kind and split that has a point; nothing where no predictions were read."""
    digest = catalog.accuracy.digest
    if digest not in _kept:
        _kept.clear()
        _kept[digest] = tuple(_covered(catalog.accuracy.points))
    return _kept[digest]


def is_stale(catalog: Catalog) -> bool:
    """Whether engine, calibration or facts have changed since the predictions were made."""
    return made_under(catalog).stale


def _covered(points: tuple[AccuracyPoint, ...]) -> Iterator[Coverage]:
    alike: dict[tuple[str, str], list[AccuracyPoint]] = {}
    for point in points:
        alike.setdefault((point.kind, point.split or "none"), []).append(point)
    for (kind, split), found in sorted(alike.items()):
        errors = score(scored(found))
        yield Coverage(
            kind=kind,
            split=split,
            predicted=sum(point.predicted is not None for point in found),
            refused=sum(point.predicted is None for point in found),
            inside_fraction=0.0 if errors is None else errors.rows.inside_fraction,
            median_error_fraction=0.0 if errors is None else errors.rows.median_error_fraction,
        )
