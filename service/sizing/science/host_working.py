"""The working of what a scientific option asks of its hosts: a line for each requirement, with what it follows from."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.sizing.calibration import Calibration
from service.sizing.hardware import CpuServerSpec, ServerSpec
from service.sizing.result import Quantity, WorkingStep
from service.sizing.science.alignments import MsaNeeds
from service.sizing.science.application import HostNeeds
from service.sizing.science.job import Job
from service.sizing.science.workload import FoldingWorkload, ScienceWorkload
from service.sizing.units import GB, KILO


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    """Unit and formula of a requirement, and the names of the figures that go into it."""

    unit: str
    formula: str
    inputs: tuple[str, ...] = ()


_PUBLISHED = "as published of the application"
_ROUTE = "as published of the route"
_CORES = "chains a day x core-hours of a chain / (24 h x utilisation)"
_RULES: Mapping[str, _Rule] = {
    "longest_target_tokens": _Rule(
        unit="tokens",
        formula="((memory - base) / bytes a token pair) ^ (1 / power), down to a bucket",
        inputs=("memory_gb", "base_gb", "size_bytes", "power"),
    ),
    "host_cores_server": _Rule(unit="cores", formula="cores a GPU x working GPUs", inputs=("cores_gpu", "gpus_server")),
    "host_ram_gb_server": _Rule(
        unit="GB",
        formula="RAM a GPU x working GPUs + RAM of the searches for alignments that run on it",
        inputs=("ram_gb_gpu", "gpus_server", "msa_ram_gb_server"),
    ),
    "local_nvme_tb_server": _Rule(
        unit="TB", formula=f"{_PUBLISHED}; no less than the route of alignments reads", inputs=("msa_nvme_tb",)
    ),
    "database_tb": _Rule(unit="TB", formula=f"{_PUBLISHED}; of the route where it searches others"),
    "msa_chains_day": _Rule(
        unit="chains/day",
        formula="targets a day x chains without an alignment; seeds add none",
        inputs=("targets_day", "unique_chains_per_target"),
    ),
    "msa_cpu_cores": _Rule(
        unit="cores", formula=_CORES, inputs=("msa_chains_day", "core_h_chain", "utilisation_fraction")
    ),
    "msa_cpu_cores_low": _Rule(
        unit="cores", formula=_CORES, inputs=("msa_chains_day", "core_h_chain_low", "utilisation_fraction")
    ),
    "msa_cpu_cores_high": _Rule(
        unit="cores", formula=_CORES, inputs=("msa_chains_day", "core_h_chain_high", "utilisation_fraction")
    ),
    "msa_spare_cores_in_gpu_servers": _Rule(
        unit="cores",
        formula="(cores of a server - those that its GPUs take, as many as its RAM holds searches for) x servers",
        inputs=("cpu_cores", "host_cores_server", "servers", "max_memory_gb", "msa_ram_gb", "search_cores"),
    ),
    "msa_cpu_servers": _Rule(
        unit="servers",
        formula="(cores at the most of a chain - spare ones) / cores of a CPU-only server, rounded up",
        inputs=("msa_cpu_cores_high", "msa_spare_cores_in_gpu_servers", "cores_cpu_server"),
    ),
    "msa_ram_gb": _Rule(unit="GB", formula=f"{_ROUTE}, for one search"),
    "msa_searches_server": _Rule(
        unit="searches",
        formula=(
            "cores at the most of a chain, or the spare ones where they are fewer, / servers / cores of a search, "
            "rounded up; one search where it takes all cores or runs on GPUs"
        ),
        inputs=("msa_cpu_cores_high", "msa_spare_cores_in_gpu_servers", "servers", "search_cores"),
    ),
    "msa_ram_gb_server": _Rule(
        unit="GB", formula="searches at once x RAM of a search", inputs=("msa_searches_server", "msa_ram_gb")
    ),
    "msa_ram_gb_cpu_server": _Rule(
        unit="GB",
        formula="cores of a CPU-only server / cores of a search, rounded up, x RAM of a search; one where it takes all",
        inputs=("cores_cpu_server", "search_cores", "msa_ram_gb"),
    ),
    "msa_nvme_tb": _Rule(unit="TB", formula=_ROUTE),
    "msa_nvme_gb_s": _Rule(unit="GB/s", formula=_ROUTE),
    "msa_gpu_memory_gb": _Rule(unit="GB", formula=_ROUTE),
    "msa_gpus_most": _Rule(
        unit="GPUs",
        formula="chains a day x GPU seconds of one at the most / (86,400 x utilisation), rounded up; in the servers",
        inputs=("msa_chains_day", "gpu_s_chain_high", "utilisation_fraction"),
    ),
}


def host_working(
    requirements: tuple[Quantity, ...],
    job: Job,
    workload: ScienceWorkload,
    *,
    needs: MsaNeeds | None,
    placed: Mapping[str, float | None],
    calibration: Calibration,
) -> tuple[WorkingStep, ...]:
    """One step for each requirement; `placed` are figures of the server and of how many there are."""
    host, folding = job.application.host, job.application.folding
    of_host = f"config/science/{job.application.id}.yaml: host" + ("" if host is None else f" ({host.source})")
    of_route = "" if needs is None or folding is None else f"config/science/{job.application.id}.yaml: "
    if needs is not None:
        of_route += f"folding.msa_routes {needs.route.id} ({needs.route.source})"
    searched = {"database_tb"} if needs is not None and needs.route.database_tb is not None else set()
    known = {
        **{one.name: one.value for one in requirements},
        **_stated(host, job, workload),
        **({} if needs is None else _of_route(needs)),
        **placed,
        "utilisation_fraction": calibration.assumption("science.utilisation_fraction"),
    }
    return tuple(
        WorkingStep(
            name=one.name,
            value=one.value,
            unit=rule.unit,
            formula=rule.formula,
            inputs=tuple(Quantity(name=name, value=known.get(name)) for name in rule.inputs),
            source=of_route if one.name.startswith("msa_") or one.name in searched else of_host,
        )
        for one in requirements
        if (rule := _RULES.get(one.name)) is not None
    )


def _stated(host: HostNeeds | None, job: Job, workload: ScienceWorkload) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    if host is not None:
        found |= {"cores_gpu": host.cores_gpu, "ram_gb_gpu": host.ram_gb_gpu}
    law = job.application.memory
    if law is not None:
        found |= {"base_gb": law.base_gb, "size_bytes": law.size_bytes, "power": law.power}
    if isinstance(workload, FoldingWorkload):
        chains = float(workload.msa.unique_chains_per_target)
        found |= {"targets_day": workload.targets_day, "unique_chains_per_target": chains}
    return found


def _of_route(needs: MsaNeeds) -> dict[str, float | None]:
    route = needs.route
    return {
        "core_h_chain": route.core_h_chain,
        "core_h_chain_low": route.core_h_chain_low,
        "core_h_chain_high": route.core_h_chain_high,
        "gpu_s_chain_high": route.gpu_s_chain_high,
        "search_cores": route.search_cores,
    }


def placed_figures(
    *, server: ServerSpec, cpu_server: CpuServerSpec | None, servers: int, gpus_server: float, memory_bytes: float
) -> dict[str, float | None]:
    """Figures of the chosen server that requirements follow from."""
    return {
        "cpu_cores": None if server.cpu_cores is None else float(server.cpu_cores),
        "max_memory_gb": None if server.max_memory_tb is None else server.max_memory_tb * KILO,
        "cores_cpu_server": None if cpu_server is None else float(cpu_server.cpu_cores),
        "servers": float(servers),
        "gpus_server": gpus_server,
        "memory_gb": memory_bytes / GB,
    }
