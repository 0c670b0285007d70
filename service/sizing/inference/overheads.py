"""Overheads: what a running engine adds to its kernels, as served runs show it."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from service.sizing.calibration import Calibration
from service.sizing.inference.attention import LATENTS
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.software import Software, since_release_years
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray
from service.sizing.units import MS, US

# One number, or one of each run that is fitted.
Fitted = TypeVar("Fitted", float, FloatArray)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheads:
    """Factors on kernels, gaps between them, and host work; fitted on served runs, per engine where they differ.

    The vintages are how much slower older software ran kernels and host work, `untuned_fraction` the part by which a
    decode step is slower while the software is new to the model. `interference` is the share of a prompt's
    passes that delays the sequences which decode beside it, `stall_fraction` the share of prompts on other ranks of
    attention data parallelism that a rank stands still for, `queued_stall_fraction` the share of that where a queue of
    requests that are alike keeps ranks in step, `rank_wait_steps` the steps that a prompt waits there for prompts on
    other ranks, `admission_steps` those until any prompt joins a pass and its token is out, `wave` the share
    of the clients of a closed loop whose prompts arrive together, `in_step_fraction` the share of those whose requests
    are alike under an engine that takes prompts first (0 under others), `closed_queue_fraction` the part of the wait of
    independent arrivals that clients of a closed loop have, `replayed_fraction` 1 where passes with prompts are
    replayed from graphs, by one rank in one stage, `handoff_s` what it takes a decode pool to take on a request.
    Scalars, or arrays when many runs are evaluated at once.
    """

    products: Numeric
    inputs: Numeric
    generation: Numeric
    context: Numeric
    experts: Numeric
    streams: Numeric
    collectives: Numeric
    launch_factor: Numeric
    kernel_s: Numeric
    exchange_s: Numeric
    step_s: Numeric
    sequence_s: Numeric
    prefill_kernel_s: Numeric
    gpu_vintage: Numeric
    host_vintage: Numeric
    untuned_fraction: Numeric
    interference: Numeric
    stall_fraction: Numeric
    queued_stall_fraction: Numeric
    rank_wait_steps: Numeric
    admission_steps: Numeric
    wave: Numeric
    in_step_fraction: Numeric
    closed_queue_fraction: Numeric
    replayed_fraction: Numeric
    ttft_s: Numeric
    ttft_token_s: Numeric
    handoff_s: Numeric


def overheads_of(load: ModelLoad, software: Software, calibration: Calibration) -> Overheads:
    """The fitted numbers, most specific scope first: engine and model kind, engine, model kind, all."""
    scopes = (f"{software.engine}/{load.label}", str(software.engine), load.label)

    return assembled(
        lambda name: calibration.coefficient(f"inference.{name}", *scopes),
        age_years=software.age_years,
        newness=newness_of(load, software, calibration),
        prompts_first=1.0 if software.prompts_first else 0.0,
        replayed=replayed_of(load, software),
    )


def newness_of(load: ModelLoad, software: Software, calibration: Calibration) -> float:
    """How new a model is to the software, from 1 on the day it comes out towards 0: exp(-years / years of tuning).

    The first releases that run a model run it with general kernels, one after another; those that engines tune and fuse
    for its shapes come in the months after. Passes over whole prompts hardly know the difference.
    """
    tuning = calibration.assumption("inference.model_tuning_years")
    return math.exp(-since_release_years(software, load.architecture.released) / tuning)


def replayed_of(load: ModelLoad, software: Software) -> float:
    """1 where the engine has graphs of passes with prompts for the model; of latents, if any, only of short ones."""
    return 1.0 if software.prefill_graphs and not any(group.family in LATENTS for group in load.groups) else 0.0


def assembled(
    of: Callable[[str], Fitted], *, age_years: Fitted, newness: Fitted, prompts_first: Fitted, replayed: Fitted
) -> Overheads:
    """The overheads that the coefficients of these names make for software of an age [years], for a model as new.

    `prompts_first` is 1 where the engine takes all prompts that wait before it decodes on, `replayed` 1 where it has
    graphs of passes with prompts.
    """
    return Overheads(
        products=of("product_factor"),
        inputs=of("input_factor"),
        generation=of("generation_factor"),
        context=of("context_factor"),
        experts=of("expert_factor"),
        streams=of("stream_passes"),
        collectives=of("collective_factor"),
        launch_factor=of("launch_factor"),
        kernel_s=of("kernel_gap_us") * US,
        exchange_s=of("exchange_gap_us") * US,
        step_s=of("step_gap_us") * US,
        sequence_s=of("sequence_us") * US,
        prefill_kernel_s=of("prefill_kernel_gap_us") * (1.0 + of("untuned_launch_fraction") * newness) * US,
        gpu_vintage=(1.0 + of("gpu_improvement_fraction_year")) ** age_years,
        host_vintage=(1.0 + of("host_improvement_fraction_year")) ** age_years,
        untuned_fraction=of("untuned_fraction") * newness,
        interference=of("prefill_interference"),
        stall_fraction=of("rank_stall_fraction"),
        queued_stall_fraction=of("queued_stall_fraction"),
        rank_wait_steps=of("rank_wait_steps"),
        admission_steps=of("admission_steps"),
        wave=of("closed_loop_wave_fraction"),
        in_step_fraction=of("in_step_fraction") * prompts_first,
        closed_queue_fraction=of("closed_queue_fraction"),
        replayed_fraction=replayed,
        ttft_s=of("ttft_overhead_ms") * MS,
        ttft_token_s=of("ttft_token_us") * US,
        handoff_s=of("handoff_ms") * MS,
    )
