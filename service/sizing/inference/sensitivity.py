"""Which assumption moves the recommended option most, when each goes from its lower to its upper bound."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from service.sizing.calibration import Assumption, Calibration
from service.sizing.inference.asks import FleetAsk
from service.sizing.inference.memory import Reserves, inference_memory, reserves_of
from service.sizing.inference.software import DEFAULT_ENGINE, software_of
from service.sizing.inference.traffic import fleet_demand
from service.sizing.joint import Sizing
from service.sizing.result import Sensitivity
from service.sizing.table import FloatArray
from service.sizing.workload import InferenceWorkload, ServingEngine

_WATCHED = (
    "inference.framework_reserve_gb",
    "inference.prefill_chunk_tokens",
    "inference.tpot_tail_sigma_fraction",
)


def _watched(workload: InferenceWorkload) -> tuple[str, ...]:
    """The engine's own assumptions, and what a demand in users was not given."""
    demand = workload.demand
    assumed = ("requests_user_hour", "peak_factor") if demand.users is not None else ()
    engine = workload.engine or DEFAULT_ENGINE
    mine = f"inference.memory_fraction.{engine}"
    return (mine, *_WATCHED, *(f"inference.{name}" for name in assumed if getattr(demand, name) is None))


def inference_sensitivity(
    asked: FleetAsk, row: int, *, calibration: Calibration, workload: InferenceWorkload
) -> Sizing[tuple[Sensitivity, ...]]:
    """GPUs of the option's instances at both bounds of each watched assumption, the largest swing first.

    Where the GPUs are given it is what they carry. `asked` is what was asked of the option's group, `row` its layout
    among all of the bench. Every bound is a candidate of its own, so that all of them are planned in one call.
    """
    bounds = _bounds(calibration, workload.engine, _watched(workload))
    rows = np.full(len(bounds.bent), row)
    layouts = asked.bench.layouts.take(rows)
    (fleet,) = yield [
        replace(
            asked,
            rows=rows,
            memory=inference_memory(
                asked.bench.load,
                layouts,
                table=asked.table,
                isl_tokens=workload.isl_tokens.mean,
                osl_tokens=workload.osl_tokens.mean,
                software=software_of(workload.engine, None, calibration),
                reserves=bounds.reserves,
            ),
            chunk_tokens=bounds.chunk_tokens,
            tpot_sigma_fraction=bounds.tpot_sigma_fraction,
            # An assumption that the demand rests on may be the one that is bent.
            wanted=np.array([fleet_demand(workload, one_bent).wanted for one_bent in bounds.bent]),
        )
    ]
    given = workload.demand.saturate_gpus is not None
    gpus = (fleet.instances + fleet.prefill_instances) * layouts.gpus_instance
    moved = fleet.predicted * fleet.instances if given else gpus
    found = [
        Sensitivity(
            assumption=entry.id,
            low=entry.low,
            high=entry.high,
            metric="requests_s" if given else "gpus",
            at_low=float(moved[2 * place]),
            at_high=float(moved[2 * place + 1]),
        )
        for place, entry in enumerate(bounds.watched)
    ]
    return tuple(sorted(found, key=lambda s: (-abs(s.at_high - s.at_low), s.assumption)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Bounds:
    """Each watched assumption at its lower and at its upper bound, one after another, and what follows from it."""

    watched: tuple[Assumption, ...]
    bent: tuple[Calibration, ...]
    reserves: Reserves
    chunk_tokens: FloatArray
    tpot_sigma_fraction: FloatArray


@lru_cache(maxsize=16)
def _bounds(calibration: Calibration, engine: ServingEngine | None, names: tuple[str, ...]) -> _Bounds:
    """The same for all questions that watch these."""
    watched = tuple(calibration.assumptions[name] for name in names)
    bent = tuple(_bent(calibration, entry, value) for entry in watched for value in (entry.low, entry.high))
    return _Bounds(
        watched=watched,
        bent=bent,
        reserves=_reserves(bent, engine),
        chunk_tokens=_column(bent, "inference.prefill_chunk_tokens"),
        tpot_sigma_fraction=_column(bent, "inference.tpot_tail_sigma_fraction"),
    )


def _bent(calibration: Calibration, entry: Assumption, value: float) -> Calibration:
    return replace(calibration, assumptions={**calibration.assumptions, entry.id: replace(entry, value=value)})


def _column(bent: tuple[Calibration, ...], assumption: str) -> FloatArray:
    return np.array([[moved.assumption(assumption)] for moved in bent], dtype=np.float64)


def _reserves(bent: tuple[Calibration, ...], engine: ServingEngine | None) -> Reserves:
    each = [reserves_of(software_of(engine, None, moved), moved) for moved in bent]
    names = Reserves.__dataclass_fields__
    return Reserves(**{name: np.array([getattr(one, name) for one in each], dtype=np.float64) for name in names})
