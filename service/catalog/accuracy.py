"""config/evidence and config/calibration/accuracy.jsonl -> every published point with its stored prediction.

Thousands of predictions are too many for a request, and the same for everybody: scripts/validate makes them once.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from service.catalog.files import short
from service.errors import FactsError
from service.schemas.accuracy import AccuracyPoint, Versions
from service.schemas.coordinates import UNKNOWN, coordinates
from service.schemas.measured import Refused, Scope
from service.sizing.interval import Basis, Interval

PREDICTIONS, VERSIONS = "accuracy.jsonl", "accuracy.json"
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedAccuracy:
    """The points in the order of the evidence; `versions` is None where no prediction is stored."""

    points: tuple[AccuracyPoint, ...]
    versions: Versions | None
    digest: str


NOT_READ = PublishedAccuracy(points=(), versions=None, digest="")
"""For whoever makes the predictions: stored ones that cannot be read must not keep them from being made anew."""


def load_accuracy(config_dir: Path) -> PublishedAccuracy:
    """Every metric of every timing in the evidence, with what is stored of it.

    Raises FactsError naming file and line.
    """
    stored, versions = config_dir / "calibration" / PREDICTIONS, config_dir / "calibration" / VERSIONS
    predictions: dict[_Key, Mapping[str, Any]] = {}
    digest = hashlib.sha256()
    for path, number, found in _lines([stored] if stored.exists() else []):
        if "id" not in found or "metric" not in found:
            raise _wrong(path, number, "no id or no metric")
        predictions[str(found["id"]), str(found["metric"])] = found
    points: list[AccuracyPoint] = []
    shared: dict[str, str] = {}
    for path, number, line in _lines(sorted((config_dir / "evidence").glob("*.jsonl"))):
        try:
            points.extend(_points(line, predictions, first=len(points) + 1, shared=shared))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _wrong(path, number, f"{type(error).__name__}: {error}") from error
    for path in (stored, versions):
        digest.update(path.read_bytes() if path.exists() else b"")
    made = _versions(versions) if predictions else None
    return PublishedAccuracy(points=tuple(points), versions=made, digest=digest.hexdigest())


def _lines(paths: list[Path]) -> Iterator[tuple[Path, int, Any]]:
    for path in paths:
        for number, text in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                found = orjson.loads(text)
            except orjson.JSONDecodeError as error:
                raise _wrong(path, number, str(error)) from error
            if not isinstance(found, dict):
                raise _wrong(path, number, "no object")
            yield path, number, found


def _points(
    line: Mapping[str, Any], predictions: Mapping[_Key, Mapping[str, Any]], *, first: int, shared: dict[str, str]
) -> Iterator[AccuracyPoint]:
    if line.get("scope") != Scope.TIMING:
        return
    places = coordinates(line)
    words = {name: getattr(places, name) for name in ("model", "gpu", "precision", "mode")}
    words |= {name: str(line.get(name) or UNKNOWN) for name in ("source", "reference", "split", "published")}
    # One string for the thousands of points that say the same.
    about = {name: None if word == UNKNOWN else shared.setdefault(word, word) for name, word in words.items()}
    for place, (metric, measured) in enumerate(line["measured"].items(), start=first):
        found = predictions.get((line["id"], metric), {})
        yield AccuracyPoint(
            place=place,
            id=str(line["id"]),
            kind=shared.setdefault(places.kind, places.kind),
            metric=shared.setdefault(metric, metric),
            measured=float(measured) if isinstance(measured, int | float) else None,
            predicted=_interval(found),
            basis=None if found.get("basis") is None else Basis(found["basis"]),
            fits=found.get("fits"),
            refused=None if found.get("refused") is None else Refused(found["refused"]),
            **about,
        )


def _interval(found: Mapping[str, Any]) -> Interval | None:
    if found.get("p50") is None:
        return None
    return Interval(p10=float(found["p10"]), p50=float(found["p50"]), p90=float(found["p90"]))


def _versions(path: Path) -> Versions | None:
    """None where nobody wrote them down: the predictions are then of an engine that nobody knows."""
    if not path.exists():
        return None
    try:
        return Versions(**orjson.loads(path.read_bytes()))
    except (orjson.JSONDecodeError, TypeError) as error:
        raise _wrong(path, 1, f"no versions ({error})") from error


def _wrong(path: Path, number: int, what: str) -> FactsError:
    return FactsError(f"{short(path)}: line {number}: {what}; scripts/validate --help says how it is written")
