"""/accuracy: what the engine says of what others measured; the page that a sceptic asks for."""

from collections import Counter
from collections.abc import Iterable, Sequence

from flask import Response, request

from service.access import Permission
from service.catalog.catalog import Catalog
from service.edge.context import runtime
from service.edge.pages import PageBlueprint
from service.planning.published import chosen, made_under, summed_up
from service.schemas.accuracy import AccuracyPoint
from service.sizing.kind import Kind
from service.web.charts.scatter import scatter_chart
from service.web.rendering import page

blueprint = PageBlueprint("accuracy", __name__, permission=Permission.CATALOG)

GROUPINGS = ("split", "gpu", "model", "source", "precision")
_FILTERS = ("gpu", "model", "precision", "source", "split")
# What is looked at first of each kind.
_FIRST = {Kind.INFERENCE.value: "tpot_ms", Kind.TRAINING.value: "step_time_s", Kind.SCIENCE.value: ""}
_PER_PAGE = 50


@blueprint.get("/accuracy")
def show_accuracy() -> Response:
    """Points of one kind and metric, narrowed by what they are of, with their errors."""
    catalog = runtime().catalog
    kinds = tuple(kind.value for kind in Kind)
    kind = request.args.get("kind", "")
    kind = kind if kind in kinds else kinds[0]
    of_kind = chosen(catalog, {"kind": kind})
    metric = _metric(of_kind, kind)
    of_metric = tuple(point for point in of_kind if point.metric == metric)
    points = _narrowed(catalog, kind, metric)
    by = request.args.get("by", "")
    by = by if by in GROUPINGS else GROUPINGS[0]
    start = request.args.get("from", "0")
    first = int(start) if start.isdecimal() and len(start) < 7 else 0
    return page(
        "accuracy.html",
        kinds=kinds,
        kind=kind,
        metric=metric,
        metrics=_most_first(point.metric for point in of_kind),
        choices={name: _most_first(getattr(point, name) for point in of_metric) for name in _FILTERS},
        asked={name: request.args.get(name, "") for name in _FILTERS},
        by=by,
        groupings=GROUPINGS,
        scores=summed_up(points, by=(by,)),
        scatter=scatter_chart(points),
        points=points[first : first + _PER_PAGE],
        total=len(points),
        first=first,
        more=first + _PER_PAGE if len(points) > first + _PER_PAGE else None,
        made=made_under(catalog),
    )


def _metric(of_kind: Sequence[AccuracyPoint], kind: str) -> str:
    known = _most_first(point.metric for point in of_kind)
    asked = request.args.get("metric", "")
    if asked in known:
        return asked
    return _FIRST[kind] if _FIRST[kind] in known else known[0] if known else ""


def _narrowed(catalog: Catalog, kind: str, metric: str) -> tuple[AccuracyPoint, ...]:
    only = {name: request.args.get(name) or None for name in _FILTERS}
    return tuple(point for point in chosen(catalog, {"kind": kind, **only}) if point.metric == metric)


def _most_first(names: Iterable[str | None]) -> tuple[str, ...]:
    counted = Counter(name for name in names if name is not None)
    return tuple(name for name, _ in counted.most_common())
