"""The working of a training: every quantity with its formula, its inputs and where they stand."""

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.median import median_step
from service.sizing.result import Quantity, WorkingStep
from service.sizing.training.explain import PARTS, Certainty, Point
from service.sizing.training.layouts import micro_batches
from service.sizing.training.rates import generation
from service.sizing.units import BILLION, GB, HOUR_S, MINUTE_S, TFLOP_S

_FIT = "config/calibration/training.yaml"
_METHOD = "service/sizing/training/METHOD.md"
_ASSUMPTIONS = "config/assumptions.yaml"


def _degrees(point: Point) -> tuple[Quantity, ...]:
    layouts = point.layouts
    return tuple(
        Quantity(name=name, value=float(getattr(layouts, name)[0])) for name in ("tp", "pp", "vpp", "cp", "ep", "dp")
    )


def training_working(point: Point, calibration: Calibration, certainty: Certainty) -> tuple[WorkingStep, ...]:
    """Every quantity in the order it is computed, with its formula, inputs and where they stand."""
    run = _run_working(point)
    return (
        *candidate_working(point, calibration),
        *run,
        median_step(run[-1], certainty.step.median_factor, name="time_to_train_p50_days", source=_FIT),
    )


def candidate_working(point: Point, calibration: Calibration) -> tuple[WorkingStep, ...]:
    """Memory and step of one candidate, whatever it trains and for how long."""
    return (*_memory_working(point), *_step_working(point, calibration))


def _memory_working(point: Point) -> tuple[WorkingStep, ...]:
    job, shape = point.job, point.job.shape
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
    computed = WorkingStep(
        name="memory_computed_gb",
        value=float(point.memory.computed[0]) / GB,
        unit="GB per GPU",
        formula="weights + gradients + optimizer + activations + logits + gathered layers + what loading takes beyond",
        inputs=(),
        source=_METHOD,
    )
    total = WorkingStep(
        name="memory_used_gb",
        value=float(point.memory.total[0]) / GB,
        unit="GB per GPU",
        formula="allocated p50 x (1 + fragmentation) + reserve: the p50 of the answer",
        inputs=(
            Quantity(name="reserve_gb", value=float(point.memory.reserve[0]) / GB),
            Quantity(name="fragmentation_fraction", value=job.fragmentation_fraction),
            Quantity(name="usable_gb", value=float(point.table.memory_bytes[point.server]) / GB),
        ),
        source=f"{_ASSUMPTIONS}; config/hardware/gpus.yaml",
    )
    shift = median_step(computed, job.memory_spread.median_factor, name="allocated_memory_p50_gb", source=_FIT)
    return (*_state_steps(point), layers, computed, shift, total)


def _state_steps(point: Point) -> tuple[WorkingStep, ...]:
    """What is kept of each parameter."""
    shape, recipe = point.job.shape, point.job.recipe
    per_param = (
        ("weights", recipe.weight_bytes, "parameters of the fullest stage / (tp, ep, ZeRO-3) x bytes + frozen copies"),
        ("gradients", recipe.gradient_bytes, "trained parameters / (tp, ep, ZeRO-2) x bytes"),
        ("optimizer", recipe.optimizer_bytes, "trained parameters / (tp, ep, ZeRO-1 over dp x cp) x bytes"),
    )
    return tuple(
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


def _step_working(point: Point, calibration: Calibration) -> tuple[WorkingStep, ...]:
    parts = tuple(
        WorkingStep(
            name=f"{name}_s",
            value=float(np.atleast_1d(getattr(point.step, name))[0]),
            unit="s per step",
            formula=what,
            inputs=(),
            source=f"{_METHOD}; {_FIT}",
        )
        for name, what in PARTS.items()
    )
    total = WorkingStep(
        name="step_time_s",
        value=point.step_s,
        unit="s",
        formula=(
            "(m + (pp-1)/vpp) x micro-batch of the slowest stage + exposed data parallel + optimizer + slowest + fixed"
        ),
        inputs=(),
        source=_METHOD,
    )
    return (*_work_steps(point, calibration), *parts, total)


def _work_steps(point: Point, calibration: Calibration) -> tuple[WorkingStep, ...]:
    """What a step multiplies, how fast, and in how many turns."""
    job = point.job
    gpu = point.table.gpus[point.server]
    compute = job.recipe.compute
    factor = calibration.coefficient("training.product_factor", f"{generation(gpu)}/{compute}", f"*/{compute}")
    shape = job.shape
    multiplied = shape.dense_params + shape.active_routed_params + shape.head_matmul_params
    product_flop = 2.0 * multiplied * job.step_tokens * (job.recipe.passes + job.recipe.reference_passes)
    rounds = micro_batches(point.layouts, job.batch_sequences)
    return (
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
            name="sustained_product_tflops",
            value=float(product_flop / point.gpus / point.step.products[0] / TFLOP_S),
            unit="TFLOPS per GPU",
            formula="FLOP of the matrix products / GPUs / seconds of the products, recompute not counted",
            inputs=(
                Quantity(name=f"{compute}_dense_tflops", value=point.peak_flop_s / TFLOP_S),
                Quantity(name="product_factor", value=factor),
            ),
            source=f"config/hardware/gpus.yaml; config/calibration/kernels.yaml; {_FIT}",
        ),
        WorkingStep(
            name="micro_batches",
            value=float(rounds[0]),
            unit="per step and pipeline",
            formula="global batch / (dp x micro batch)",
            inputs=(
                Quantity(name="global_batch_sequences", value=float(job.batch_sequences)),
                *_degrees(point),
            ),
            source=_METHOD,
        ),
    )


def _run_working(point: Point) -> tuple[WorkingStep, ...]:
    job = point.job
    return (
        WorkingStep(
            name="goodput_fraction",
            value=point.goodput_fraction,
            unit="",
            formula="(1 - evaluation) / (1 + write/interval + failures (interval/2 + restart + read) / run)",
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
