"""Which assumption moves the recommended option's GPUs most, when each goes from its lower to its upper bound."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.fleet import Fleet, Group
from service.sizing.inference.memory import inference_memory
from service.sizing.inference.traffic import held_tokens
from service.sizing.result import Sensitivity
from service.sizing.table import HardwareTable
from service.sizing.workload import InferenceWorkload

_WATCHED = (
    "inference.memory_usable_fraction",
    "inference.framework_reserve_gb",
    "inference.prefill_chunk_tokens",
    "inference.tpot_tail_sigma_fraction",
)


def _watched(workload: InferenceWorkload) -> tuple[str, ...]:
    """The engine's own assumptions, and what a demand in users was not given."""
    demand = workload.demand
    assumed = ("requests_user_hour", "peak_factor") if demand.users is not None else ()
    return (*_WATCHED, *(f"inference.{name}" for name in assumed if getattr(demand, name) is None))


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
    layouts = group.layouts.take(np.array([row]))

    def gpus(assumption: str, value: float) -> float:
        changed = replace(calibration.assumptions[assumption], value=value)
        moved = replace(calibration, assumptions={**calibration.assumptions, assumption: changed})
        memory = inference_memory(
            group.load, layouts, table=table, context_tokens=held_tokens(workload), calibration=moved
        )
        fleet = plan(replace(group, layouts=layouts, memory=memory), moved)
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
