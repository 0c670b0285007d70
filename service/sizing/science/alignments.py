"""The alignment stage of structure prediction: cores and CPU-only servers, or GPUs, that keep up with the targets."""

from dataclasses import dataclass

import numpy as np

from service.errors import FieldError, UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.hardware import CpuServerSpec
from service.sizing.numeric import Numeric
from service.sizing.science.application import FoldingFacts, HostNeeds, MsaRoute
from service.sizing.science.workload import FoldingWorkload
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import DAY_S, HOUR_S


@dataclass(frozen=True, slots=True, kw_only=True)
class MsaNeeds:
    """What the alignment stage asks for; None where no rate was published."""

    route: MsaRoute
    chains_day: float
    cpu_cores: float | None
    cpu_cores_low: float | None
    cpu_cores_high: float | None
    gpu_hours_high: float | None


def msa_needs(
    workload: FoldingWorkload, facts: FoldingFacts, calibration: Calibration, *, targets_day: float
) -> MsaNeeds:
    """Cores [count] that keep up: chains/day x core-hours per chain / (24 h x utilisation); seeds add none."""
    route = next((r for r in facts.msa_routes if r.id == workload.msa.route), None)
    if route is None:
        known = ", ".join(r.id for r in facts.msa_routes)
        why = f" ({facts.msa_routes[0].note})" if len(facts.msa_routes) == 1 else ""
        message = f"{workload.application} has no alignment route {workload.msa.route}; it has {known}{why}"
        raise UnsupportedWorkloadError(
            message,
            errors=(
                FieldError(field="workload.msa.route", message=message, value=str(workload.msa.route), limit=known),
            ),
        )
    chains_day = targets_day * workload.msa.unique_chains_per_target
    hours = DAY_S / HOUR_S * calibration.assumption("science.utilisation_fraction")

    def cores(core_h: float | None) -> float | None:
        return None if core_h is None else chains_day * core_h / hours

    return MsaNeeds(
        route=route,
        chains_day=chains_day,
        cpu_cores=cores(route.core_h_chain),
        cpu_cores_low=cores(route.core_h_chain_low),
        cpu_cores_high=cores(route.core_h_chain_high),
        gpu_hours_high=None if route.gpu_s_chain_high is None else chains_day * route.gpu_s_chain_high / HOUR_S,
    )


def search_gpus(needs: MsaNeeds | None, calibration: Calibration) -> int:
    """GPUs [count] that searches on GPUs take at most: GPU hours of a day over those that a GPU computes."""
    if needs is None or needs.gpu_hours_high is None:
        return 0
    hours = DAY_S / HOUR_S * calibration.assumption("science.utilisation_fraction")
    return int(np.ceil(needs.gpu_hours_high / hours * (1.0 - 1e-12)))


def spare_cores(
    table: HardwareTable, server: IntArray, *, servers: Numeric, host: HostNeeds | None, usable: FloatArray
) -> FloatArray:
    """Cores [count] of each fleet that its GPUs leave; none where the cores of a server are unknown."""
    cores = np.array([float(s.cpu_cores or 0) for s in table.servers], dtype=np.float64)[server]
    taken = 0.0 if host is None else host.cores_gpu * usable[server]
    return np.asarray(np.maximum(0.0, cores - taken) * servers, dtype=np.float64)


def cpu_servers_beside(needs: MsaNeeds | None, spare: FloatArray, kinds: tuple[CpuServerSpec, ...]) -> IntArray:
    """CPU-only servers [count] of each fleet, at the most that a chain took: GPUs must never wait for alignments."""
    if needs is None or needs.cpu_cores_high is None or not kinds:
        return np.zeros(spare.shape, dtype=np.int64)
    missing = np.maximum(0.0, needs.cpu_cores_high - spare)
    return np.ceil(missing / float(kinds[0].cpu_cores)).astype(np.int64)
