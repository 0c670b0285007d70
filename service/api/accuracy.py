"""/v1/accuracy: what the engine says of every published run, beside what was measured."""

from dataclasses import asdict
from typing import Any

from flask import request

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import runtime
from service.planning.published import chosen, made_under, summed_up
from service.schemas.accuracy import (
    ACCURACY,
    AccuracyPageSchema,
    AccuracyQuerySchema,
    AccuracySummaryQuerySchema,
    AccuracySummarySchema,
)
from service.schemas.page import page

blueprint = ResourceBlueprint(
    "accuracy",
    __name__,
    url_prefix="/v1/accuracy",
    permission=Permission.CATALOG,
    description="Predicted against measured.",
)


@blueprint.route("", methods=["GET"])
@blueprint.response(200, AccuracyPageSchema, headers=ETAG_DOC)
@blueprint.arguments(AccuracyQuerySchema, location="query")
@documents_etag(blueprint)
@blueprint.described(
    operationId="listAccuracy",
    description="Every metric of every published run that the product knows, whether the engine was fitted on it "
    "(`split` calibration) or not (validation), with the prediction that this release was shipped with. `stale` says "
    "that engine, calibration or facts have changed since.",
)
def get_accuracy(query: dict[str, Any]) -> Any:
    """List published points with what the engine predicts of them."""
    after, limit = query.pop("cursor"), query.pop("limit")
    headers = _tag()
    found = tuple(point for point in chosen(runtime().catalog, query) if point.place > (after or 0))
    body = page(found[: limit + 1], of=ACCURACY, limit=limit, id_of="place")
    return {**body, **asdict(made_under(runtime().catalog))}, headers


@blueprint.route("/summary", methods=["GET"])
@blueprint.response(200, AccuracySummarySchema, headers=ETAG_DOC)
@blueprint.arguments(AccuracySummaryQuerySchema, location="query")
@documents_etag(blueprint)
@blueprint.described(
    operationId="getAccuracySummary",
    description="By row and by group: a long sweep of one deployment is many rows and one group.",
)
def get_accuracy_summary(query: dict[str, Any]) -> Any:
    """Sum up the errors of the points that the filters leave."""
    by = query.pop("by")
    headers = _tag()
    points = chosen(runtime().catalog, query)
    body = {
        "points": len(points),
        "predicted": sum(point.predicted is not None for point in points),
        "items": summed_up(points, by=by),
    }
    return {**body, **asdict(made_under(runtime().catalog))}, headers


def _tag() -> dict[str, str]:
    catalog = runtime().catalog
    return tagged(catalog.version, catalog.calibration.version, catalog.accuracy.digest, request.full_path)
