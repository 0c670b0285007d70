"""/catalog: the facts, each with how it is known and where it is from."""

import json
from typing import Any

from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from service.access import Permission
from service.catalog.sheets import RESOURCES, find_sheet, sheets_of, sources_of
from service.edge.context import runtime
from service.edge.pages import PageBlueprint
from service.errors import NotFoundError
from service.schemas.fact import FactSheet
from service.web.rendering import page

blueprint = PageBlueprint("catalog", __name__, permission=Permission.CATALOG)

# What the list of a resource shows of each record, as far as it has it.
_COLUMNS = {
    "gpus": ("memory_gb", "memory_bandwidth_tb_s", "fp8_dense_tflops", "bf16_dense_tflops", "tdp_w"),
    "servers": ("gpu", "gpus", "cooling", "rack_units", "plan_power_kw"),
    "cpu-servers": ("cpu_cores", "max_memory_tb", "rack_units", "plan_power_kw"),
    "networks": ("ports", "port_gbit_s", "plan_power_w"),
    "storage": ("capacity_tb", "read_gb_s", "write_gb_s"),
    "racks": ("rack_units", "max_weight_kg"),
    "models": ("family", "layers", "hidden", "max_context_tokens"),
    "applications": ("template", "unit_of_work", "bounds"),
}


@blueprint.get("/catalog")
def choose_resource() -> AnyResponse:
    """The first resource."""
    return redirect("/catalog/servers", code=303)


@blueprint.get("/catalog/<resource>")
def list_records(resource: str) -> Response:
    """The records of a resource, those that a word is found in."""
    catalog = runtime().catalog
    word = request.args.get("q", "").strip().lower()
    found = [sheet for sheet in sheets_of(catalog, _known(resource)).values() if _has(sheet, word)]
    columns = _COLUMNS[resource]
    rows = [(sheet, [_fact(sheet, column) for column in columns]) for sheet in found]
    part = request.headers.get("HX-Request") == "true"
    return page(
        "catalog_rows.html" if part else "catalog.html",
        resource=resource,
        resources=RESOURCES,
        columns=columns,
        rows=rows,
        word=request.args.get("q", ""),
        version=catalog.version,
    )


@blueprint.get("/catalog/<resource>/<record_id>")
def show_record(resource: str, record_id: str) -> Response:
    """One record with every fact."""
    catalog = runtime().catalog
    sheet = find_sheet(catalog, _known(resource), record_id)
    facts = [(fact, _written(fact.value)) for fact in sheet.facts]
    return page(
        "catalog_record.html",
        resource=resource,
        sheet=sheet,
        facts=facts,
        sources=sources_of(catalog, resource, sheet),
        version=catalog.version,
    )


def _known(resource: str) -> str:
    if resource not in RESOURCES:
        raise NotFoundError(f"The catalog has no {resource[:64]!r}; it has {', '.join(RESOURCES)}.")
    return resource


def _has(sheet: FactSheet, word: str) -> bool:
    return word in sheet.id.lower() or word in sheet.name.lower()


def _fact(sheet: FactSheet, name: str) -> Any:
    return next((fact for fact in sheet.facts if fact.field == name), None)


def _written(value: Any) -> str:
    """A value that is no plain number or word, as it stands in its file."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else ""
