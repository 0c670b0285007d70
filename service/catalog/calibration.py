"""config/assumptions.yaml and config/calibration/*.yaml -> Calibration with a version of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from marshmallow import Schema

from service.catalog.files import naming, read_yaml, wrong
from service.schemas.calibration import BandSchema, CoefficientSchema, EvidencePointSchema
from service.schemas.catalog import AssumptionSchema
from service.schemas.digest import sha256_digest
from service.sizing.calibration import Assumption, Calibration, Coefficient, EvidencePoint, ResidualBand

_LISTS = ("coefficients", "residuals", "evidence")


def load_calibration(config_dir: Path) -> Calibration:
    """Judgements, fitted numbers, residual quantiles and measured points. Raises FactsError naming file and entry."""
    judged = config_dir / "assumptions.yaml"
    parsed: dict[str, dict[str, Any]] = {"assumptions": read_yaml(judged)}
    assumptions = _load(judged, parsed["assumptions"], "assumptions", schema=AssumptionSchema(), key=lambda a: a["id"])
    found: dict[str, dict[Any, Any]] = {name: {} for name in _LISTS}
    schemas: dict[str, tuple[Schema, Callable[[Any], Any]]] = {
        "coefficients": (CoefficientSchema(), lambda c: (c.name, c.scope)),
        "residuals": (BandSchema(), lambda b: (b.metric, b.regime)),
        "evidence": (EvidencePointSchema(), lambda p: p.id),
    }
    for path in sorted((config_dir / "calibration").glob("*.yaml")):
        parsed[path.stem] = read_yaml(path)
        for name, (schema, key) in schemas.items():
            for entry, value in _load(path, parsed[path.stem], name, schema=schema, key=key).items():
                if entry in found[name]:
                    raise wrong(path, str(entry), name, "This entry stands twice.")
                found[name][entry] = value
    return _calibration(assumptions, found, version=sha256_digest(parsed))


def _calibration(
    assumptions: Mapping[str, Mapping[str, Any]], found: Mapping[str, dict[Any, Any]], *, version: str
) -> Calibration:
    coefficients: dict[tuple[str, str], Coefficient] = found["coefficients"]
    residuals: dict[tuple[str, str], ResidualBand] = found["residuals"]
    evidence: dict[str, EvidencePoint] = found["evidence"]
    return Calibration(
        version=version,
        assumptions={
            name: Assumption(**{field: value for field, value in assumptions[name].items() if field != "basis"})
            for name in sorted(assumptions)
        },
        coefficients={key: coefficients[key] for key in sorted(coefficients)},
        residuals={key: residuals[key] for key in sorted(residuals)},
        evidence=tuple(evidence[key] for key in sorted(evidence)),
    )


def _load(
    path: Path, parsed: Mapping[str, Any], name: str, *, schema: Schema, key: Callable[[Any], Any]
) -> dict[Any, Any]:
    entries = parsed.get(name) or []
    if not isinstance(entries, list):
        raise wrong(path, "(file)", name, "Must be a list.")
    found: dict[Any, Any] = {}
    for place, raw in enumerate(entries):
        label = f"{name}[{place}]"
        if isinstance(raw, Mapping):
            label = str(raw.get("id") or raw.get("name") or raw.get("metric") or label)
        with naming(path, label):
            value = schema.load(raw)
        if key(value) in found:
            raise wrong(path, label, name, "This entry stands twice.")
        found[key(value)] = value
    return found
