"""/v1/catalog: the facts, each with its basis and sources, under one catalog version."""

from typing import Any

from flask import request

from service.access import Permission
from service.catalog.catalog import Catalog
from service.catalog.sheets import RESOURCES, find_sheet, sheets_of, sources_of
from service.edge.blueprint import Decorator, ResourceBlueprint, View
from service.edge.conditional import ETAG_DOC, documents_etag, tagged
from service.edge.context import runtime
from service.schemas.catalog_record import CatalogPageSchema, CatalogRecordSchema
from service.schemas.fact import FactSheet
from service.schemas.page import CursorField, PageQuerySchema, page

blueprint = ResourceBlueprint(
    "catalog", __name__, url_prefix="/v1/catalog", permission=Permission.CATALOG, description="Facts with sources."
)


def _list_of(resource: str) -> View:
    def view(query: dict[str, Any]) -> Any:
        catalog = runtime().catalog
        headers = tagged(catalog.version, request.full_path)
        sheets = sheets_of(catalog, resource)
        after = query["cursor"]
        known = tuple(sheet for sheet_id, sheet in sheets.items() if after is None or sheet_id > after)
        body = page(known[: query["limit"] + 1], of=resource, limit=query["limit"])
        return {**body, "catalog_version": catalog.version}, headers

    view.__doc__ = f"List the {resource} of the catalog, by id."
    return view


def _record_of(resource: str) -> View:
    def view(record_id: str) -> Any:
        catalog = runtime().catalog
        headers = tagged(catalog.version, request.path)
        return _described(catalog, resource, find_sheet(catalog, resource, record_id)), headers

    view.__doc__ = f"Read one record of the {resource} with its facts."
    return view


def _described(catalog: Catalog, resource: str, sheet: FactSheet) -> dict[str, Any]:
    return {
        "id": sheet.id,
        "name": sheet.name,
        "facts": sheet.facts,
        "sources": sources_of(catalog, resource, sheet),
        "catalog_version": catalog.version,
    }


def _add_routes() -> None:
    for resource in RESOURCES:
        singular = resource.removesuffix("s")
        listing = (
            blueprint.response(200, CatalogPageSchema, headers=ETAG_DOC),
            blueprint.arguments(PageQuerySchema.from_dict({"cursor": CursorField(resource)}), location="query"),
            documents_etag(blueprint),
            blueprint.described(operationId=f"list{_camel(resource)}"),
        )
        _add(f"/{resource}", f"list_{resource.replace('-', '_')}", _list_of(resource), listing)
        reading = (
            blueprint.response(200, CatalogRecordSchema, headers=ETAG_DOC),
            blueprint.alt_response(404, response="NOT_FOUND"),
            documents_etag(blueprint),
            blueprint.described(operationId=f"get{_camel(singular)}"),
        )
        _add(f"/{resource}/<record_id>", f"get_{singular.replace('-', '_')}", _record_of(resource), reading)


def _camel(resource: str) -> str:
    return "".join(word.capitalize() for word in resource.split("-"))


def _add(rule: str, endpoint: str, view: View, decorators: tuple[Decorator, ...]) -> None:
    for decorate in decorators:
        view = decorate(view)
    blueprint.add_url_rule(rule, endpoint, view, methods=["GET"])


_add_routes()
