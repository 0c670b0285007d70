"""The fact sheet of a scientific application, made from what its file states."""

import dataclasses
from typing import Any

from service.schemas.fact import Fact, FactBasis, FactSheet
from service.sizing.science.application import Application


def application_sheet(application: Application) -> FactSheet:
    """Every part of the application as a fact: with the part's own basis and source where it has them."""
    facts = [
        _stated("template", str(application.template), application),
        _stated("unit_of_work", application.unit_of_work, application),
        _stated("bounds", application.bounds, application),
        _stated("licence", application.licence, application),
        _stated("aliases", list(application.aliases), application),
        _stated("notes", list(application.notes), application),
    ]
    parts: list[tuple[str, Any]] = [
        *((f"curve/{curve.gpu}/{curve.variant}", curve) for curve in application.curves),
        *((f"transfer/{transfer.from_gpu}/{transfer.to_gpu}", transfer) for transfer in application.transfers),
        *((f"variant/{variant.id}", variant) for variant in application.variants),
        *((f"scaling/{point.gpus}", point) for point in application.scaling),
        *((name, getattr(application, name)) for name in ("law", "memory", "host", "folding", "halo")),
    ]
    facts.extend(_part(name, part, application) for name, part in parts if part is not None)
    return FactSheet(id=application.id, name=application.name, facts=tuple(facts))


def _stated(name: str, value: Any, application: Application) -> Fact:
    known = value is not None
    return Fact(
        field=name,
        value=value,
        basis=FactBasis.INFERRED if known else FactBasis.UNKNOWN,
        sources=tuple(source for source, _ in application.sources) if known else (),
        note=None,
        date=application.date,
    )


def _part(name: str, part: Any, application: Application) -> Fact:
    value = dataclasses.asdict(part)
    basis, source = value.pop("basis"), value.pop("source")
    note, date = value.pop("note", ""), value.pop("date", application.date)
    return Fact(field=name, value=value, basis=basis, sources=(source,), note=note or None, date=date)
