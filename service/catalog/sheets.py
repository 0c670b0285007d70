"""Fact sheets by resource and name: what /v1/catalog and the pages show of the facts."""

from collections.abc import Mapping

from service.catalog.catalog import Catalog
from service.errors import NotFoundError
from service.schemas.application_sheet import application_sheet
from service.schemas.fact import FactSheet
from service.schemas.issue import nearest

RESOURCES = ("gpus", "servers", "cpu-servers", "networks", "storage", "racks", "models", "applications")


def sheets_of(catalog: Catalog, resource: str) -> Mapping[str, FactSheet]:
    """Every sheet of a resource, by id."""
    if resource == "applications":
        return {name: application_sheet(application) for name, application in catalog.applications.items()}
    return catalog.sheets[resource]


def find_sheet(catalog: Catalog, resource: str, record_id: str) -> FactSheet:
    """The sheet of that id, or of a model that goes by that name; NotFoundError names what was probably meant."""
    sheets = sheets_of(catalog, resource)
    canonical = catalog.aliases.get(record_id, record_id) if resource == "models" else record_id
    if canonical in sheets:
        return sheets[canonical]
    near = nearest(record_id, sheets)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise NotFoundError(f"There is no {record_id[:64]!r} among the {resource}.{hint}")


def sources_of(catalog: Catalog, resource: str, sheet: FactSheet) -> dict[str, str]:
    """What the sources are that a sheet names, by id."""
    known = dict(catalog.applications[sheet.id].sources) if resource == "applications" else catalog.sources
    named = sorted({source for fact in sheet.facts for source in fact.sources})
    return {source: known[source] for source in named if source in known}
