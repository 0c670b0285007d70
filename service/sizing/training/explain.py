"""What a prediction says to people: metrics with intervals, memory parts, the bottleneck, utilisation, the working."""

from dataclasses import dataclass

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.evidence import nearest_evidence
from service.sizing.interval import Basis, Interval, Metric, Spread, interval, spread_of
from service.sizing.place import memory_parts
from service.sizing.result import MemoryPart, Quantity, WorkingStep
from service.sizing.table import HardwareTable
from service.sizing.training.job import Job
from service.sizing.training.layouts import Layouts, micro_batches
from service.sizing.training.memory import Memory
from service.sizing.training.rates import generation, peak_flop_s
from service.sizing.training.recipe import Recipe
from service.sizing.training.step import StepTime
from service.sizing.units import BILLION, DAY_S, GB, HOUR_S, KW, MINUTE_S, TFLOP_S
from service.sizing.workload import Method

_FIT = "config/calibration/training.yaml"
_METHOD = "service/sizing/METHOD.md"
_ASSUMPTIONS = "config/assumptions.yaml"
_PARTS: dict[str, str] = {
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
    "fixed": "launches and fixed work of a step",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One candidate on one server as plain numbers and one-row arrays; the row of `table` is `server`."""

    job: Job
    layouts: Layouts
    memory: Memory
    step: StepTime
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
    def step_s(self) -> float:
        """Predicted seconds of one step."""
        return float(self.step.total[0])

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


def regime(recipe: Recipe, *, moe: bool) -> str:
    """The regime of residuals: adapters and reinforcement learning apart, then dense and MoE."""
    if recipe.method is Method.GRPO:
        return "grpo"
    if recipe.is_adapter:
        return "adapter"
    return "moe" if moe else "dense"


@dataclass(frozen=True, slots=True, kw_only=True)
class Certainty:
    """How measured step times and memories scatter around predicted ones in this regime, and what is near."""

    step: Spread
    memory: Spread
    basis: Basis
    nearest: tuple[str, ...]


def certainty_of(job: Job, calibration: Calibration, *, subject: str, gpu: str, gpus: int) -> Certainty:
    """Residual bands of the job's regime, wider on a GPU without measured training runs."""
    basis, nearest = nearest_evidence(
        calibration,
        kind="training",
        subject=subject,
        gpu=gpu,
        precision=str(job.recipe.compute),
        gpus=gpus,
        size=job.step_tokens,
    )
    widen = calibration.assumption("interval.extrapolation_factor") if basis is Basis.EXTRAPOLATED else 1.0
    floor = calibration.assumption("interval.floor_fraction")
    name = regime(job.recipe, moe=job.shape.is_moe)
    return Certainty(
        step=spread_of(calibration.residual("training.step_time_s", name), widen=widen, floor=floor),
        memory=spread_of(calibration.residual("training.peak_memory_gb", name), widen=widen, floor=floor),
        basis=basis,
        nearest=nearest,
    )


def training_metrics(
    point: Point, certainty: Certainty, *, goodput: Interval, servers: int | None
) -> tuple[Metric, ...]:
    """Times scatter like the step, rates like its inverse; energy only where the server's power is known."""
    rate, time = certainty.step.inverted(), certainty.step
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
        reserve=float(memory.reserve[0]),
    )


def bottleneck(step: StepTime, row: int = 0) -> str:
    """The part of the step that takes longest."""
    longest = max(_PARTS, key=lambda name: float(np.atleast_1d(getattr(step, name))[row]))
    return _PARTS[longest]


def utilisation(point: Point) -> tuple[Quantity, ...]:
    """MFU, and the shares of the step that are network, bubble and memory traffic."""
    step, total = point.step, point.step_s
    network = step.tensor + step.context + step.expert + step.pipeline + step.data
    usable = float(point.table.memory_bytes[point.server])
    return (
        Quantity(name="mfu", value=point.mfu),
        Quantity(name="memory_fraction", value=float(point.memory.total[0]) / usable),
        Quantity(name="network_fraction", value=float(network[0]) / total),
        Quantity(name="bubble_fraction", value=float(step.bubble[0]) / total),
        Quantity(name="traffic_fraction", value=float(step.traffic[0]) / total),
    )


def _degrees(point: Point) -> tuple[Quantity, ...]:
    layouts = point.layouts
    return tuple(
        Quantity(name=name, value=float(getattr(layouts, name)[0])) for name in ("tp", "pp", "vpp", "cp", "ep", "dp")
    )


def training_working(point: Point, calibration: Calibration) -> tuple[WorkingStep, ...]:
    """Every quantity in the order it is computed, with its formula, inputs and where they stand."""
    return (*_memory_working(point), *_step_working(point, calibration), *_run_working(point))


