"""/v1/occurrences: how far a schedule's work is, what moved, and why."""

from typing import Any, cast

from flask import Response, request

from service.access import Permission
from service.documents.occurrence_csv import occurrence_csv
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.planning.schedule.reading import get_occurrence, list_occurrence_items, occurrence_results
from service.planning.schedule.view import OccurrenceView
from service.schemas.occurrence import (
    OccurrenceItemPageSchema,
    OccurrenceItemSchema,
    OccurrenceSchema,
    occurrence_item_line,
)
from service.schemas.page import CursorField, PageQuerySchema, ordinal, page
from service.schemas.strict import Choice, StrictSchema, Text
from service.schemas.uploaded import CSV, NDJSON
from service.sizing.kind import Kind
from service.store.occurrence_items import OccurrenceItemFilter
from service.store.tables.schedules import Outcome

PLACE = "/v1/occurrences"
blueprint = ResourceBlueprint(
    "occurrences",
    __name__,
    url_prefix=PLACE,
    permission=Permission.SCHEDULES,
    description="The times that schedules were due, and what moved.",
)
_ITEMS = "occurrence-items"
_RETRY_AFTER_S = "2"
_RETRY_AFTER = {
    "description": "Seconds to wait before asking how far it is; while the occurrence is open.",
    "schema": {"type": "integer", "minimum": 0},
}
_FORMS = {NDJSON: {"schema": OccurrenceItemSchema}, CSV: {"schema": {"type": "string"}}}


class OccurrenceItemChoiceSchema(StrictSchema):
    """Which workloads."""

    outcome = Choice("Only workloads with this outcome.", Outcome, load_default=None, allow_none=False)
    kind = Choice("Only workloads of this kind.", Kind, load_default=None, allow_none=False)
    workload_id = Text("Only this workload.", longest=64, load_default=None, allow_none=False)


class OccurrenceItemQuerySchema(OccurrenceItemChoiceSchema, PageQuerySchema):
    """The query of the list of workloads."""

    cursor = CursorField(_ITEMS, read=ordinal)


def identity(occurrence: OccurrenceView) -> tuple[str, ...]:
    """What the ETag of an occurrence stands for: what callers read of it changes with these only."""
    progress = (
        occurrence.status,
        occurrence.stage,
        occurrence.items,
        occurrence.sized_items,
        occurrence.compared_items,
    )
    pace = (occurrence.rate_items_s, occurrence.left_s, occurrence.batch_id)
    return ("occurrence", occurrence.id, *(str(part) for part in (*progress, *pace)))


@blueprint.route("/<occurrence_id>", methods=["GET"])
@documents_etag(blueprint)
@blueprint.response(200, OccurrenceSchema, headers=ETAG_DOC | {"Retry-After": _RETRY_AFTER})
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="getOccurrence")
def get_one_occurrence(occurrence_id: str) -> Any:
    """Read how far an occurrence is, and what moved."""
    found = get_occurrence(runtime(), caller(), occurrence_id)
    hurry = {"Retry-After": _RETRY_AFTER_S} if found.open else {}
    return found, {**tagged(*identity(found)), **hurry}


@blueprint.route("/<occurrence_id>/items", methods=["GET"])
@blueprint.arguments(OccurrenceItemQuerySchema, location="query")
@blueprint.response(200, OccurrenceItemPageSchema)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(operationId="listOccurrenceItems")
def get_occurrence_items(query: dict[str, Any], occurrence_id: str) -> Any:
    """List the workloads of an occurrence in the order of their lines, each with what changed."""
    after, limit = query.pop("cursor") or 0, query.pop("limit")
    only = OccurrenceItemFilter(**query)
    found = list_occurrence_items(runtime(), caller(), occurrence_id, only=only, after_line=after, limit=limit + 1)
    return page(found, of=_ITEMS, limit=limit, id_of="line")


@blueprint.route("/<occurrence_id>/results", methods=["GET"])
@blueprint.arguments(OccurrenceItemChoiceSchema, location="query")
@blueprint.response(200, {}, content_type=NDJSON)
@blueprint.alt_response(404, response="NOT_FOUND")
@blueprint.described(
    operationId="downloadOccurrenceResults",
    description="All workloads in the order of their lines, one per line (application/x-ndjson) or as CSV, whichever "
    "is accepted. While the occurrence is open each is as it is when its turn comes.",
    responses={200: {"content": _FORMS}},
)
def get_occurrence_results(query: dict[str, Any], occurrence_id: str) -> Any:
    """Read all workloads of an occurrence in one answer, which comes as it is read."""
    form = request.accept_mimetypes.best_match([NDJSON, CSV], default=NDJSON)
    found = occurrence_results(runtime(), caller(), occurrence_id, only=OccurrenceItemFilter(**query))
    pieces = occurrence_csv(cast("Any", found)) if form == CSV else (occurrence_item_line(item) for item in found)
    return Response(pieces, mimetype=form)
