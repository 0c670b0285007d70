"""Job: everything of one training question that no candidate changes, and the prediction of its candidates."""

from dataclasses import dataclass

import numpy as np

from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.interval import Spread, confidence_below, spread_of
from service.sizing.numeric import Numeric
from service.sizing.storage import checkpoint_bytes
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.training.coefficients import StepCoefficients, coefficients_of, software_years
from service.sizing.training.experts import fuses_experts
from service.sizing.training.goodput import Goodput, Reliability, goodput, reliability_of
from service.sizing.training.layouts import Layouts, micro_batches
from service.sizing.training.memory import Memory, adapter_params, training_memory
from service.sizing.training.rates import Rates, rates_of
from service.sizing.training.recipe import Recipe, recipe_of, regime
from service.sizing.training.rollout import decoding_of
from service.sizing.training.shape import Shape, shape_of
from service.sizing.training.step import StepTime, step_flop, step_time
from service.sizing.units import DAY_S, GB, GB_S, MINUTE_S
from service.sizing.workload import TrainingWorkload


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One workload with its model's shape, its recipe and the numbers of the calibration that it needs."""

    workload: TrainingWorkload
    architecture: ModelArchitecture
    # Month of the software, today's where None.
    month: str | None
    batch_sequences: int
    shape: Shape
    recipe: Recipe
    software_years: float
    # Whether its routed experts go through one kernel, where the GPU has it.
    fuses_experts: bool
    # Whether attention is what frameworks bring of their own.
    plain_attention: bool
    coefficients: StepCoefficients
    reliability: Reliability
    reserve_bytes: float
    collective_bytes: float
    fragmentation_fraction: float
    # How measured peaks scatter around the formula, and with what confidence a chosen and a stated layout must fit.
    memory_spread: Spread
    memory_confidence_fraction: float
    stated_memory_confidence_fraction: float
    # Whether every GPU holds a whole copy of sharded weights while they are loaded.
    loads_whole: bool
    trained_params: float
    checkpoint_bytes: float

    @property
    def step_tokens(self) -> float:
        """Tokens of one optimizer step."""
        return float(self.batch_sequences * self.workload.seq_len_tokens)

    @property
    def step_flop(self) -> float:
        """Model FLOP of one step, recompute not counted."""
        return step_flop(self.shape, self.recipe, tokens=self.step_tokens)

    @property
    def steps(self) -> float:
        """Optimizer steps of the whole run."""
        return float(np.ceil(self.workload.tokens / self.step_tokens))

    def usable_bytes(self, memory_bytes: FloatArray, *, stated: bool = False) -> FloatArray:
        """What the median of a layout may take [bytes], so that it fits at its confidence: chosen, or `stated`."""
        fraction = self.stated_memory_confidence_fraction if stated else self.memory_confidence_fraction
        room = self.memory_spread.centred().quantile_factor(fraction)
        return np.asarray(memory_bytes / room, dtype=np.float64)

    def fit_confidence(self, memory_bytes: FloatArray, used_bytes: FloatArray) -> FloatArray:
        """Share of measured peaks around `used_bytes` that `memory_bytes` hold."""
        return confidence_below(memory_bytes, used_bytes, self.memory_spread.centred())

    def memory(self, layouts: Layouts) -> Memory:
        """Bytes per GPU of every candidate."""
        return training_memory(
            layouts,
            self.shape,
            recipe=self.recipe,
            micro_batches=micro_batches(layouts, self.batch_sequences),
            measured_factor=float(np.exp(self.memory_spread.shift)),
            reserve_bytes=self.reserve_bytes,
            collective_bytes=self.collective_bytes,
            fragmentation_fraction=self.fragmentation_fraction,
            loads_whole=self.loads_whole,
        )

    def step(self, layouts: Layouts, rates: Rates) -> StepTime:
        """Seconds of one step of every candidate on its rates."""
        return step_time(
            layouts,
            self.shape,
            recipe=self.recipe,
            rates=rates,
            micro_batches=np.maximum(1, micro_batches(layouts, self.batch_sequences)),
            k=self.coefficients,
        )

    @property
    def interval_s(self) -> float:
        """Seconds between checkpoints."""
        return self.workload.checkpoint_interval_min * MINUTE_S

    @property
    def checkpoint_write_s(self) -> float:
        """Seconds that writing or reading a checkpoint takes."""
        stated = self.workload.storage_gb_s
        return self.reliability.write_s(
            self.checkpoint_bytes,
            interval_s=self.interval_s,
            storage_bytes_s=None if stated is None else stated * GB_S,
        )

    def goodput(
        self,
        gpus: IntArray,
        step_s: FloatArray,
        *,
        interval_s: float | None = None,
        reliability: Reliability | None = None,
    ) -> Goodput:
        """What failures and checkpoints leave at each GPU count and step [s], at the asked interval or another."""
        return goodput(
            gpus,
            write_s=self.checkpoint_write_s,
            interval_s=self.interval_s if interval_s is None else interval_s,
            productive_s=self.steps * step_s,
            reliability=reliability or self.reliability,
        )

    def days(self, step_s: FloatArray, fraction: FloatArray) -> FloatArray:
        """Time to train [days]: steps x step time / goodput."""
        return run_days(self.steps, step_s, fraction)


def run_days(steps: Numeric, step_s: FloatArray, fraction: FloatArray) -> FloatArray:
    """Days of a whole run; of one, or of several with a number of steps each."""
    return np.asarray(steps * step_s / fraction / DAY_S, dtype=np.float64)


