"""One ranked candidate of science becomes an option, with everything around its GPUs."""

from dataclasses import dataclass

from service.sizing.beside import Beside
from service.sizing.hardware import Hardware
from service.sizing.infrastructure import Infrastructure, infrastructure
from service.sizing.result import Quantity, SizingOption, StoragePlan, WorkingStep
from service.sizing.science.alignments import search_gpus
from service.sizing.science.candidates import UTILISATION, Candidates, Scene
from service.sizing.science.explain import science_working
from service.sizing.science.host import Surroundings, surroundings
from service.sizing.science.metrics import bottleneck, science_metrics
from service.sizing.science.outside import outside_evidence
from service.sizing.science.spread_out import batch_of, layout_of, parts_of, point_of, precision_of, shares_of
from service.sizing.science.workload import ScienceWorkload
from service.sizing.training.explain import Point
from service.sizing.units import DAY_S, GB
from service.sizing.workload import Constraints

# The share of a day that every figure per day counts.
PLANNED_MOST = "planned_most_fraction"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """A candidate that won its place."""

    scene: Scene
    found: Candidates
    row: int

    @property
    def server(self) -> int:
        """Its row of the table."""
        return int(self.found.rows.server[self.row])

    @property
    def servers(self) -> int:
        """Servers with GPUs."""
        return int(self.found.servers[self.row])

    @property
    def beside(self) -> int:
        """Servers without GPUs."""
        return int(self.found.beside[self.row])

    @property
    def instances(self) -> float:
        """Jobs that run at once."""
        return float(self.found.rows.instances[self.row])

    @property
    def gpus_instance(self) -> int:
        """GPUs of each of them."""
        return int(self.found.rows.gpus_instance[self.row])

    @property
    def busy_s(self) -> float:
        """Seconds of a day that an instance computes when the predicted time holds."""
        return float(self.found.physics.item_s[self.row]) * (self.scene.job.demand_day or 0.0) / self.instances


def science_option(
    rank: int,
    chosen: Chosen,
    *,
    workload: ScienceWorkload,
    hardware: Hardware,
    constraints: Constraints,
    explained: bool,
) -> SizingOption:
    """The option of a candidate; `explained` with its working."""
    scene, physics, row = chosen.scene, chosen.found.physics, chosen.row
    job, table, calibration = scene.job, scene.table, scene.calibration
    server, servers, gpu = table.servers[chosen.server], chosen.servers, table.gpus[chosen.server]
    point = point_of(physics, row, table=table, server=chosen.server, calibration=calibration)
    around = _around(chosen, workload, hardware, point)
    built = _built(chosen, around.storage, hardware=hardware, constraints=constraints)
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
        gpus_instance=chosen.gpus_instance,
        replicas=int(chosen.instances),
        layout=layout_of(physics, row, gpus=chosen.gpus_instance),
        mode="coupled" if job.coupled else "replicas",
        weight_precision=None,
        kv_precision=None,
        precision=precision_of(job),
        batch=batch_of(physics),
        metrics=science_metrics(
            job,
            workload,
            rows=chosen.found.rows,
            physics=physics,
            rates=scene.rates,
            row=row,
            calibration=calibration,
        ),
        confidence_fraction=_confidence(chosen),
        memory_gb_gpu=parts_of(physics, row, point),
        memory_used_gb_gpu=float(physics.memory_bytes[row]) / GB,
        memory_usable_gb_gpu=float(physics.usable_bytes[row]) / GB,
        bottleneck=bottleneck(
            job, physics, row, gpus_server=float(scene.usable[chosen.server]), gpus=server.gpus, point=point
        ),
        utilisation=(*_utilisation(chosen), *shares_of(job, physics, row, point)),
        network=built.network,
        storage=built.storage,
        facility=built.facility,
        requirements=around.requirements,
        notes=(*_notes(chosen), *around.notes),
        working=(*_working(chosen, point), *around.working, *built.working) if explained else (),
    )


def _around(chosen: Chosen, workload: ScienceWorkload, hardware: Hardware, point: Point | None) -> Surroundings:
    """Hosts, alignments and storage."""
    scene = chosen.scene
    return surroundings(
        scene.job,
        workload,
        server=scene.table.servers[chosen.server],
        servers=chosen.servers,
        beside=chosen.beside,
        cpu_server=next(iter(hardware.cpu_servers), None),
        gpus_server=float(scene.usable[chosen.server]),
        memory_bytes=float(scene.table.memory_bytes[chosen.server]),
        calibration=scene.calibration,
        point=point,
    )


def _built(chosen: Chosen, storage: StoragePlan, *, hardware: Hardware, constraints: Constraints) -> Infrastructure:
    """Network, storage and facility."""
    scene = chosen.scene
    return infrastructure(
        scene.table.servers[chosen.server],
        scene.table.gpus[chosen.server],
        servers=chosen.servers,
        east_west=scene.job.coupled,
        storage=storage,
        hardware=hardware,
        constraints=constraints,
        calibration=scene.calibration,
        beside=_beside(chosen, hardware),
        busy_fraction=_busy_fraction(chosen),
    )


def _beside(chosen: Chosen, hardware: Hardware) -> Beside | None:
    if not chosen.beside:
        return None
    return Beside(server=hardware.cpu_servers[0].placed(), servers=chosen.beside)


def _busy_fraction(chosen: Chosen) -> float:
    """Share of the planned time that GPUs compute; those that search alignments do all of it."""
    calibration = chosen.scene.calibration
    mine = float(chosen.instances * chosen.gpus_instance)
    searching = search_gpus(chosen.scene.job.msa, calibration)
    share = chosen.busy_s / DAY_S / calibration.assumption(UTILISATION)
    return (share * mine + searching) / (mine + searching)


def _confidence(chosen: Chosen) -> float:
    """Share of the outcomes in which the servers do what is asked in a day."""
    row = chosen.row
    seconds = DAY_S * chosen.scene.calibration.assumption(UTILISATION)
    bound_s = seconds * chosen.instances / (chosen.scene.job.demand_day or 1.0)
    return float(chosen.found.physics.confidence(bound_s, row=slice(row, row + 1))[0])


def _utilisation(chosen: Chosen) -> tuple[Quantity, ...]:
    """Share of the day that the GPUs compute when the predicted time holds, and the parallel efficiency."""
    return (
        Quantity(name="gpu_busy_fraction", value=chosen.busy_s / DAY_S),
        Quantity(name=PLANNED_MOST, value=chosen.scene.calibration.assumption(UTILISATION)),
    )


def _notes(chosen: Chosen) -> tuple[str, ...]:
    """Under which licence the application runs, what its speed rests on, what bounds it, where evidence ends."""
    application, rate = chosen.scene.job.application, chosen.scene.rates.rates[chosen.server]
    physics, gpus = chosen.found.physics, float(chosen.gpus_instance)
    outside = outside_evidence(chosen.scene.job, physics, chosen.row, gpus=gpus)
    return (
        *(() if application.licence is None else (f"licence: {application.licence}",)),
        *(() if rate is None else (f"speed: {rate.how}",)),
        f"bounds: {application.bounds}",
        *(f"{one.value}: {one.why}" for one in outside),
        *application.notes,
    )


def _working(chosen: Chosen, point: Point | None) -> tuple[WorkingStep, ...]:
    scene = chosen.scene
    return science_working(
        scene.job,
        rows=chosen.found.rows,
        physics=chosen.found.physics,
        rates=scene.rates,
        table=scene.table,
        row=chosen.row,
        servers=chosen.servers,
        calibration=scene.calibration,
        point=point,
    )
