"""What a batch keeps of an answer: the best option in short, or why nothing fits; canonical JSON of one or two kB.

The whole answer, its working included, is what the same question gets as a workload: sized again, it is the same.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from service.errors import PlannerError
from service.planning.batch.asking import Asked
from service.quoting.indicative import PricedResult, beside_weight, priced
from service.runtime import Runtime
from service.schemas.digest import canonical_json
from service.sizing.result import SizingResult
from service.sizing.size import size_by_and_by
from service.sizing.table import FloatArray
from service.sizing.terms import Terms
from service.store.runs import Versions

_OPTION = (
    *("server", "server_name", "sku", "orderable", "gpu", "servers", "spare_servers", "gpus", "gpus_instance"),
    *("replicas", "mode", "weight_precision", "kv_precision", "precision", "batch", "confidence_fraction"),
    *("memory_used_gb_gpu", "memory_usable_gb_gpu", "bottleneck"),
)
_FACILITY = ("it_power_kw", "facility_power_kw", "racks", "rack_power_kw", "cooling", "weight_kg", "energy_kwh_year")
_COST = (
    *("currency", "total_usd", "complete", "not_in_total", "low_usd", "high_usd"),
    *("usd_per_million_tokens", "usd_per_run", "usd_per_target"),
)
_METRIC = ("p10", "p50", "p90")


@dataclass(frozen=True, slots=True, kw_only=True)
class Brief:
    """An answer as a batch keeps it."""

    body: str
    feasible: bool


# None of several: what is asked is for a call of its own.
Found = Brief | PlannerError | None


def sized(
    runtime: Runtime, asked: Sequence[Asked], versions: Versions, weight: FloatArray
) -> Iterator[list[tuple[int, Found]]]:
    """Size the questions with this process's catalog, calibration, engine and price book, in one call.

    Gives what is found with its place, as often as somebody may want to stop. None where nothing fits one of several:
    its advice takes many sizings, and is for a call of its own.
    """
    catalog, alone = runtime.catalog, len(asked) == 1
    terms = Terms(
        hardware=catalog.hardware,
        calibration=catalog.calibration,
        weight=weight,
        beside_weight=beside_weight(catalog.hardware, runtime.price_book),
        best_only=True,
    )

    def in_short(one: Asked, found: SizingResult | PlannerError) -> Found:
        if isinstance(found, PlannerError):
            return found
        if not (alone or found.options):
            return None
        return of_result(priced(found, catalog.hardware, runtime.price_book), digest=one.digest, versions=versions)

    for ended in size_by_and_by([one.resolved.subject for one in asked], terms, advised=alone):
        yield [(place, in_short(asked[place], found)) for place, found in ended]


def of_result(found: PricedResult, *, digest: str, versions: Versions) -> Brief:
    """In short what the engine has found."""
    result, option = found.result, None
    if result.options:
        best, cost = result.options[0], next((cost for cost in found.costs if cost.rank == 1), None)
        option = {name: getattr(best, name) for name in _OPTION}
        option["layout"] = _stated(asdict(best.layout))
        option["metrics"] = {
            metric.name: {**{name: getattr(metric.interval, name) for name in _METRIC}, "basis": metric.basis}
            for metric in best.metrics
        }
        option["facility"] = {name: getattr(best.facility, name) for name in _FACILITY}
        option["cost"] = None if cost is None else {name: getattr(cost, name) for name in _COST}
    shortfall = None if result.shortfall is None else asdict(result.shortfall)
    body = _body(result.kind, option, shortfall, result.engine_version, digest=digest, versions=versions)
    return Brief(body=body, feasible=bool(result.options))


def of_answer(stored: bytes, *, versions: Versions) -> Brief:
    """In short what a run was answered."""
    result = orjson.loads(stored)
    option = None
    if result["options"]:
        best = result["options"][0]
        option = {name: best[name] for name in _OPTION}
        option["layout"] = _stated(best["layout"])
        option["metrics"] = {
            name: {part: metric[part] for part in (*_METRIC, "basis")} for name, metric in best["metrics"].items()
        }
        option["facility"] = {name: best["facility"].get(name) for name in _FACILITY}
        option["cost"] = None if best["cost"] is None else _cost(best["cost"])
    engine = result["engine_version"]
    body = _body(result["kind"], option, result["shortfall"], engine, digest=result["digest"], versions=versions)
    return Brief(body=body, feasible=bool(result["feasible"]))


def _cost(cost: Mapping[str, Any]) -> dict[str, Any]:
    """The same of a cost that is read back."""
    beside = [line["part"] for line in cost["lines"] if not line["included"] or line["total_usd"] is None]
    return {**{name: cost.get(name) for name in _COST}, "not_in_total": beside}


def _stated(layout: Mapping[str, Any]) -> dict[str, Any]:
    """Degrees that say something: most of a layout is one."""
    return {name: value for name, value in layout.items() if value is not None and value != 1}


def _body(
    kind: str,
    option: Mapping[str, Any] | None,
    shortfall: Mapping[str, Any] | None,
    engine_version: str,
    *,
    digest: str,
    versions: Versions,
) -> str:
    body = {
        "kind": kind,
        "feasible": option is not None,
        "option": option,
        "shortfall": shortfall,
        "engine_version": engine_version,
        "catalog_version": versions.catalog,
        "calibration_version": versions.calibration,
        "price_book_digest": versions.price_book_digest,
        "digest": digest,
    }
    return canonical_json(body).decode()
