"""One builder per dataclass: a plain, valid value, with the changes that a test is about."""

from dataclasses import replace
from typing import Any

from service.sizing.precision import Precision
from service.sizing.workload import (
    Constraints,
    Demand,
    Deployment,
    InferenceWorkload,
    Question,
    Slo,
    TokenLength,
)


def inference_workload(**changes: Any) -> InferenceWorkload:
    """Chat on a 70B model in FP8."""
    plain = InferenceWorkload(
        model="llama-3.1-70b",
        isl_tokens=TokenLength(mean=2048.0),
        osl_tokens=TokenLength(mean=256.0),
        demand=Demand(requests_s=20.0),
        weight_precision=Precision.FP8,
        kv_precision=Precision.FP8,
        slo=Slo(ttft_ms=4000.0, tpot_ms=60.0),
    )
    return replace(plain, **changes)


def deployment(**changes: Any) -> Deployment:
    """Eight B200."""
    return replace(Deployment(gpu="b200-sxm", gpus=8, tp=8), **changes)


def constraints(**changes: Any) -> Constraints:
    """No limits, 80 % confidence."""
    return replace(Constraints(), **changes)


def question(workload: InferenceWorkload | None = None, **limits: Any) -> Question:
    """A workload with constraints."""
    return Question(workload=workload or inference_workload(), constraints=constraints(**limits))
