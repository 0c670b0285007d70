"""config/calibration/science.yaml -> what was fitted for each scientific application, put into its record."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from service.catalog.files import naming, read_yaml, wrong
from service.schemas.typed import load_typed
from service.sizing.science.application import Application, Curve, TransferLaw

_SECTIONS = frozenset({"rates", "laws", "factors", "constants"})
_LAWS = ("halo", "sharding", "spill", "serial")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedFactor:
    """Time of a variant over the curve that it is relative to."""

    variant: str
    time_factor: float
    ln_arm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedConstant:
    """One number of a law of the application."""

    law: str
    name: str
    value: float


def with_fitted(path: Path, applications: Mapping[str, Application]) -> dict[str, Application]:
    """The applications with the rates, laws, factors and constants of the file; as they are where there is none.

    What was fitted for an application that is not offered is set aside. Raises FactsError naming file, entry and field.
    """
    found = dict(applications)
    if not path.exists():
        return found
    parsed = {name: _offered(entries, found) for name, entries in read_yaml(path).items() if name in _SECTIONS}
    for place, raw in enumerate(parsed.get("rates") or []):
        name, curve = _entry(path, found, raw, f"rates[{place}]", Curve)
        found[name] = replace(found[name], curves=(*found[name].curves, curve))
    for place, raw in enumerate(parsed.get("laws") or []):
        name, law = _entry(path, found, raw, f"laws[{place}]", TransferLaw)
        own = law.variant is not None
        laws = (*found[name].variant_laws, law) if own else found[name].variant_laws
        found[name] = replace(found[name], law=found[name].law if own else law, variant_laws=laws)
    for place, raw in enumerate(parsed.get("factors") or []):
        name, factor = _entry(path, found, raw, f"factors[{place}]", FittedFactor)
        found[name] = _with_factor(path, found[name], factor)
    for place, raw in enumerate(parsed.get("constants") or []):
        name, constant = _entry(path, found, raw, f"constants[{place}]", FittedConstant)
        found[name] = _with_constant(path, found[name], constant)
    return found


def _offered(entries: Any, found: Mapping[str, Application]) -> list[Any]:
    """Entries but those that name another application."""
    known = entries if isinstance(entries, list) else []
    return [raw for raw in known if not isinstance(raw, Mapping) or raw.get("application", "") in {"", *found}]


def _entry(path: Path, found: Mapping[str, Application], raw: Any, label: str, record: type) -> tuple[str, Any]:
    """The application that an entry is of, and the rest of it as a record."""
    if not isinstance(raw, Mapping) or raw.get("application") not in found:
        raise wrong(path, label, "application", "Must name an application of config/science.")
    with naming(path, label):
        value = load_typed(record, {key: part for key, part in raw.items() if key != "application"})
    return str(raw["application"]), value


def _with_factor(path: Path, application: Application, factor: FittedFactor) -> Application:
    if factor.variant not in {variant.id for variant in application.variants}:
        raise wrong(path, application.id, "variant", f"The application has no variant '{factor.variant}'.")
    changed = tuple(
        replace(variant, time_factor=factor.time_factor, ln_arm=factor.ln_arm)
        if variant.id == factor.variant
        else variant
        for variant in application.variants
    )
    return replace(application, variants=changed)


def _with_constant(path: Path, application: Application, constant: FittedConstant) -> Application:
    law = getattr(application, constant.law, None) if constant.law in _LAWS else None
    if law is None or not isinstance(getattr(law, constant.name, None), float):
        raise wrong(path, application.id, "law", f"The application has no number {constant.law}.{constant.name}.")
    changed: dict[str, Any] = {constant.law: replace(law, **{constant.name: constant.value})}
    return replace(application, **changed)


def with_borrowed(application: Application, applications: Mapping[str, Application]) -> Application:
    """The application with the curves of the one that it borrows from: not measured, and within its own wide band."""
    if application.borrows is None:
        return application
    lender = applications[application.borrows.application]
    arm, factor = application.borrows.ln_arm, application.borrows.factor
    source = next(iter(dict(application.sources)), "")
    curves = tuple(
        replace(
            curve,
            coefficients_s=tuple(c * factor for c in curve.coefficients_s),
            points=tuple((x, y * factor) for x, y in curve.points),
            q10=-arm,
            q50=0.0,
            q90=arm,
            runs=0,
            measured=False,
            source=curve.source if curve.source in dict(application.sources) else source,
            note=f"{factor:g} x the curve of {lender.name}: no timing of this application was used",
        )
        for curve in lender.curves
    )
    return replace(application, curves=(*application.curves, *curves))
