"""Routed experts in 8 bits: one kernel that multiplies, activates and scales them, or several after another.

Transformer Engine 2.14 of April 2026 multiplies the gated experts of a GPU and activates them in one kernel, in MXFP8
on tensor cores of compute capability 10 (github.com/NVIDIA/TransformerEngine/releases/tag/v2.14, pull request 2769);
stacks bring it with their next release. Before, in other formats, and for experts without a gate or with biases, what
goes in and out of each product moves through kernels of its own.
"""

from collections.abc import Sequence

import numpy as np

from service.sizing.architecture import FfnKind, ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.precision import Precision
from service.sizing.table import FloatArray
from service.sizing.workload import PrecisionRecipe, TrainingWorkload

# What 8 bits mean on GPUs that have the kernel, where nobody says which way of scaling.
_FUSED_RECIPES = frozenset({PrecisionRecipe.AUTO, PrecisionRecipe.MXFP8})
_FUSED_GENERATIONS = frozenset({"blackwell", "blackwell_ultra"})


def fuses_experts(
    workload: TrainingWorkload,
    architecture: ModelArchitecture,
    calibration: Calibration,
    *,
    compute: Precision,
    software_years: float,
    plain_stack: bool,
) -> bool:
    """Whether the software has one kernel for the experts of this model, multiplied in this format."""
    narrow = compute is Precision.FP8 and workload.precision_recipe in _FUSED_RECIPES
    taken = all(f.gated and not f.expert_bias for f in architecture.ffns if f.kind is FfnKind.MOE)
    since = calibration.coefficient("training.fused_experts_since_year", compute.value)
    return narrow and taken and not plain_stack and software_years >= since


def fused_experts(generations: Sequence[str], *, fuses: bool) -> FloatArray:
    """1 for every GPU that has the kernel, where the software has it, else 0."""
    return np.array([float(fuses and own in _FUSED_GENERATIONS) for own in generations])
