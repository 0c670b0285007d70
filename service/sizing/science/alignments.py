"""The alignment stage of structure prediction: cores and CPU-only servers, or GPUs, that keep up with the targets."""

import math
from dataclasses import dataclass

import numpy as np

from service.errors import FieldError, UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.hardware import CpuServerSpec, ServerSpec
from service.sizing.numeric import Numeric
from service.sizing.science.application import FoldingFacts, HostNeeds, MsaRoute
from service.sizing.science.workload import FoldingWorkload
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import DAY_S, HOUR_S, KILO


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
    table: HardwareTable,
    server: IntArray,
    *,
    servers: Numeric,
    host: HostNeeds | None,
    usable: FloatArray,
    needs: MsaNeeds | None,
) -> FloatArray:
    """Cores [count] of each fleet that its GPUs leave; none where the cores of a server are unknown."""
    cores = np.array([float(s.cpu_cores or 0) for s in table.servers], dtype=np.float64)
    ram_gb = np.array([_most_ram_gb(s) for s in table.servers], dtype=np.float64)
    spare = spare_cores_server(cores[server], ram_gb[server], host=host, usable=usable[server], needs=needs)
    return np.asarray(spare * servers, dtype=np.float64)


def spare_of_server(server: ServerSpec, *, host: HostNeeds | None, usable: float, needs: MsaNeeds | None) -> float:
    """Cores [count] that the `usable` GPUs of one server leave for searches."""
    cores, ram_gb = np.array([float(server.cpu_cores or 0)]), np.array([_most_ram_gb(server)])
    return float(spare_cores_server(cores, ram_gb, host=host, usable=np.array([usable]), needs=needs)[0])


def spare_cores_server(
    cores: FloatArray, ram_gb: FloatArray, *, host: HostNeeds | None, usable: FloatArray, needs: MsaNeeds | None
) -> FloatArray:
    """Cores [count] of a server that its GPUs leave, and no more than the RAM that they leave holds searches of."""
    left = cores - (0.0 if host is None else host.cores_gpu * usable)
    if needs is not None and needs.route.ram_gb is not None:
        free_gb = ram_gb - (0.0 if host is None else host.ram_gb_gpu * usable)
        searches = np.floor(np.maximum(0.0, free_gb) / needs.route.ram_gb)
        held = math.inf if needs.route.search_cores is None else needs.route.search_cores
        left = np.where(searches > 0.0, np.minimum(left, np.maximum(searches, 1.0) * held), 0.0)
    return np.asarray(np.maximum(0.0, left), dtype=np.float64)


def searches_server(needs: MsaNeeds, *, spare: float, servers: int) -> float:
    """Searches [count] at once on each of `servers` servers with `spare` cores together, at the most of a chain."""
    if needs.gpu_hours_high is not None:
        return float(needs.gpu_hours_high > 0.0)
    cores = min(needs.cpu_cores_high or 0.0, spare)
    return searches_at_once(needs.route, cores / servers)


def searches_at_once(route: MsaRoute, cores: float) -> float:
    """Searches [count] that keep so many cores of a server busy."""
    if route.search_cores is None:
        return float(cores > 0.0)
    return float(np.ceil(cores / route.search_cores * (1.0 - 1e-12)))


def _most_ram_gb(server: ServerSpec) -> float:
    return math.inf if server.max_memory_tb is None else server.max_memory_tb * KILO


def cpu_servers_beside(needs: MsaNeeds | None, spare: FloatArray, kinds: tuple[CpuServerSpec, ...]) -> IntArray:
    """CPU-only servers [count] of each fleet, at the most that a chain took: GPUs must never wait for alignments."""
    if needs is None or needs.cpu_cores_high is None or not kinds:
        return np.zeros(spare.shape, dtype=np.int64)
    missing = np.maximum(0.0, needs.cpu_cores_high - spare)
    return np.ceil(missing / float(kinds[0].cpu_cores)).astype(np.int64)
