"""config/assumptions.yaml, calibration/*.yaml and evidence/*.jsonl -> Calibration with a version of its own."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from marshmallow import Schema

from service.catalog.evidence import load_evidence
from service.catalog.files import naming, read_yaml, wrong
from service.schemas.calibration import (
    AssumptionSchema,
    BandSchema,
    CoefficientSchema,
    CurveSchema,
    EvaluationsSchema,
    KinSchema,
    OwnKernelsSchema,
    PrefillGraphsSchema,
    ReleaseSchema,
    TargetSchema,
)
from service.schemas.digest import sha256_digest
from service.sizing.calibration import Calibration, Target, index_evidence
from service.sizing.kind import Kind
from service.sizing.operation import CurveBook

# What a file says about its fit; it is part of the version and of nothing else.
_ABOUT = frozenset({"schema_version", "fitted", "inputs", "method", "code_version", "errors"})
# Fitted numbers of scientific applications: service/catalog/fitted_science.py reads them.
_ELSEWHERE = frozenset({"rates", "laws", "factors", "constants"})
_LISTS = (
    "coefficients",
    "residuals",
    "curves",
    "kin",
    "releases",
    "own_kernels",
    "prefill_graphs",
    "targets",
    "evaluations",
)
# What today's software is taken to be where no serving run says when it was published.
_NO_MONTH = "2026-01"


def load_calibration(config_dir: Path) -> Calibration:
    """Judgements, fitted numbers, residual quantiles and measured points. Raises FactsError naming file and entry."""
    judged = config_dir / "assumptions.yaml"
    parsed: dict[str, Any] = {"assumptions": read_yaml(judged)}
    _only(judged, parsed["assumptions"], frozenset({"assumptions"}))
    assumptions = _load(judged, parsed["assumptions"], "assumptions", schema=AssumptionSchema(), key=lambda a: a.id)
    found: dict[str, dict[Any, Any]] = {name: {} for name in _LISTS}
    schemas: dict[str, tuple[Schema, Callable[[Any], Any]]] = {
        "coefficients": (CoefficientSchema(), lambda c: (c.name, c.scope)),
        "residuals": (BandSchema(), lambda b: (b.metric, b.regime)),
        "curves": (CurveSchema(), lambda c: (c.operation, c.gpu, c.engine, c.precision)),
        "kin": (KinSchema(), lambda k: (k.gpu,)),
        "releases": (ReleaseSchema(), lambda r: (r.engine, r.version)),
        "own_kernels": (OwnKernelsSchema(), lambda k: (k.engine, k.operation)),
        "prefill_graphs": (PrefillGraphsSchema(), lambda g: (g.engine,)),
        "targets": (TargetSchema(), lambda t: (t.model, t.method, str(t.batch_sequences))),
        "evaluations": (EvaluationsSchema(), lambda e: (e.model, str(e.method))),
    }
    for path in sorted((config_dir / "calibration").glob("*.yaml")):
        parsed[path.stem] = read_yaml(path)
        _only(path, parsed[path.stem], frozenset(schemas) | _ABOUT | _ELSEWHERE)
        for name, (schema, key) in schemas.items():
            for entry, value in _load(path, parsed[path.stem], name, schema=schema, key=key).items():
                if entry in found[name]:
                    raise wrong(path, "/".join(entry), name, "This entry stands in another file too.")
                found[name][entry] = value
    evidence, parsed["evidence"] = load_evidence(config_dir / "evidence")
    return Calibration(
        version=sha256_digest(parsed),
        assumptions={name: assumptions[name] for name in sorted(assumptions)},
        coefficients={key: found["coefficients"][key] for key in sorted(found["coefficients"])},
        residuals={key: found["residuals"][key] for key in sorted(found["residuals"])},
        curves=CurveBook(
            curves={key: found["curves"][key] for key in sorted(found["curves"])},
            kin={kin.gpu: kin for _, kin in sorted(found["kin"].items())},
        ),
        evidence=index_evidence(evidence),
        newest_software=max((p.published for p in evidence if p.kind == Kind.INFERENCE), default="") or _NO_MONTH,
        releases={key: found["releases"][key] for key in sorted(found["releases"])},
        own_kernels={key: found["own_kernels"][key] for key in sorted(found["own_kernels"])},
        prefill_graphs={key[0]: found["prefill_graphs"][key] for key in sorted(found["prefill_graphs"])},
        targets=_by_training(found["targets"].values()),
        evaluations={key: found["evaluations"][key] for key in sorted(found["evaluations"])},
    )


def _by_training(targets: Iterable[Target]) -> dict[tuple[str, str], tuple[Target, ...]]:
    """Targets of each model and method, batches ascending."""
    found: dict[tuple[str, str], tuple[Target, ...]] = {}
    for target in sorted(targets, key=lambda t: (t.model, t.method, t.batch_sequences)):
        key = (target.model, target.method)
        found[key] = (*found.get(key, ()), target)
    return found


def _only(path: Path, parsed: Mapping[str, Any], known: frozenset[str]) -> None:
    for key in parsed:
        if key not in known:
            raise wrong(path, "(file)", str(key), f"There is no such field; known are {', '.join(sorted(known))}.")


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
