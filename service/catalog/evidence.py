"""config/evidence/*.jsonl -> the measured runs as points, to tell how near a prediction is to one."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import orjson

from service.catalog.files import short
from service.errors import FactsError
from service.sizing.calibration import EvidencePoint
from service.sizing.kind import Kind

_SUBJECT = {Kind.INFERENCE: "model", Kind.TRAINING: "model", Kind.SCIENCE: "application"}
_SIZES_OF_SCIENCE = ("tokens", "residues", "atoms", "coverage", "parameters", "cells", "steps", "diffusion_steps")


def load_evidence(folder: Path) -> tuple[tuple[EvidencePoint, ...], str]:
    """The points ordered by id, and the digest of the files they are from. Raises FactsError naming file and line."""
    points: dict[str, EvidencePoint] = {}
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.jsonl")):
        content = path.read_bytes()
        digest.update(content)
        for point in _points(path, content):
            if point.id in points:
                raise FactsError(f"{short(path)}: record {point.id}, field id: This id stands twice.")
            points[point.id] = point
    return tuple(points[name] for name in sorted(points)), digest.hexdigest()


def _points(path: Path, content: bytes) -> Iterator[EvidencePoint]:
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            run = orjson.loads(line)
            kind = Kind(run["kind"])
            point = _point(run, kind) if run["scope"] == "timing" else None
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            what = f"{type(error).__name__}: {error}"
            raise FactsError(f"{short(path)}: line {number}: no measured run ({what})") from error
        if point is not None:
            yield point


def _point(run: Mapping[str, Any], kind: Kind) -> EvidencePoint | None:
    """None for a run that cannot be placed: without subject, GPU or anything measured."""
    workload, deployment = run["workload"], run.get("deployment") or {}
    subject, gpu = workload.get(_SUBJECT[kind]), deployment.get("gpu")
    if not subject or not gpu or not run.get("measured") or run.get("fits") is False:
        return None
    return EvidencePoint(
        id=run["id"],
        kind=str(kind),
        subject=subject,
        gpu=gpu,
        precision=str(workload.get("weight_precision") or workload.get("precision") or ""),
        gpus=int(deployment.get("gpus") or 1),
        size=_size(workload, deployment, kind),
        length_tokens=_length_tokens(workload),
        output_tokens=float(workload.get("osl_tokens") or 0),
        published=str(run.get("published") or ""),
    )


def _size(workload: Mapping[str, Any], deployment: Mapping[str, Any], kind: Kind) -> float:
    """Requests in flight, tokens of one step, or the size of one scientific item; 0 where it was not published."""
    if kind is Kind.INFERENCE:
        load = deployment.get("load") or workload.get("load") or {}
        return float(load.get("value") or 0) if load.get("kind") == "concurrency" else 0.0
    if kind is Kind.TRAINING:
        return float(workload.get("seq_len_tokens") or 0) * float(workload.get("global_batch_sequences") or 0)
    for name in _SIZES_OF_SCIENCE:
        if isinstance(workload.get(name), int | float):
            return float(workload[name])
    return 0.0


def _length_tokens(workload: Mapping[str, Any]) -> float:
    """Tokens of one request or one training sequence; 0 where it was not published."""
    isl, osl = workload.get("isl_tokens"), workload.get("osl_tokens")
    if isl is not None and osl is not None:
        return float(isl) + float(osl)
    return float(workload.get("seq_len_tokens") or 0)
