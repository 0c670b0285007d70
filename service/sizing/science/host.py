"""What the servers around the GPUs must bring: cores, RAM, local NVMe, databases, CPU-only servers for alignments."""

import math
from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import CpuServerSpec, ServerSpec
from service.sizing.result import Quantity, StoragePlan, WorkingStep
from service.sizing.science.alignments import (
    MsaNeeds,
    search_gpus,
    searches_at_once,
    searches_server,
    spare_of_server,
)
from service.sizing.science.application import HostNeeds
from service.sizing.science.folding import floor_bucket, longest_tokens
from service.sizing.science.host_working import host_working, placed_figures
from service.sizing.science.job import Job
from service.sizing.science.workload import ScienceWorkload
from service.sizing.spoken import spoken
from service.sizing.storage import science_storage, sequence_storage
from service.sizing.table import FloatArray, HardwareTable
from service.sizing.training.demand import storage_plan
from service.sizing.training.explain import Point
from service.sizing.units import GB, KILO, TB

# What the bill of an option looks for.
CPU_SERVERS = "msa_cpu_servers"
HOST_RAM, LOCAL_NVME = "host_ram_gb_server", "local_nvme_tb_server"


def usable_gpus(table: HardwareTable, host: HostNeeds | None) -> FloatArray:
    """GPUs [count] of one server that its cores and RAM can feed: min(GPUs, cores / cores each, RAM / RAM each).

    An unknown figure does not bind.
    """
    gpus = table.gpus_server.astype(np.float64)
    if host is None:
        return gpus
    cores = np.array([math.inf if s.cpu_cores is None else float(s.cpu_cores) for s in table.servers])
    ram_gb = np.array([math.inf if s.max_memory_tb is None else s.max_memory_tb * KILO for s in table.servers])
    by_cores = np.floor(cores / host.cores_gpu) if host.cores_gpu else gpus
    by_ram = np.floor(ram_gb / host.ram_gb_gpu) if host.ram_gb_gpu else gpus
    return np.asarray(np.minimum(gpus, np.minimum(by_cores, by_ram)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Requirements of one option and what to say about them."""

    requirements: tuple[Quantity, ...]
    notes: tuple[str, ...]
    storage: StoragePlan
    working: tuple[WorkingStep, ...]


def surroundings(
    job: Job,
    workload: ScienceWorkload,
    *,
    server: ServerSpec,
    servers: int,
    beside: int,
    cpu_server: CpuServerSpec | None,
    gpus_server: float,
    memory_bytes: float,
    calibration: Calibration,
    point: Point | None = None,
) -> Surroundings:
    """Host, alignment and storage needs of `servers` servers of which `gpus_server` GPUs each work.

    `beside` servers without GPUs, of the kind of `cpu_server`, make alignments. `memory_bytes` are those of one GPU:
    they bound the longest target. `point` is what the training engine says.
    """
    host = job.application.host
    requirements: list[Quantity] = []
    notes: list[str] = []
    longest = longest_that_fits(job, memory_bytes)
    if longest is not None:
        requirements.append(Quantity(name="longest_target_tokens", value=longest))
    needs = job.msa
    spare = servers * spare_of_server(server, host=host, usable=gpus_server, needs=needs)
    searching_gb = 0.0 if needs is None else _search_ram_gb(needs, searches_server(needs, spare=spare, servers=servers))
    if host is not None:
        requirements += _host_quantities(job, host, gpus_server=gpus_server, searching_gb=searching_gb)
    if gpus_server < server.gpus:
        notes.append(f"host cores or RAM feed {spoken(gpus_server)} of the {server.gpus} GPUs of a server")
    if needs is not None:
        requirements += _msa_quantities(needs, spare, beside, servers=servers, cpu=cpu_server, calibration=calibration)
        notes += _msa_notes(needs, beside, calibration=calibration)
    return Surroundings(
        requirements=tuple(requirements),
        notes=tuple(notes),
        storage=_storage(job, servers=servers, calibration=calibration, point=point),
        working=host_working(
            tuple(requirements),
            job,
            workload,
            needs=needs,
            placed=placed_figures(
                server=server,
                cpu_server=cpu_server,
                servers=servers,
                gpus_server=gpus_server,
                memory_bytes=memory_bytes,
            ),
            calibration=calibration,
        ),
    )


def _host_quantities(job: Job, host: HostNeeds, *, gpus_server: float, searching_gb: float) -> list[Quantity]:
    """What the GPUs of a server that work ask of it; the RAM with what searches it."""
    return [
        Quantity(name="host_cores_server", value=host.cores_gpu * gpus_server),
        Quantity(name=HOST_RAM, value=host.ram_gb_gpu * gpus_server + searching_gb),
        Quantity(name=LOCAL_NVME, value=local_nvme_tb(job)),
        Quantity(name="database_tb", value=database_tb(job)),
    ]


def database_tb(job: Job) -> float | None:
    """What the route searches, where it has databases of its own; else those of the application."""
    own = None if job.msa is None else job.msa.route.database_tb
    if own is not None:
        return own
    return None if job.application.host is None else job.application.host.database_tb


def local_nvme_tb(job: Job) -> float | None:
    """Disks of every server [TB]: what the application is published with, and no less than searches in it read."""
    own = None if job.application.host is None else job.application.host.nvme_tb_server
    searched = None if job.msa is None else job.msa.route.nvme_tb
    known = [tb for tb in (own, searched) if tb is not None]
    return max(known, default=None)


def longest_that_fits(job: Job, memory_bytes: float) -> float | None:
    """Longest target [tokens] of a GPU with so much memory; None for work whose memory has no length."""
    law, facts = job.application.memory, job.application.folding
    if job.longest is None or law is None or facts is None:
        return None
    return floor_bucket(float(longest_tokens(memory_bytes, law)), facts)


def _search_ram_gb(needs: MsaNeeds, searches: float) -> float:
    return searches * (needs.route.ram_gb or 0.0)


def _msa_quantities(
    needs: MsaNeeds, spare: float, beside: int, *, servers: int, cpu: CpuServerSpec | None, calibration: Calibration
) -> list[Quantity]:
    if needs.route.core_h_chain == 0.0:
        return []
    on_gpus = needs.gpu_hours_high is not None
    searches = searches_server(needs, spare=spare, servers=servers)
    on_cpu_server = searches_at_once(needs.route, float(cpu.cpu_cores)) if beside and cpu is not None else None
    return [
        Quantity(name="msa_chains_day", value=needs.chains_day),
        Quantity(name="msa_cpu_cores", value=needs.cpu_cores),
        Quantity(name="msa_cpu_cores_low", value=needs.cpu_cores_low),
        Quantity(name="msa_cpu_cores_high", value=needs.cpu_cores_high),
        Quantity(name="msa_spare_cores_in_gpu_servers", value=spare),
        Quantity(name=CPU_SERVERS, value=None if on_gpus else float(beside)),
        Quantity(name="msa_ram_gb", value=needs.route.ram_gb),
        Quantity(name="msa_searches_server", value=searches),
        Quantity(name="msa_ram_gb_server", value=_search_ram_gb(needs, searches)),
        Quantity(
            name="msa_ram_gb_cpu_server", value=None if on_cpu_server is None else _search_ram_gb(needs, on_cpu_server)
        ),
        Quantity(name="msa_nvme_tb", value=needs.route.nvme_tb),
        Quantity(name="msa_nvme_gb_s", value=needs.route.nvme_gb_s),
        Quantity(name="msa_gpu_memory_gb", value=needs.route.gpu_memory_gb),
        Quantity(name="msa_gpus_most", value=float(search_gpus(needs, calibration)) if on_gpus else None),
    ]


def _msa_notes(needs: MsaNeeds, beside: int, *, calibration: Calibration) -> list[str]:
    if needs.route.core_h_chain == 0.0:
        return []
    told = f"alignments by {needs.route.id}: {needs.route.note}"
    if needs.gpu_hours_high is not None:
        gpus = search_gpus(needs, calibration)
        bound = "the most that was published of a chain, for batches have no published rate"
        return [f"{told}; {spoken(gpus)} of the GPUs of this option search alignments: {bound}"]
    if not beside:
        return [told]
    servers = "server" if beside == 1 else "servers"
    count = f"alignments take {spoken(beside)} CPU-only {servers} beside (requirements.{CPU_SERVERS})"
    return [
        told,
        f"{count}: power, racks, network and energy of this option hold them, its cost where they have a price",
    ]


def _storage(job: Job, *, servers: int, calibration: Calibration, point: Point | None) -> StoragePlan:
    host, items = job.application.host, job.demand_day or 0.0

    def daily(gb_item: float | None) -> float | None:
        return None if gb_item is None else items * gb_item * GB

    def sized(tb: float | None) -> float | None:
        return None if tb is None else tb * TB

    source = f"config/science/{job.application.id}.yaml: host"
    local = sized(local_nvme_tb(job))
    if point is not None:
        return sequence_storage(storage_plan(point, calibration), local_bytes_server=local, source=source)
    one = None if host is None else daily(host.output_gb_item)
    outputs = None if one is None else one * job.stored_units_item
    if job.output_bytes_item is not None:
        outputs = items * job.output_bytes_item
    if host is not None and host.output_gb_server_day is not None:
        outputs = host.output_gb_server_day * GB * servers
    return science_storage(
        database_bytes=sized(database_tb(job)),
        input_bytes_day=None if host is None else daily(host.input_gb_item),
        output_bytes_day=outputs,
        local_bytes_server=local,
        retention_days=calibration.assumption("science.output_retention_days"),
        source=source,
    )
