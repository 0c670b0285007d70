"""Instances whose passes take what a test says, for numbers that are worked out by hand."""

import numpy as np

from service.sizing.inference.least import PassLeast
from service.sizing.inference.overheads import Overheads
from service.sizing.inference.steady import Passes, Stream
from service.sizing.inference.step import StepParts

PLAIN = Overheads(
    products=1.0,
    inputs=1.0,
    generation=1.0,
    context=1.0,
    experts=1.0,
    streams=1.0,
    collectives=1.0,
    launch_factor=1.0,
    kernel_s=0.0,
    exchange_s=0.0,
    step_s=0.0,
    sequence_s=0.0,
    prefill_kernel_s=0.0,
    gpu_vintage=1.0,
    host_vintage=1.0,
    untuned_fraction=0.0,
    interference=1.0,
    stall_fraction=0.0,
    rank_wait_steps=0.0,
    admission_steps=0.5,
    wave=0.0,
    in_step_fraction=0.0,
    closed_queue_fraction=1.0,
    replayed_fraction=0.0,
    queued_stall_fraction=0.0,
    ttft_s=0.0,
    ttft_token_s=0.0,
    handoff_s=0.0,
)


def parts(*products_s: float, context_s: float = 0.0) -> StepParts:
    nothing = np.zeros((1, len(products_s)))
    return StepParts(
        products=np.array([products_s]),
        inputs=nothing,
        generation=nothing,
        context=nothing + context_s,
        experts=nothing,
        streams=nothing,
        collectives=nothing,
        launches=nothing,
        least=PassLeast(multiplied=nothing, attended=nothing),
        kernels=10.0,
        exchanges=4.0,
        host_factor=1.0,
    )


def stream(**changes: float) -> Stream:
    values = {
        "new_tokens": 1000.0,
        "tail_tokens": 1000.0,
        "osl_tokens": 100.0,
        "accepted_tokens": 1.0,
        "closed": 0.0,
        "alike_fraction": 0.0,
        "tail_fraction": 0.95,
    }
    return Stream(**{**values, **changes})


def passes(batch: float = 20.0, decode_s: float = 0.02, mixed_s: float = 0.05, carried: float = 1000.0) -> Passes:
    return Passes(
        batch=np.array([[batch]]),
        attention_dp=1.0,
        pp=1.0,
        decode=parts(decode_s),
        mixed=parts(mixed_s),
        # Eight prompts that add as much as eight of one each.
        full=parts(8.0 * (mixed_s - decode_s)),
        pass_tokens=np.array([[carried]]),
        most_tokens=8000.0,
    )
