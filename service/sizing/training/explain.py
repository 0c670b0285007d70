"""What a prediction says to people: metrics with intervals, memory parts, the bottleneck, utilisation."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.evidence import nearest_evidence
from service.sizing.hardware import GpuSpec
from service.sizing.interval import Basis, Interval, Metric, Spread, interval, spread_of
from service.sizing.place import memory_parts
from service.sizing.precision import Precision
from service.sizing.result import MemoryPart, Quantity
from service.sizing.table import HardwareTable
from service.sizing.training.job import Job
from service.sizing.training.layouts import Layouts
from service.sizing.training.memory import Memory
from service.sizing.training.passes import layer_passes
from service.sizing.training.rates import best_product_fraction, is_trained, peak_flop_s
from service.sizing.training.recipe import scatters
from service.sizing.training.step import StepTime
from service.sizing.units import DAY_S, GB, HOUR_S, KW, TFLOP_S

# Data sheets that count two of four weights as zero state so many times the dense peak.
_SPARSE = 2.0
PARTS: dict[str, str] = {
    "products": "matrix products (GPU arithmetic)",
    "attention": "attention arithmetic",
    "traffic": "memory bandwidth (elementwise work)",
    "tensor": "network (tensor parallel)",
    "context": "network (context parallel)",
    "expert": "network (expert all-to-all)",
    "pipeline": "network (pipeline hand-over)",
    "bubble": "pipeline bubble (too few micro-batches)",
    "data": "network (gradients and weights of data parallel)",
    "optimizer": "memory bandwidth (optimizer step)",
    "slowest": "waiting for the slowest of all GPUs",
    "fixed": "launches and fixed work of a step",
    "rollout": "decoding of rollouts (memory bandwidth and launches)",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One candidate on one server as plain numbers and one-row arrays; the row of `table` is `server`."""

    job: Job
    layouts: Layouts
    memory: Memory
    step: StepTime
    # Predicted seconds of one step.
    step_s: float
    table: HardwareTable
    server: int
    goodput_fraction: float
    failure_interval_s: float
    checkpoint_write_s: float
    best_interval_s: float

    @property
    def gpus(self) -> int:
        """GPUs that the run uses."""
        return int(self.layouts.gpus[0])

    @property
    def tokens_s(self) -> float:
        """Tokens per second while it steps."""
        return self.job.step_tokens / self.step_s

    @property
    def days(self) -> float:
        """Predicted days of the whole run, losses included."""
        return self.job.steps * self.step_s / self.goodput_fraction / DAY_S

    @property
    def peak_flop_s(self) -> float:
        """Dense peak of one GPU at the precision of the products."""
        return float(peak_flop_s(self.table, self.job.recipe.compute)[self.server])

    @property
    def mfu(self) -> float:
        """Model FLOP per second over the dense peak of the compute precision, causal attention at half."""
        return self.job.step_flop / self.step_s / (self.gpus * self.peak_flop_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """How measured step times and memories scatter around predicted ones in this regime, and what is near.

    `best_product_fraction` is the share of the dense peak that the best of the GPU's measured products reaches.
    """

    step: Spread
    best_product_fraction: float
    memory: Spread
    basis: Basis
    nearest: tuple[str, ...]


def certainty_of(job: Job, calibration: Calibration, *, subject: str, gpu: GpuSpec, gpus: int) -> Certainty:
    """Residual bands of the job's regime, wider on a GPU without measured runs or without fitted ones of its kind."""
    basis, nearest = nearest_evidence(
        calibration,
        kind="training",
        subject=subject,
        gpu=gpu.id,
        precision=str(job.recipe.compute),
        gpus=gpus,
        size=job.step_tokens,
        length_tokens=float(job.workload.seq_len_tokens),
    )
    far = basis is Basis.EXTRAPOLATED or not is_trained(gpu, calibration)
    widen = calibration.assumption("interval.extrapolation_factor") if far else 1.0
    floor = calibration.assumption("interval.floor_fraction")
    bands = [
        spread_of(calibration.residual("training.step_time_s", name), widen=widen, floor=floor)
        for name in scatters(job.recipe, moe=job.shape.is_moe)
    ]
    return Certainty(
        step=_at_right_angles(bands),
        best_product_fraction=best_product_fraction(calibration.curves, gpu.id, job.recipe.compute),
        memory=job.memory_spread.centred(),
        basis=basis,
        nearest=nearest,
    )


def _at_right_angles(spreads: Sequence[Spread]) -> Spread:
    """Scatter of several origins around the middle of the first."""
    down, up = (math.hypot(*(getattr(spread, side) for spread in spreads)) for side in ("down", "up"))
    return Spread(shift=spreads[0].shift, down=down, up=up)


def training_metrics(
    point: Point, certainty: Certainty, *, goodput: Interval, servers: int | None
) -> tuple[Metric, ...]:
    """Times scatter like the step, rates like its inverse; energy only where the server's power is known.

    No step is shorter than all its FLOP as the best product of the GPU: that is where their upper ends stop.
    """
    time = certainty.step.over(point.step_s * point.mfu / certainty.best_product_fraction, point.step_s)
    rate = time.inverted()
    days = point.days
    rows = [
        ("time_to_train_days", interval(days, time)),
        ("step_time_s", interval(point.step_s, time)),
        ("tokens_s", interval(point.tokens_s, rate)),
        ("tokens_s_gpu", interval(point.tokens_s / point.gpus, rate)),
        ("mfu", interval(point.mfu, rate)),
        ("model_tflops_gpu", interval(point.mfu * point.peak_flop_s / TFLOP_S, rate)),
        ("goodput_fraction", goodput),
        ("run_gpu_h", interval(days * DAY_S / HOUR_S * point.gpus, time)),
        ("peak_memory_gb", interval(float(point.memory.total[0]) / GB, certainty.memory)),
        ("reserved_memory_gb", interval(float(point.memory.reserved[0]) / GB, certainty.memory)),
        ("allocated_memory_gb", interval(float(point.memory.allocated[0]) / GB, certainty.memory)),
    ]
    power_w = float(point.table.server_power_w[point.server])
    if servers is not None and np.isfinite(power_w):
        hours = days * DAY_S / HOUR_S
        rows.append(("it_energy_kwh", interval(servers * power_w / KW * hours, time)))
    return tuple(
        Metric(name=name, interval=value, basis=certainty.basis, nearest=certainty.nearest) for name, value in rows
    )


def training_memory_parts(memory: Memory) -> tuple[MemoryPart, ...]:
    """Parts in GB on the fullest GPU."""
    return memory_parts(
        weights=float(memory.weights[0]),
        gradients=float(memory.gradients[0]),
        optimizer=float(memory.optimizer[0]),
        activations=float(memory.activations[0]),
        logits=float(memory.logits[0]),
        gathered_layers=float(memory.gathered[0]),
        loading=float(memory.loading[0]),
        measured_correction=float(memory.correction[0]),
        fragmentation=float(memory.fragmentation[0]),
        reserve=float(memory.reserve[0]),
    )


def bottleneck(step: StepTime, row: int = 0) -> str:
    """The part of the step that takes longest."""
    longest = max(PARTS, key=lambda name: float(np.atleast_1d(getattr(step, name))[row]))
    return PARTS[longest]


def utilisation(point: Point) -> tuple[Quantity, ...]:
    """MFU as stated and by other conventions, and the shares of the step that are network, bubble and traffic."""
    step, total = point.step, point.step_s
    network = step.tensor + step.context + step.expert + step.pipeline + step.data
    usable = float(point.table.memory_bytes[point.server])
    return (
        Quantity(name="mfu", value=point.mfu),
        Quantity(name="mfu_full_attention", value=point.mfu * _full_attention(point)),
        Quantity(name="mfu_parameters_only", value=point.mfu * _parameters_only(point)),
        Quantity(name="mfu_bf16_peak", value=point.mfu * point.peak_flop_s / _bf16_flop_s(point)),
        Quantity(name="mfu_sparse_peak", value=_of_sparse_peak(point)),
        Quantity(name="hfu", value=point.mfu * _recomputed(point)),
        Quantity(name="memory_fraction", value=float(point.memory.total[0]) / usable),
        Quantity(name="network_fraction", value=float(network[0]) / total),
        Quantity(name="bubble_fraction", value=float(step.bubble[0]) / total),
        Quantity(name="traffic_fraction", value=float(step.traffic[0]) / total),
    )


def _full_attention(point: Point) -> float:
    """What who counts the whole square of causal attention multiplies the MFU by."""
    return 1.0 + point.job.shape.uncounted_attention_flop_token / point.job.shape.flop_token


def _parameters_only(point: Point) -> float:
    """What who counts 6 FLOP a parameter and token, and no attention, multiplies the MFU by."""
    shape = point.job.shape
    return 1.0 - (shape.attention_flop_token + shape.scan_flop_token) / shape.flop_token


def _bf16_flop_s(point: Point) -> float:
    return float(peak_flop_s(point.table, Precision.BF16)[point.server])


def _of_sparse_peak(point: Point) -> float | None:
    """MFU over the peak with sparsity; of FP4 the ratio to the dense peak is another on every generation."""
    return None if point.job.recipe.compute is Precision.FP4 else point.mfu / _SPARSE


def _recomputed(point: Point) -> float:
    """What who counts the forward pass that full recompute makes again multiplies the MFU by."""
    recipe = point.job.recipe
    return float(layer_passes(point.layouts, recipe)[0] / (recipe.passes + recipe.reference_passes))
