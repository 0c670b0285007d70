"""One ranked candidate of science becomes an option, with everything around its GPUs."""

from dataclasses import dataclass

from service.sizing.beside import Beside
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.infrastructure import infrastructure
from service.sizing.result import Quantity, SizingOption
from service.sizing.science.alignments import search_gpus
from service.sizing.science.explain import science_working
from service.sizing.science.host import surroundings
from service.sizing.science.job import Job
from service.sizing.science.metrics import bottleneck, science_metrics
from service.sizing.science.performance import Performance, Rows
from service.sizing.science.rate import RateTable
from service.sizing.science.spread_out import batch_of, layout_of, parts_of, point_of, precision_of, shares_of
from service.sizing.science.workload import ScienceWorkload
from service.sizing.table import FloatArray, HardwareTable
from service.sizing.units import DAY_S, GB
from service.sizing.workload import Constraints

# The share of a day that every figure per day counts.
PLANNED_MOST = "planned_most_fraction"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """A candidate that won its place."""

    job: Job
    rows: Rows
    physics: Performance
    row: int
    servers: int
    # Servers without GPUs.
    beside: int


def science_option(
    rank: int,
    chosen: Chosen,
    *,
    workload: ScienceWorkload,
    hardware: Hardware,
    table: HardwareTable,
    rates: RateTable,
    usable: FloatArray,
    calibration: Calibration,
    constraints: Constraints,
    explained: bool,
) -> SizingOption:
    """The option of a candidate; `explained` with its working."""
    job, rows, physics, row, servers = chosen.job, chosen.rows, chosen.physics, chosen.row, chosen.servers
    at = int(rows.server[row])
    server, gpu = table.servers[at], table.gpus[at]
    point = point_of(physics, row, table=table, server=at, calibration=calibration)
    around = surroundings(
        job,
        workload,
        server=server,
        servers=servers,
        beside=chosen.beside,
        cpu_server=next(iter(hardware.cpu_servers), None),
        gpus_server=float(usable[at]),
        memory_bytes=float(table.memory_bytes[at]),
        calibration=calibration,
        point=point,
    )
    built = infrastructure(
        server,
        gpu,
        servers=servers,
        east_west=job.coupled,
        storage=around.storage,
        hardware=hardware,
        constraints=constraints,
        calibration=calibration,
        beside=_beside(chosen, hardware),
        busy_fraction=_busy_fraction(chosen, calibration),
    )
    rate = rates.rates[at]
    return SizingOption(
        rank=rank,
        server=server.id,
        server_name=server.name,
        sku=server.sku,
        orderable=server.orderable,
        gpu=gpu.id,
        servers=servers,
        spare_servers=0,
        gpus=servers * server.gpus,
        gpus_instance=int(rows.gpus_instance[row]),
        replicas=int(rows.instances[row]),
        layout=layout_of(physics, row, gpus=int(rows.gpus_instance[row])),
        mode="coupled" if job.coupled else "replicas",
        weight_precision=None,
        kv_precision=None,
        precision=precision_of(job),
        batch=batch_of(physics),
        metrics=science_metrics(
            job, workload, rows=rows, physics=physics, rates=rates, row=row, calibration=calibration
        ),
        confidence_fraction=_confidence(chosen, calibration),
        memory_gb_gpu=parts_of(physics, row, point),
        memory_used_gb_gpu=float(physics.memory_bytes[row]) / GB,
        memory_usable_gb_gpu=float(physics.usable_bytes[row]) / GB,
        bottleneck=bottleneck(job, physics, row, gpus_server=float(usable[at]), gpus=server.gpus, point=point),
        utilisation=(*_utilisation(chosen, calibration), *shares_of(job, physics, row, point)),
        network=built.network,
        storage=built.storage,
        facility=built.facility,
        requirements=around.requirements,
        notes=(
            *(() if job.application.licence is None else (f"licence: {job.application.licence}",)),
            *(() if rate is None else (f"speed: {rate.how}",)),
            f"bounds: {job.application.bounds}",
            *job.application.notes,
            *around.notes,
        ),
        working=(
            *science_working(
                job,
                rows=rows,
                physics=physics,
                rates=rates,
                table=table,
                row=row,
                servers=servers,
                calibration=calibration,
                point=point,
            ),
            *around.working,
            *built.working,
        )
        if explained
        else (),
    )


def _beside(chosen: Chosen, hardware: Hardware) -> Beside | None:
    if not chosen.beside:
        return None
    return Beside(server=hardware.cpu_servers[0].placed(), servers=chosen.beside)


def _busy_fraction(chosen: Chosen, calibration: Calibration) -> float:
    """Share of the planned time that GPUs compute; those that search alignments do all of it."""
    job, row = chosen.job, chosen.row
    busy_s = float(chosen.physics.item_s[row]) * (job.demand_day or 0.0) / float(chosen.rows.instances[row])
    mine = float(chosen.rows.instances[row] * chosen.rows.gpus_instance[row])
    searching = search_gpus(job.msa, calibration)
    share = busy_s / DAY_S / calibration.assumption("science.utilisation_fraction")
    return (share * mine + searching) / (mine + searching)


def _confidence(chosen: Chosen, calibration: Calibration) -> float:
    """Share of the outcomes in which the servers do what is asked in a day."""
    job, row = chosen.job, chosen.row
    seconds = DAY_S * calibration.assumption("science.utilisation_fraction")
    bound_s = seconds * float(chosen.rows.instances[row]) / (job.demand_day or 1.0)
    return float(chosen.physics.confidence(bound_s, row=slice(row, row + 1))[0])


def _utilisation(chosen: Chosen, calibration: Calibration) -> tuple[Quantity, ...]:
    """Share of the day that the GPUs compute when the predicted time holds, and the parallel efficiency."""
    job, row = chosen.job, chosen.row
    busy_s = float(chosen.physics.item_s[row]) * (job.demand_day or 0.0) / float(chosen.rows.instances[row])
    planned = calibration.assumption("science.utilisation_fraction")
    return (
        Quantity(name="gpu_busy_fraction", value=busy_s / DAY_S),
        Quantity(name=PLANNED_MOST, value=planned),
    )