def _memory_working(point: Point) -> tuple[WorkingStep, ...]:
    job, shape, recipe = point.job, point.job.shape, point.job.recipe
    per_param = (
        ("weights", recipe.weight_bytes, "parameters of the fullest stage / (tp, ep, ZeRO-3) x bytes + frozen copies"),
        ("gradients", recipe.gradient_bytes, "trained parameters / (tp, ep, ZeRO-2) x bytes"),
        ("optimizer", recipe.optimizer_bytes, "trained parameters / (tp, ep, ZeRO-1 over dp x cp) x bytes"),
    )
    states = tuple(
        WorkingStep(
            name=f"{name}_gb",
            value=float(getattr(point.memory, name)[0]) / GB,
            unit="GB per GPU",
            formula=formula,
            inputs=(
                Quantity(name="params_b", value=shape.total_params / BILLION),
                Quantity(name="bytes_param", value=size),
                *_degrees(point),
            ),
            source=f"arXiv 1910.02054; {_ASSUMPTIONS}",
        )
        for name, size, formula in per_param
    )
    layers = WorkingStep(
        name="activations_gb",
        value=float(point.memory.activations[0]) / GB,
        unit="GB per GPU",
        formula="tokens / (tp cp) x stored bytes x stage share x min(m, pp) x (1 + (pp-1)/(pp vpp))",
        inputs=(
            Quantity(name="micro_batch", value=float(point.layouts.micro_batch[0])),
            Quantity(name="seq_len_tokens", value=shape.seq_len_tokens),
            Quantity(name="stored_bytes_token", value=shape.stored_bytes_token),
        ),
        source="arXiv 2205.05198",
    )
    total = WorkingStep(
        name="peak_memory_gb",
        value=float(point.memory.total[0]) / GB,
        unit="GB per GPU",
        formula="sum of the parts + reserve + fragmentation",
        inputs=(
            Quantity(name="reserve_gb", value=job.reserve_bytes / GB),
            Quantity(name="fragmentation_fraction", value=job.fragmentation_fraction),
            Quantity(name="usable_gb", value=float(point.table.memory_bytes[point.server]) / GB),
        ),
        source=f"{_ASSUMPTIONS}; config/hardware/gpus.yaml",
    )
    return (*states, layers, total)


def _step_working(point: Point, calibration: Calibration) -> tuple[WorkingStep, ...]:
    job = point.job
    gpu = point.table.gpus[point.server]
    compute = job.recipe.compute
    efficiency = calibration.coefficient(
        "training.gemm_efficiency", f"{generation(gpu)}/{compute}", f"*/{compute}"
    )
    rounds = micro_batches(point.layouts, job.workload.global_batch_sequences)
    head = (
        WorkingStep(
            name="step_flop",
            value=job.step_flop,
            unit="FLOP",
            formula="tokens x passes x (2 x multiplied parameters + causal attention)",
            inputs=(
                Quantity(name="step_tokens", value=job.step_tokens),
                Quantity(name="passes", value=job.recipe.passes + job.recipe.reference_passes),
                Quantity(name="attention_flop_token", value=job.shape.attention_flop_token),
            ),
            source="arXiv 2104.04473",
        ),
        WorkingStep(
            name="sustained_dense_tflops",
            value=point.peak_flop_s * efficiency / TFLOP_S,
            unit="TFLOPS per GPU",
            formula="dense peak x efficiency, less for small products",
            inputs=(
                Quantity(name=f"{compute}_dense_tflops", value=point.peak_flop_s / TFLOP_S),
                Quantity(name="gemm_efficiency", value=efficiency),
            ),
            source=f"config/hardware/gpus.yaml; {_FIT}",
        ),
        WorkingStep(
            name="micro_batches",
            value=float(rounds[0]),
            unit="per step and pipeline",
            formula="global batch / (dp x micro batch)",
            inputs=(
                Quantity(name="global_batch_sequences", value=float(job.workload.global_batch_sequences)),
                *_degrees(point),
            ),
            source=_METHOD,
        ),
    )
    parts = tuple(
        WorkingStep(
            name=f"{name}_s",
            value=float(np.atleast_1d(getattr(point.step, name))[0]),
            unit="s per step",
            formula=what,
            inputs=(),
            source=f"{_METHOD}; {_FIT}",
        )
        for name, what in _PARTS.items()
    )
    total = WorkingStep(
        name="step_time_s",
        value=point.step_s,
        unit="s",
        formula="(m + (pp-1)/vpp) x micro-batch of the slowest stage + exposed data parallel + optimizer + fixed",
        inputs=(),
        source=_METHOD,
    )
    return (*head, *parts, total)


def _run_working(point: Point) -> tuple[WorkingStep, ...]:
    job = point.job
    return (
        WorkingStep(
            name="goodput_fraction",
            value=point.goodput_fraction,
            unit="",
            formula="(1 - evaluation) / (1 + write/interval + (interval/2 + restart + read) / failure interval)",
            inputs=(
                Quantity(name="failure_interval_h", value=point.failure_interval_s / HOUR_S),
                Quantity(name="checkpoint_gb", value=job.checkpoint_bytes / GB),
                Quantity(name="checkpoint_write_s", value=point.checkpoint_write_s),
                Quantity(name="checkpoint_interval_min", value=job.workload.checkpoint_interval_min),
                Quantity(name="best_interval_min", value=point.best_interval_s / MINUTE_S),
            ),
            source=f"Young 1974, Daly 2006; {_ASSUMPTIONS}",
        ),
        WorkingStep(
            name="time_to_train_days",
            value=point.days,
            unit="days",
            formula="ceil(tokens / step tokens) x step time / goodput",
            inputs=(
                Quantity(name="tokens", value=job.workload.tokens),
                Quantity(name="steps", value=job.steps),
                Quantity(name="step_time_s", value=point.step_s),
            ),
            source=_METHOD,
        ),
    )
