"""Time, memory and throughput of scientific jobs: the one vectorised physics under size and estimate."""

import math
from dataclasses import dataclass, fields, replace
from statistics import NormalDist

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.interval import normal_cdf
from service.sizing.numeric import Numeric
from service.sizing.precision import Precision
from service.sizing.science.application import Template
from service.sizing.science.arithmetic import (
    DATA_SHEET,
    Efficiencies,
    Parts,
    arithmetic_rates,
    efficiencies,
    peak_flop_s,
    run_parts,
)
from service.sizing.science.bound import bounded, least_training_s
from service.sizing.science.efficiency import (
    halo_efficiency,
    lasting_ln_arm,
    scaling_efficiency,
    serial_efficiency,
    sharding_efficiency,
    sized_efficiency,
)
from service.sizing.science.job import Arithmetic, Job
from service.sizing.science.rate import RateTable, WorkSize, point_size
from service.sizing.science.rates import rates_of
from service.sizing.science.trained import Trained
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.units import DAY_S, GB, GB_S

# Sizes so far apart show what of a step does not go with the size.
_PROBE = 16.0
_Z90 = NormalDist().inv_cdf(0.9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Candidates: a server configuration, GPUs of one instance, and instances that run side by side.

    `rate` is the row of the rates that each is timed by, that of its server where it is not given.
    """

    server: IntArray
    gpus_instance: FloatArray
    instances: FloatArray
    rate: IntArray | None = None

    @property
    def timed_by(self) -> IntArray:
        """The row of the rates of each."""
        return self.server if self.rate is None else self.rate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Performance:
    """Per candidate: seconds of one item on one instance, the arms of ln(time), bytes per GPU and what is visible."""

    item_s: FloatArray
    shift: FloatArray
    down: FloatArray
    up: FloatArray
    memory_bytes: FloatArray
    usable_bytes: FloatArray
    efficiency_fraction: FloatArray
    arithmetic_s: FloatArray
    traffic_s: FloatArray
    exchange_s: FloatArray
    spilled_bytes: FloatArray
    most_bytes: FloatArray
    # Seconds under which no item can be by the data sheet [s], zero where its FLOP and bytes are unknown; and whether
    # the interval ends there that would else reach under it.
    least_s: FloatArray
    cut: BoolArray
    # Rows of the training engine, for jobs that it times.
    trained: Trained | None = None

    def take(self, rows: slice) -> "Performance":
        """The candidates of these rows; not of the training engine."""
        return Performance(**{f.name: getattr(self, f.name)[rows] for f in fields(self) if f.name != "trained"})

    @property
    def fits(self) -> BoolArray:
        """Whether the job fits into the GPUs of an instance."""
        return np.asarray(self.memory_bytes <= self.usable_bytes)

    @property
    def runs(self) -> BoolArray:
        """Whether it runs at all: it fits, or the application spills the rest into host memory."""
        return np.asarray(self.memory_bytes <= self.most_bytes)

    def quantile_s(self, fraction: float) -> FloatArray:
        """Seconds of an item that `fraction` of the outcomes stay under (split log-normal)."""
        z = NormalDist().inv_cdf(fraction)
        arm = self.up if z >= 0.0 else self.down
        found = self.item_s * np.exp(self.shift + arm * z / _Z90)
        return np.asarray(np.maximum(found, self.least_s), dtype=np.float64)

    def confidence(self, bound_s: Numeric, *, row: slice) -> FloatArray:
        """Share of the outcomes in which an item takes at most `bound_s`, for a slice of the candidates."""
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = np.log(np.asarray(bound_s) / self.item_s[row]) - self.shift[row]
        arm = np.maximum(np.where(distance >= 0.0, self.up[row], self.down[row]), 1e-12)
        z = np.clip(np.nan_to_num(distance / arm * _Z90, nan=-8.0, posinf=8.0, neginf=-8.0), -8.0, 8.0)
        return np.where(np.asarray(bound_s) < self.least_s[row], 0.0, normal_cdf(z))


def items_day(item_s: Numeric, *, instances: Numeric, utilisation_fraction: float) -> FloatArray:
    """Items a day: instances x 86,400 s x utilisation / seconds of an item (method notes, section 0)."""
    return np.asarray(np.asarray(instances, dtype=np.float64) * DAY_S * utilisation_fraction / item_s)


def job_rates(job: Job, table: HardwareTable, *, hardware: Hardware, calibration: Calibration) -> RateTable:
    """Seconds per unit on the GPU of each row of `table`, with the method's own scatter added."""
    if job.arithmetic is not None:
        return arithmetic_rates(job, table, calibration)

    def at(size: WorkSize) -> RateTable:
        return rates_of(
            job.application,
            job.curve_variant,
            size,
            gpus=table.gpus,
            hardware=hardware,
            calibration=calibration,
            variant=job.variant,
            base_factor=job.base_factor,
            timestep_fs=job.timestep_fs,
            settings=job.settings,
        )

    found = at(job.size)
    reference_s, launch_s = None, None
    if job.application.scaling_size_atoms is not None:
        large, small = job.application.scaling_size_atoms, job.application.scaling_size_atoms / _PROBE
        reference_s, small_s = at(point_size(large)).unit_s, at(point_size(small)).unit_s
        # Two points of t0 + c atoms give t0; no step is shorter than that.
        launch_s = np.clip((_PROBE * small_s - reference_s) / (_PROBE - 1.0), 0.0, np.minimum(found.unit_s, small_s))
    return replace(
        found,
        down=np.hypot(found.down, job.ln_arm),
        up=np.hypot(found.up, job.ln_arm),
        launch_s=launch_s,
        reference_s=reference_s,
    )


def performance(
    job: Job, rows: Rows, *, table: HardwareTable, rates: RateTable, calibration: Calibration
) -> Performance:
    """Seconds per item, memory and efficiency of every candidate."""
    server, gpus, timed_by = rows.server, rows.gpus_instance, rows.timed_by
    if job.arithmetic is None:
        timed = _timed(job, rows, table=table, rates=rates, calibration=calibration)
    else:
        timed = _computed(job, job.arithmetic, rows, table=table, rates=rates, calibration=calibration)
    sharded = job.memory_sharded or job.application.sharding is not None
    memory_bytes = job.memory_bytes / (gpus if sharded else np.ones(server.size))
    usable_bytes = table.memory_bytes[server] * job.memory_usable_fraction
    spilled, spill_s, most_bytes = _spill(job, memory_bytes, usable_bytes, table=table, server=server)
    spill_arm = 0.0 if job.application.spill is None else np.where(spilled > 0.0, job.application.spill.ln_arm, 0.0)
    shift = rates.shift[timed_by]
    found = bounded(timed.item_s + spill_s, shift=shift, down=np.hypot(timed.down, spill_arm), least_s=timed.least_s)
    return Performance(
        item_s=found.item_s,
        shift=shift,
        down=found.down,
        up=np.hypot(timed.up, spill_arm),
        memory_bytes=memory_bytes,
        usable_bytes=usable_bytes,
        efficiency_fraction=timed.efficiency_fraction,
        arithmetic_s=timed.parts.arithmetic_s,
        traffic_s=timed.parts.traffic_s,
        exchange_s=timed.parts.exchange_s,
        spilled_bytes=spilled,
        most_bytes=most_bytes,
        least_s=found.least_s,
        cut=found.cut,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Timed:
    """Seconds of an item that fits, the arms of ln(time), and the seconds that the data sheet allows at least."""

    item_s: FloatArray
    down: FloatArray
    up: FloatArray
    least_s: FloatArray
    efficiency_fraction: FloatArray
    parts: Parts


def _computed(
    job: Job, step: Arithmetic, rows: Rows, *, table: HardwareTable, rates: RateTable, calibration: Calibration
) -> _Timed:
    """Of known FLOP and bytes: at the efficiencies, between their ends; at all of the data sheet at least.

    What several GPUs lose beside the exchange that is counted only slows: the fast end stays that of the efficiencies.
    """
    share = 1.0 / rates.unit_s[rows.timed_by]

    def at(reached: Efficiencies) -> Parts:
        return run_parts(step, rows.server, rows.gpus_instance, table=table, reached=reached)

    middle, best, worst = (at(efficiencies(job, share, end, calibration)) for end in ("value", "high", "low"))
    together = np.where(rows.gpus_instance > 1.0, _together_ln_arm(job, calibration), 0.0)
    return _Timed(
        item_s=middle.whole_s,
        down=_ln_ratio(middle.whole_s, best.whole_s),
        up=np.hypot(_ln_ratio(worst.whole_s, middle.whole_s), together),
        least_s=at(DATA_SHEET).whole_s,
        efficiency_fraction=middle.work_s / middle.whole_s,
        parts=middle,
    )


def _timed(job: Job, rows: Rows, *, table: HardwareTable, rates: RateTable, calibration: Calibration) -> _Timed:
    """By the rate of one GPU and what several lose."""
    gpus, timed_by, size = rows.gpus_instance, rows.timed_by, rows.server.size
    efficiency = _efficiency(job, rows, table=table, rates=rates)
    one_gpu_s = job.units_item * rates.unit_s[timed_by] * job.time_factor
    # What several GPUs lose to each other is less sure than what one does.
    together = np.where(gpus > 1.0, np.hypot(_together_ln_arm(job, calibration), _apart_ln_arm(job, calibration)), 0.0)
    least_bytes = None if job.variant is None else job.variant.least_bytes
    nothing = np.zeros(size)
    return _Timed(
        item_s=one_gpu_s / (gpus * efficiency) + job.fixed_item_s,
        down=np.hypot(rates.down[timed_by], np.minimum(together, _lossless_ln_arm(rows, rates, efficiency))),
        up=np.maximum(
            np.hypot(rates.up[timed_by], together), _lasting_ln_arm(job, rows, rates=rates, efficiency=efficiency)
        ),
        least_s=nothing
        if least_bytes is None
        else job.units_item * least_bytes / (gpus * table.bandwidth_bytes_s[rows.server]),
        efficiency_fraction=efficiency,
        parts=Parts(arithmetic_s=nothing, traffic_s=nothing, exchange_s=nothing),
    )


def _ln_ratio(longer_s: FloatArray, shorter_s: FloatArray) -> FloatArray:
    """ln(longer / shorter), zero where both are nothing."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(longer_s > shorter_s, np.log(longer_s / shorter_s), 0.0)


def trained_performance(
    job: Job, trained: Trained, *, table: HardwareTable, rates: RateTable, calibration: Calibration
) -> Performance:
    """As `performance`, of candidates of the training engine: its seconds x measured over predicted ones."""
    server, size = trained.server, trained.server.size
    model = job.application.sequence_model
    measured_gpus = 1 if model is None else model.measured_gpus
    # What more GPUs than anybody measured lose to each other is less sure.
    beyond = np.where(trained.gpus > measured_gpus, calibration.assumption("science.parallel_ln_arm_fraction"), 0.0)
    nothing = np.zeros(size)
    found = bounded(
        trained.whole_s * job.units_item * rates.unit_s[server] * job.time_factor,
        shift=rates.shift[server],
        down=np.hypot(rates.down[server], beyond),
        least_s=least_training_s(job, trained, table=table, calibration=calibration),
    )
    return Performance(
        item_s=found.item_s,
        shift=rates.shift[server],
        down=found.down,
        up=np.hypot(rates.up[server], beyond),
        memory_bytes=trained.memory_bytes,
        usable_bytes=trained.usable_bytes,
        efficiency_fraction=np.ones(size),
        arithmetic_s=nothing,
        traffic_s=nothing,
        exchange_s=nothing,
        spilled_bytes=np.maximum(0.0, trained.memory_bytes - trained.usable_bytes),
        most_bytes=trained.usable_bytes,
        least_s=found.least_s,
        cut=found.cut,
        trained=trained,
    )


def _together_ln_arm(job: Job, calibration: Calibration) -> float:
    """What several GPUs add; nothing where the seconds of one are themselves from runs on several (serial law)."""
    if job.application.serial is not None:
        return 0.0
    sharding = job.application.sharding
    return calibration.assumption("science.parallel_ln_arm_fraction") if sharding is None else sharding.ln_arm


def _apart_ln_arm(job: Job, calibration: Calibration) -> float:
    """What is added to the interval where the size is another than that of the measured efficiencies."""
    reference = job.application.scaling_size_atoms
    if reference is None:
        return 0.0
    return calibration.assumption("science.size_ln_arm_fraction") * abs(math.log(job.size.typical / reference))


def _lossless_ln_arm(rows: Rows, rates: RateTable, efficiency: FloatArray) -> FloatArray:
    """How much faster [ln] an item is if several GPUs lose nothing but their launches; without bound elsewhere."""
    if rates.launch_s is None:
        return np.full(rows.server.size, np.inf)
    gpus, step_s, launch_s = rows.gpus_instance, rates.unit_s[rows.timed_by], rates.launch_s[rows.timed_by]
    with np.errstate(divide="ignore", invalid="ignore"):
        arm = np.log(step_s / (gpus * efficiency) / (launch_s + (step_s - launch_s) / gpus))
    return np.asarray(np.maximum(np.nan_to_num(arm), 0.0), dtype=np.float64)


def _lasting_ln_arm(job: Job, rows: Rows, *, rates: RateTable, efficiency: FloatArray) -> FloatArray:
    """How much slower [ln] an item is if what GPUs lose does not shrink with the system, as nobody knows."""
    if rates.launch_s is None or rates.reference_s is None:
        return np.zeros(rows.server.size)
    timed_by = rows.timed_by
    return lasting_ln_arm(
        rows.gpus_instance,
        efficiency=efficiency,
        at_reference=scaling_efficiency(rows.gpus_instance, job.application.scaling),
        step_s=rates.unit_s[timed_by],
        reference_s=rates.reference_s[timed_by],
        launch_s=rates.launch_s[timed_by],
    )


def _spill(
    job: Job, memory_bytes: FloatArray, usable_bytes: FloatArray, *, table: HardwareTable, server: IntArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bytes over what fits, the seconds that moving them adds to an item, and the most bytes that run at all.

    Excess bytes cross the host link again and again: seconds go with them (AlphaFold 2 beyond 3,500 residues).
    """
    law = job.application.spill
    over = np.maximum(0.0, memory_bytes - usable_bytes)
    if law is None:
        return over, np.zeros(over.shape), usable_bytes
    link = np.array([g.pcie_gb_s or law.reference_link_gb_s for g in table.gpus], dtype=np.float64)[server]
    each_s = over / GB * law.s_gb * law.reference_link_gb_s / link
    return over, each_s * job.units_item * job.time_factor, usable_bytes * law.most_factor


def _efficiency(job: Job, rows: Rows, *, table: HardwareTable, rates: RateTable) -> FloatArray:
    server, gpus, timed_by = rows.server, rows.gpus_instance, rows.timed_by
    if job.template is Template.LATTICE and job.application.halo is not None and job.variant is not None:
        pcie = np.array([g.pcie_gb_s or np.nan for g in table.gpus], dtype=np.float64) * GB_S
        link = np.where(gpus <= table.gpus_server[server], pcie[server], table.scale_out_bytes_s[server])
        return halo_efficiency(
            gpus,
            job.application.halo,
            update_s=rates.unit_s[timed_by] * job.time_factor,
            element_bytes=job.variant.element_bytes,
            link_bytes_s=link,
        )
    if job.template is Template.RECIPE_TRAINING and job.application.serial is not None:
        return serial_efficiency(gpus, job.application.serial)
    if job.application.sharding is not None:
        return sharding_efficiency(gpus, job.application.sharding, size_tokens=job.size.typical)
    at_reference = scaling_efficiency(gpus, job.application.scaling)
    if rates.launch_s is None or rates.reference_s is None:
        return at_reference
    return sized_efficiency(
        gpus,
        at_reference=at_reference,
        step_s=rates.unit_s[timed_by],
        reference_s=rates.reference_s[timed_by],
        launch_s=rates.launch_s[timed_by],
    )


def lacks_fp64(table: HardwareTable, *, least_fraction: float) -> tuple[BoolArray, FloatArray, FloatArray]:
    """GPUs whose FP64 is a small share of their FP32, or unknown; with FP64 and FP32 peaks [FLOP/s]."""
    fp64 = peak_flop_s(table, Precision.FP64)
    fp32 = table.flop_s[Precision.FP32]
    with np.errstate(invalid="ignore"):
        weak = ~(fp64 >= least_fraction * fp32)
    return weak, fp64, fp32
