"""A file of records: sources, a date, and a list whose facts must name sources that exist."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from service.catalog.files import naming, read_yaml, wrong
from service.errors import FactsError
from service.schemas.catalog import HardwareSchema, Loaded, SourceSchema
from service.schemas.fact import FactBasis, FactSheet, with_default_date

_SOURCE = SourceSchema()


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFile:
    """One file as loaded: specs and sheets in the order of their ids, sources by qualified id, and what was parsed."""

    specs: tuple[Any, ...]
    sheets: Mapping[str, FactSheet]
    sources: Mapping[str, str]
    parsed: Mapping[str, Any]


def load_records(path: Path, schema: HardwareSchema, *, also: tuple[str, ...] = ()) -> RecordFile:
    """Every record of the file, each fact with its source resolved. `also` names further top-level keys."""
    parsed = read_yaml(path)
    for key in parsed:
        if key not in {"date", "sources", "records", *also}:
            raise wrong(path, "(file)", str(key), "There is no such field.")
    sources = load_sources(path, parsed)
    loaded: dict[str, Loaded] = {}
    for place, raw in enumerate(_list(path, parsed)):
        name = str(raw.get("id", f"number {place + 1}")) if isinstance(raw, Mapping) else f"number {place + 1}"
        record = load_record(path, schema, raw, name=name, parsed=parsed)
        if name in loaded:
            raise wrong(path, name, "id", "This id stands twice.")
        loaded[name] = record
    return RecordFile(
        specs=tuple(loaded[name].spec for name in sorted(loaded)),
        sheets={name: loaded[name].sheet for name in sorted(loaded)},
        sources=sources,
        parsed=parsed,
    )


def load_record(path: Path, schema: HardwareSchema, raw: Any, *, name: str, parsed: Mapping[str, Any]) -> Loaded:
    """One record, its facts dated and their sources qualified by the file's name."""
    with naming(path, name):
        record: Loaded = schema.load(raw)
    facts = []
    for fact in record.sheet.facts:
        own = fact.basis == FactBasis.STATED
        for source in fact.sources:
            if source not in parsed["sources"] and not own:
                raise wrong(path, name, f"{fact.field}.sources", f"There is no source '{source}' in this file.")
        qualified = fact.sources if own else tuple(f"{path.stem}/{source}" for source in fact.sources)
        facts.append(with_default_date(dataclasses.replace(fact, sources=qualified), parsed.get("date")))
    return dataclasses.replace(record, sheet=dataclasses.replace(record.sheet, facts=tuple(facts)))


def load_sources(path: Path, parsed: Mapping[str, Any]) -> dict[str, str]:
    """What each source is, by `<file>/<id>`: the same short id may mean something else in another file."""
    raw = parsed.get("sources")
    if not isinstance(raw, Mapping):
        raise wrong(path, "(file)", "sources", "This field is required: source id -> {what, url, date}.")
    sources = {}
    for name, entry in raw.items():
        with naming(path, f"sources.{name}"):
            sources[f"{path.stem}/{name}"] = str(_SOURCE.load(entry))
    return sources


def _list(path: Path, parsed: Mapping[str, Any]) -> list[Any]:
    records = parsed.get("records")
    if not isinstance(records, list) or not records:
        raise FactsError(f"{path.name}: field records: must be a list of at least one record")
    return records
