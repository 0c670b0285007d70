"""/v1/quotes/{id}.pdf, .xlsx and .csv: a revision as a document that a worker has made."""

from typing import Any

from flask import Response

from service.access import Permission
from service.edge.blueprint import ResourceBlueprint
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import caller, runtime
from service.edge.waiting import APPLIED_DOC, PREFER, waited_for
from service.planning.quote_documents import Document, Form, document

blueprint = ResourceBlueprint(
    "quote_documents",
    __name__,
    url_prefix="/v1/quotes",
    permission=Permission.QUOTES,
    description="Quotes as files for a customer.",
)
_MEDIA_TYPES = {
    Form.PDF: "application/pdf",
    Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    Form.CSV: "text/csv",
}
_ABOUT = {
    Form.PDF: "Two to four pages: the answer with its confidence, lines, terms, power and racks, screening.",
    Form.XLSX: "A workbook: lines with live formulas, the sizing, the screening.",
    Form.CSV: "The lines as a table.",
}
_RETRY_AFTER_S = "1"
_BYTES = {"type": "string", "format": "binary"}
_RETRY_DOC = {
    "Retry-After": {
        "description": "Seconds until it is worth another look.",
        "required": True,
        "schema": {"type": "string"},
    },
    "Location": {
        "description": "Where it will be: here.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
}
_SAVED_AS = {"Content-Disposition": {"description": "The name to save it under.", "schema": {"type": "string"}}}


def _offer(form: Form) -> None:
    """The route of one form."""

    @blueprint.route(f"/<quote_id>.{form.value}", methods=["GET"], endpoint=f"get_quote_{form.value}")
    @documents_etag(blueprint)
    @blueprint.response(
        200,
        _BYTES,
        content_type=_MEDIA_TYPES[form],
        description="The file; a draft says that it is one.",
        headers=ETAG_DOC | APPLIED_DOC | _SAVED_AS,
    )
    @blueprint.alt_response(
        202, success=True, description="A worker is making it; ask again.", headers=_RETRY_DOC | APPLIED_DOC
    )
    @blueprint.alt_response(404, response="NOT_FOUND")
    @blueprint.described(
        operationId=f"getQuote{form.value.capitalize()}",
        summary=f"Read a revision as {form.value.upper()}.",
        description=f"{_ABOUT[form]} Made once from the snapshot, and kept with its hash.",
        parameters=[PREFER],
    )
    def get_document(quote_id: str) -> Any:
        def look() -> Document | None:
            return document(runtime(), caller(), quote_id, form)

        found, applied = waited_for(look(), ended=lambda seen: seen is not None, look=look)
        if found is None:
            place = f"/v1/quotes/{quote_id}.{form.value}"
            later = Response(status=202, headers={"Retry-After": _RETRY_AFTER_S, "Location": place, **applied})
            # There is no body to be of a type.
            del later.headers["Content-Type"]
            return later
        headers = tagged("quote_document", quote_id, form.value, found.sha256)
        saved_as = f'attachment; filename="{found.filename}"'
        return Response(
            found.content,
            mimetype=_MEDIA_TYPES[form],
            headers={**headers, **applied, "Content-Disposition": saved_as},
        )


for _form in Form:
    _offer(_form)
