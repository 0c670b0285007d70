"""Job: a scientific workload reduced to what the formulas need, the same for every template."""

import math
from dataclasses import dataclass

from service.sizing.precision import Precision
from service.sizing.result import Assumed
from service.sizing.science.alignments import MsaNeeds
from service.sizing.science.application import Application, Template, Variant
from service.sizing.science.rate import WorkSize, point_size
from service.sizing.training.job import Job as TrainingJob

UNKNOWN_SIZE = point_size(1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """One step of a roofline job, over all of its GPUs, in SI."""

    precision: Precision
    step_flop: float
    step_bytes: float
    halo_bytes: float
    steps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One item of work and how many of them a day asks for.

    Time of an item on an instance of g GPUs: units_item x seconds per unit x time_factor / (g E(g)) + fixed_item_s.
    A coupled job is one item that takes all GPUs; `max_instances` bounds how many items can run side by side.
    """

    application: Application
    metric: str
    demand_field: str
    demand_day: float | None
    units_item: float
    size: WorkSize = UNKNOWN_SIZE
    curve_variant: str = "default"
    variant: Variant | None = None
    # Curves of the variant itself stand before those of `curve_variant`, which are slower by `base_factor`.
    base_factor: float = 1.0
    time_factor: float = 1.0
    ln_arm: float = 0.0
    fixed_item_s: float = 0.0
    # Of dynamics: a curve of other steps was timed at other settings.
    timestep_fs: float | None = None
    # As published, of a run; None of a caller's own job.
    settings: str | None = None
    # Results of one item that are kept on disk.
    stored_units_item: float = 1.0
    # Bytes of them, where they follow from the workload and not from the application alone.
    output_bytes_item: float | None = None
    max_instances: float = math.inf
    coupled: bool = False
    memory_bytes: float = 0.0
    memory_sharded: bool = False
    memory_usable_fraction: float = 1.0
    longest: float | None = None
    arithmetic: Arithmetic | None = None
    # What the training engine times; a curve then gives measured over predicted seconds.
    training: TrainingJob | None = None
    # Chains of a day that have no alignment yet, and what they take by the route that was asked for.
    msa: MsaNeeds | None = None
    assumed: tuple[Assumed, ...] = ()

    @property
    def template(self) -> Template:
        """The formulas that this job is sized by."""
        return self.application.template
