"""A ranked candidate becomes an option: metrics, memory, network, storage, facility, notes and working."""

import math
from dataclasses import dataclass, replace

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware, ServerSpec
from service.sizing.infrastructure import Infrastructure, infrastructure
from service.sizing.interval import confidence_below
from service.sizing.result import SizingOption
from service.sizing.table import HardwareTable
from service.sizing.training.demand import run_demands, storage_plan
from service.sizing.training.explain import (
    Certainty,
    Point,
    bottleneck,
    training_memory_parts,
    training_metrics,
    utilisation,
)
from service.sizing.training.fleet import Fleet
from service.sizing.training.goodput import reliability_of
from service.sizing.training.job import Job
from service.sizing.training.point import goodput_interval, point_of
from service.sizing.training.working import training_working
from service.sizing.units import GB
from service.sizing.workload import Constraints, Method

# A confidence above it is told as certainty.
_SURE = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionContext:
    """What every option of one question shares."""

    job: Job
    hardware: Hardware
    table: HardwareTable
    calibration: Calibration
    constraints: Constraints
    # Whether options tell their working.
    explained: bool

    def days_with(self, assumption: str, value: float, *, step_s: float, gpus: int) -> float:
        """Time to train [days] with one assumption at another value."""
        entry = replace(self.calibration.assumptions[assumption], value=value)
        moved = replace(self.calibration, assumptions={**self.calibration.assumptions, assumption: entry})
        job = replace(self.job, reliability=reliability_of(moved))
        fraction = job.goodput(np.array([gpus], dtype=np.int64), np.array([step_s])).fraction
        return float(job.days(np.array([step_s]), fraction)[0])

    def around(self, point: Point, *, server: int, servers: int) -> Infrastructure:
        """Network, storage and facility."""
        return infrastructure(
            self.table.servers[server],
            self.table.gpus[server],
            servers=servers,
            east_west=True,
            storage=storage_plan(point, self.calibration),
            hardware=self.hardware,
            constraints=self.constraints,
            calibration=self.calibration,
        )


def training_option(
    context: OptionContext,
    fleet: Fleet,
    *,
    row: int,
    rank: int,
    certainty: Certainty,
) -> SizingOption:
    """The option of one row of a fleet."""
    job, table = context.job, context.table
    server, servers = int(fleet.server[row]), int(fleet.servers[row])
    spec = table.servers[server]
    point = point_of(job, fleet, row, table)
    around = context.around(point, server=server, servers=servers)
    promises = _promises(point, certainty)
    return SizingOption(
        rank=rank,
        server=spec.id,
        server_name=spec.name,
        sku=spec.sku,
        orderable=spec.orderable,
        gpu=spec.gpu,
        servers=servers,
        spare_servers=0,
        gpus=servers * spec.gpus,
        gpus_instance=point.gpus,
        replicas=1,
        layout=point.layouts.layout(0),
        mode=str(job.workload.method),
        weight_precision=None,
        kv_precision=None,
        precision=str(job.recipe.compute),
        batch=float(job.batch_sequences),
        metrics=training_metrics(
            point,
            certainty,
            goodput=goodput_interval(job, point, context.calibration),
            servers=servers,
        ),
        confidence_fraction=math.prod(promises),
        memory_gb_gpu=training_memory_parts(point.memory),
        memory_used_gb_gpu=float(point.memory.total[0]) / GB,
        memory_usable_gb_gpu=float(table.memory_bytes[server]) / GB,
        bottleneck=bottleneck(point.step),
        utilisation=utilisation(point),
        network=around.network,
        storage=around.storage,
        facility=around.facility,
        requirements=run_demands(point, facility_power_kw=around.facility.facility_power_kw),
        notes=_notes(job, point, spec, servers, promises),
        working=(*training_working(point, context.calibration, certainty), *around.working)
        if context.explained
        else (),
    )


def _promises(point: Point, certainty: Certainty) -> tuple[float, float]:
    """How sure it fits into memory, and meets the deadline; a GPU count or a budget is met by construction."""
    job, deadline = point.job, point.job.workload.target.deadline_days
    fits = float(job.fit_confidence(point.table.memory_bytes[point.server], point.memory.total)[0])
    if deadline is None:
        return fits, 1.0
    return fits, float(confidence_below(np.asarray(deadline), np.asarray(point.days), certainty.step))


def _notes(job: Job, point: Point, spec: ServerSpec, servers: int, promises: tuple[float, float]) -> tuple[str, ...]:
    notes = []
    fits, meets = promises
    if fits < min(meets, _SURE):
        of_days = f" and {meets:.0%} that the deadline is met" if job.workload.target.deadline_days is not None else ""
        notes.append(f"the confidence is {fits:.0%} that it fits into memory{of_days}")
    idle = servers * spec.gpus - point.gpus
    if idle:
        notes.append(f"{idle} of {servers * spec.gpus} GPUs stand by: the layout takes {point.gpus}")
    if job.workload.target.budget_usd is not None:
        notes.append("the confidence is of memory alone: the budget was held against indicative prices")
    if job.workload.method is Method.GRPO:
        notes.append("the same GPUs decode the rollouts before they train; a step waits for the longest of them")
    if job.workload.method is Method.DPO:
        notes.append("a reference forward pass and a frozen copy of the weights are included")
    return tuple(notes)
