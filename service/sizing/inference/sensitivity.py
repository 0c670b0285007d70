"""Which assumption moves the recommended option's GPUs most, when each goes from its lower to its upper bound."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.fleet import Fleet, Group
from service.sizing.inference.memory import inference_memory
from service.sizing.inference.software import DEFAULT_ENGINE, software_of
from service.sizing.result import Sensitivity
from service.sizing.table import HardwareTable
from service.sizing.workload import InferenceWorkload

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


Plan = Callable[[Group, Calibration], Fleet]


def inference_sensitivity(
    group: Group,
    row: int,
    *,
    plan: Plan,
    table: HardwareTable,
    calibration: Calibration,
    workload: InferenceWorkload,
) -> tuple[Sensitivity, ...]:
    """GPUs of the option's instances at both bounds of each watched assumption, the largest swing first."""
    one = group.bench.take(np.array([row]))
    layouts = one.layouts

    def gpus(assumption: str, value: float) -> float:
        changed = replace(calibration.assumptions[assumption], value=value)
        moved = replace(calibration, assumptions={**calibration.assumptions, assumption: changed})
        software = software_of(workload.engine, None, moved)
        memory = inference_memory(
            group.load,
            layouts,
            table=table,
            isl_tokens=workload.isl_tokens.mean,
            osl_tokens=workload.osl_tokens.mean,
            software=software,
            calibration=moved,
        )
        bench = replace(
            one,
            chunk_tokens=moved.assumption("inference.prefill_chunk_tokens"),
            tpot_sigma_fraction=moved.assumption("inference.tpot_tail_sigma_fraction"),
        )
        fleet = plan(replace(group, bench=bench, memory=memory), moved)
        return float((fleet.instances + fleet.prefill_instances)[0] * layouts.gpus_instance[0])

    found = []
    for name in _watched(workload):
        entry = calibration.assumptions[name]
        found.append(
            Sensitivity(
                assumption=name,
                low=entry.low,
                high=entry.high,
                metric="gpus",
                at_low=gpus(name, entry.low),
                at_high=gpus(name, entry.high),
            )
        )
    return tuple(sorted(found, key=lambda s: (-abs(s.at_high - s.at_low), s.assumption)))
