"""How a job is spread over its GPUs: layout, batch, number format and the parts of their memory."""

from service.sizing.calibration import Calibration
from service.sizing.place import memory_parts
from service.sizing.result import MemoryPart, ParallelLayout, Quantity
from service.sizing.science.job import Job
from service.sizing.science.performance import Performance
from service.sizing.table import HardwareTable
from service.sizing.training.explain import Point, training_memory_parts, utilisation


def layout_of(physics: Performance, row: int, *, gpus: int) -> ParallelLayout:
    """The layout of the training engine; the parts of any other job are data parallel, a share of the work each."""
    return ParallelLayout(dp=gpus) if physics.trained is None else physics.trained.layouts.layout(row)


def batch_of(physics: Performance) -> float | None:
    """Sequences of an optimizer step; None of work that has none."""
    return None if physics.trained is None else float(physics.trained.job.batch_sequences)


def precision_of(job: Job) -> str | None:
    """Number format of the arithmetic, where the workload states one."""
    if job.training is not None:
        return str(job.training.recipe.compute)
    return None if job.arithmetic is None else str(job.arithmetic.precision)


def parts_of(physics: Performance, row: int, point: Point | None) -> tuple[MemoryPart, ...]:
    """Memory of the fullest GPU by part; `point` is the candidate as the training engine sees it."""
    if point is None:
        return memory_parts(resident=float(physics.memory_bytes[row]))
    return training_memory_parts(point.memory)


def point_of(
    physics: Performance, row: int, *, table: HardwareTable, server: int, calibration: Calibration
) -> Point | None:
    """The candidate as the training engine sees it; None of any other job."""
    if physics.trained is None:
        return None
    return physics.trained.point(row, table=table, server=server, calibration=calibration)


def shares_of(job: Job, physics: Performance, row: int, point: Point | None) -> tuple[Quantity, ...]:
    """Shares of what the hardware could do: of a training its MFU and where its step goes, else what GPUs lose."""
    if physics.trained is None or point is None:
        lost = float(physics.efficiency_fraction[row])
        return (Quantity(name="parallel_efficiency_fraction", value=lost),)
    # The engine's own MFU is that of its step, which what was measured corrects.
    corrected = float(physics.trained.whole_s[row]) * job.units_item / float(physics.item_s[row])
    shares = tuple(one for one in utilisation(point) if one.name.endswith("_fraction"))
    return (Quantity(name="mfu", value=point.mfu * corrected), *shares)