def job_of(
    workload: TrainingWorkload,
    architecture: ModelArchitecture,
    calibration: Calibration,
    *,
    month: str | None = None,
    confidence_fraction: float = 0.0,
    loads_whole: bool = False,
    plain_stack: bool = False,
    vendor_kernels: bool = False,
    chunked_loss: bool = False,
) -> Job:
    """The job of a workload under software of a month (YYYY-MM), today's where None.

    What the engine chooses fits at the usual confidence, or at a share of the asked one that leaves as much to time.

    Raises UnsupportedWorkloadError for a precision that cannot train.
    """
    shape = shape_of(architecture, workload.seq_len_tokens)
    moe = shape.is_moe
    years = software_years(calibration, month)
    recipe = recipe_of(
        workload,
        calibration,
        moe=moe,
        plain_stack=plain_stack,
        vendor_kernels=vendor_kernels,
        chunked_loss=chunked_loss,
        software_years=years,
    )
    trained = float(sum(adapter_params(shape, recipe))) if recipe.is_adapter else shape.total_params
    usual_batch = int(calibration.assumption("training.global_batch_sequences"))
    return Job(
        workload=workload,
        architecture=architecture,
        month=month,
        batch_sequences=workload.global_batch_sequences or usual_batch,
        shape=shape,
        recipe=recipe,
        software_years=years,
        fuses_experts=fuses_experts(
            workload,
            architecture,
            calibration,
            compute=recipe.compute,
            software_years=years,
            plain_stack=plain_stack,
        ),
        plain_attention=recipe.plain_kernels and _lags(architecture, calibration, software_years=years),
        coefficients=coefficients_of(
            calibration,
            recipe.compute,
            moe=shape.is_moe,
            month=month,
            recipe=workload.precision_recipe,
        ),
        reliability=reliability_of(calibration),
        reserve_bytes=calibration.assumption("training.framework_reserve_gb") * GB,
        collective_bytes=calibration.assumption("training.collective_buffers_gb") * GB,
        fragmentation_fraction=calibration.assumption("training.fragmentation_fraction"),
        memory_spread=memory_spread(recipe, calibration, moe=shape.is_moe),
        memory_confidence_fraction=max(
            calibration.assumption("training.memory_confidence_fraction"), float(np.sqrt(confidence_fraction))
        ),
        stated_memory_confidence_fraction=calibration.assumption("training.stated_memory_confidence_fraction"),
        loads_whole=loads_whole,
        trained_params=trained,
        checkpoint_bytes=float(checkpoint_bytes(trained)),
    )


def _lags(architecture: ModelArchitecture, calibration: Calibration, *, software_years: float) -> bool:
    """Whether frameworks bring attention behind a vendor's: windows and chunks go through kernels that are compiled."""
    masked = any(mixer.window or mixer.chunk for mixer in architecture.mixers)
    return masked or software_years < calibration.coefficient("training.plain_attention_until_year")


def memory_spread(recipe: Recipe, calibration: Calibration, *, moe: bool) -> Spread:
    """How measured peaks of memory scatter around computed ones; no GPU has a formula of its own."""
    band = calibration.residual("training.peak_memory_gb", regime(recipe, moe=moe))
    return spread_of(band, floor=calibration.assumption("interval.floor_fraction"))


def table_rates(job: Job, table: HardwareTable, calibration: Calibration) -> Rates:
    """Sustained rates of every server of the table at the job's precision."""
    decoding = None
    if job.recipe.rolls_out:
        decoding = decoding_of(
            job.architecture,
            table,
            calibration,
            precision=job.recipe.compute,
            length_tokens=float(job.workload.seq_len_tokens),
            month=job.month,
        )
    return rates_of(
        table,
        compute=job.recipe.compute,
        calibration=calibration,
        software_years=job.software_years,
        decoding=decoding,
        plain_stack=job.recipe.plain_stack,
        plain_kernels=job.recipe.plain_kernels,
        plain_attention=job.plain_attention,
        fuses_experts=job.fuses_experts,
    )


def gpus_used_server(gpus: IntArray, gpus_server: IntArray) -> IntArray:
    """GPUs that a run uses in each server: all, or the largest power of two where all do not divide; else 0.

    A run on NVL72 racks often takes 64 of 72 GPUs, because degrees are powers of two; the rest stand by.
    """
    power = np.exp2(np.floor(np.log2(gpus_server))).astype(np.int64)
    inside = np.where(gpus <= gpus_server, gpus, 0)
    spread = np.where(gpus % gpus_server == 0, gpus_server, np.where(gpus % power == 0, power, 0))
    return np.where(inside > 0, inside, spread)


def servers_needed(gpus: IntArray, gpus_server: IntArray) -> IntArray:
    """Servers of a run; a remainder takes one more server, partly used."""
    used = gpus_used_server(gpus, gpus_server)
    return np.where(used > 0, gpus // np.maximum(used, 1), -(-gpus // gpus_server))


def run_rates(rates: Rates, gpus: IntArray, gpus_server: IntArray) -> Rates:
    """The rates of each candidate with its domain cut to the GPUs that the run uses in a server."""
    used = gpus_used_server(gpus, gpus_server)
    return rates.with_domain(np.where(used > 0, np.minimum(rates.domain, used), rates.domain))
