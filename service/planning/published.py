"""The published points with their stored predictions: chosen, and summed up."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from service.catalog.catalog import Catalog
from service.catalog.resolve import gpu_meant, model_meant
from service.planning.scoring import Errors, Scored, score
from service.schemas.accuracy import AccuracyPoint
from service.sizing.version import ENGINE_VERSION

# Runs of one group are variations of one experiment.
_GROUP = ("kind", "source", "model", "gpu", "precision", "mode")


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUnder:
    """The versions of the stored predictions, and whether the running ones are others."""

    engine_version: str | None
    calibration_version: str | None
    catalog_version: str | None
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricScore:
    """Errors of one metric among points that have `by` in common."""

    metric: str
    by: Mapping[str, str | None]
    rows: Errors
    groups: Errors


def made_under(catalog: Catalog) -> MadeUnder:
    """What the stored predictions were made under."""
    made = catalog.accuracy.versions
    if made is None:
        return MadeUnder(engine_version=None, calibration_version=None, catalog_version=None, stale=True)
    running = (ENGINE_VERSION, catalog.calibration.version, catalog.version)
    return MadeUnder(
        engine_version=made.engine_version,
        calibration_version=made.calibration_version,
        catalog_version=made.catalog_version,
        stale=(made.engine_version, made.calibration_version, made.catalog_version) != running,
    )


def chosen(catalog: Catalog, only: Mapping[str, str | None]) -> tuple[AccuracyPoint, ...]:
    """The points that have each of these values; None does not ask. Models and GPUs go by all of their names."""
    asked = {name: str(value) for name, value in only.items() if value is not None}
    if "model" in asked:
        asked["model"] = model_meant(catalog, asked["model"])
    if "gpu" in asked:
        asked["gpu"] = gpu_meant(catalog, asked["gpu"])
    return tuple(
        point
        for point in catalog.accuracy.points
        if all(getattr(point, name) == value for name, value in asked.items())
    )


def points_of(catalog: Catalog, ids: Collection[str]) -> tuple[AccuracyPoint, ...]:
    """Every metric of the runs of these ids."""
    return tuple(point for point in catalog.accuracy.points if point.id in ids) if ids else ()


def summed_up(points: Sequence[AccuracyPoint], *, by: tuple[str, ...]) -> tuple[MetricScore, ...]:
    """Errors of each kind and metric, split by these; points without a number or a prediction have none."""
    names = ("kind", *(name for name in by if name != "kind"))
    found: dict[tuple[str, ...], list[AccuracyPoint]] = {}
    for point in points:
        if _can_be_scored(point):
            found.setdefault((point.kind, point.metric, *(str(getattr(point, name)) for name in names)), []).append(
                point
            )
    scores = []
    for _, alike in sorted(found.items()):
        errors = score(scored(alike))
        assert errors is not None
        first = alike[0]
        common = {name: getattr(first, name) for name in names}
        scores.append(MetricScore(metric=first.metric, by=common, rows=errors.rows, groups=errors.groups))
    return tuple(scores)


def scored(points: Iterable[AccuracyPoint]) -> Iterator[Scored]:
    """Those of the points that have a number and a prediction, to be held against each other."""
    return (_scored(point) for point in points if _can_be_scored(point))


def _can_be_scored(point: AccuracyPoint) -> bool:
    return point.measured is not None and point.measured > 0.0 and point.predicted is not None


def _scored(point: AccuracyPoint) -> Scored:
    assert point.measured is not None
    assert point.predicted is not None
    group = tuple(getattr(point, name) for name in _GROUP)
    return Scored(group=group, measured=point.measured, predicted=point.predicted)
