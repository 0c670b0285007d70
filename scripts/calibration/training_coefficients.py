"""The numbers that a training adds to its kernels: where a fit starts, and how far each may move from there."""

from dataclasses import dataclass

import numpy as np

from service.sizing.table import FloatArray

PRECISIONS = ("bf16", "fp8", "fp4")
# What routed experts are multiplied in.
GROUPED = ("bf16", "fp8")
# Ways of scaling that runs state; others are the usual one of their precision.
RECIPES = ("fp8-current-scaling", "mxfp8")
GENERATIONS = ("ampere", "ada", "hopper", "blackwell", "blackwell_ultra", "blackwell_rtx")
# FlashAttention of May 2022 (arXiv 2205.14135); stacks before it wrote all scores to memory and read them again.
FUSED_ATTENTION_SINCE_YEAR = 2022.45
# FlashAttention-2 of July 2023 is 1.3 to 2.5 times as fast as the attention in Triton that frameworks brought before it
# (Dao 2023, arXiv 2307.08691). On Hopper and later they go on with it, though kernels of the generation gain 1.5 to 2
# over it (Shah et al. 2024, arXiv 2407.08608).
EARLY_ATTENTION_UNTIL_YEAR = 2023.5
# Torchtitan takes cuDNN's attention first wherever a mask is causal and no more, with PyTorch 2.9 of October 2025
# (torchtitan/models/attention.py); windows and chunks go through FlexAttention, which is compiled.
PLAIN_ATTENTION_UNTIL_YEAR = 2025.75
# Whose tensor cores work as those that it was made for.
OLD_ATTENTION = ("ampere", "ada", "blackwell_rtx")
# Transformer Engine 2.14 of April 2026 multiplies, biases and activates experts in MXFP8 in one kernel, 2.18 of August
# those in 16 bit; stacks bring it with their next release.
FUSED_EXPERTS_SINCE_YEAR = {"*": 2026.65, "fp8": 2026.4}
# PyTorch 2.9 of October 2025 has norms in one kernel.
FUSED_NORMS_SINCE_YEAR = 2025.75
# The rate that product_factor is over where trainings were measured; elsewhere it is the kernels' own.
TRAINED = ("ampere", "hopper", "blackwell", "blackwell_ultra")
PEAK_FRACTION = 0.8
# Alone, products in 16 and in 8 bits reach 1.11 times as much of the peak on B300 and GB300 as on B200 and GB200, whose
# peak is the same and whose power is less (config/calibration/kernels.yaml); in 4 bits both peaks are beyond reach.
KERNELS_BESIDE_PEAK = {
    "blackwell/bf16": 1.05,
    "blackwell/fp8": 1.05,
    "blackwell_ultra/bf16": 0.95,
    "blackwell_ultra/fp8": 0.95,
}
# Experts in narrow formats are young: their software improves apart.
KINDS = ("dense", "moe", "moe/narrow")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpec:
    """One coefficient: where the fit starts, how far (standard deviation of the logarithm) it may move, what it is.

    `most` bounds shares of a whole.
    """

    name: str
    start: float
    deviation: float
    what: str
    scopes: tuple[str, ...] = ("*",)
    most: float = np.inf


TRAINING_SPECS = (
    TrainingSpec(
        name="product_factor",
        start=1.05,
        deviation=0.15,
        scopes=("bf16", "fp8"),
        what="products over their kernels alone",
    ),
    # Recipes of NVFP4 keep about a seventh of the products in 16 bit (NVIDIA 2025, arXiv 2509.25149), which take three
    # to four times as long: the whole takes 1.3 to 1.4 times what it would in 4 bits alone. Kernels in 4
    # bits reach 0.45 to 0.6 of the peak, where those in 8 and 16 reach 0.77 to 0.86.
    TrainingSpec(
        name="product_factor", start=1.5, deviation=0.15, scopes=("fp4",), what="products over their kernels alone"
    ),
    TrainingSpec(
        name="recipe_factor",
        start=1.0,
        deviation=0.1,
        scopes=RECIPES,
        what="products under a way of scaling narrow numbers over those of the usual one",
    ),
    *(
        TrainingSpec(
            name="generation_factor",
            start=KERNELS_BESIDE_PEAK.get(scope, 1.0),
            deviation=0.12,
            scopes=(scope,),
            what="products of a generation of tensor cores over those of all",
        )
        for scope in (f"{generation}/{precision}" for generation in GENERATIONS for precision in PRECISIONS)
    ),
    TrainingSpec(
        name="expert_factor",
        start=1.5,
        deviation=0.25,
        scopes=GROUPED,
        what="grouped products over plain ones of their size",
    ),
    TrainingSpec(
        name="expert_half_tokens", start=300.0, deviation=0.7, what="tokens of an expert that reach half of the rate"
    ),
    TrainingSpec(
        name="expert_half_width", start=150.0, deviation=1.0, what="width of an expert that reaches half of the rate"
    ),
    TrainingSpec(
        name="attention_factor", start=1.2, deviation=0.25, what="attention, backward included, over its kernel"
    ),
    TrainingSpec(
        name="early_attention_factor",
        start=1.5,
        deviation=0.2,
        what="attention that frameworks brought before FlashAttention-2 over it",
    ),
    TrainingSpec(
        name="plain_attention_factor",
        start=1.7,
        deviation=0.15,
        what="FlashAttention-2, which frameworks bring, over kernels of newer generations",
    ),
    TrainingSpec(
        name="plain_vector_factor", start=1.5, deviation=0.3, what="elementwise work that is not fused over what is"
    ),
    TrainingSpec(
        name="biased_passes",
        start=54.0,
        deviation=0.3,
        what="times that outputs of experts move to be biased, clamped, gated and weighed in kernels apart",
    ),
    # Scores are written, masked, normalised, thinned out and read forward, and about as often again for gradients; the
    # half that causality leaves out is skipped by some kernels (arXiv 2205.05198, figure 3).
    TrainingSpec(
        name="score_passes",
        start=12.0,
        deviation=0.3,
        what="times that all scores move where attention is not fused",
    ),
    # Frameworks compile nothing unless asked, but who publishes a pace has often asked.
    TrainingSpec(
        name="composed_fraction",
        start=0.5,
        deviation=0.4,
        most=1.0,
        what="share of norms, rotations and gates in 16 bit that no compiler fuses, where PyTorch composes them",
    ),
    # Its backward pass is that of attention over heads; without DeepSeek-V3 few runs tell it apart from launches.
    TrainingSpec(name="latent_factor", start=1.2, deviation=0.12, what="attention over a latent, over its kernel"),
    TrainingSpec(
        name="scan_factor", start=1.0, deviation=0.5, what="recurrences, backward included, over their kernel"
    ),
    TrainingSpec(
        name="vector_passes", start=3.0, deviation=0.5, what="times that stored activations move for elementwise work"
    ),
    TrainingSpec(name="selective_passes", start=0.7, deviation=0.7, what="further passes under selective recompute"),
    TrainingSpec(name="layer_launch_us", start=500.0, deviation=0.2, what="launches of a layer, forward and backward"),
    TrainingSpec(name="moe_layer_launch_us", start=3000.0, deviation=0.2, what="further launches of a MoE layer"),
    TrainingSpec(name="expert_launch_us", start=150.0, deviation=0.3, what="launches of one expert of a GPU"),
    # Before each product in 8 bits its inputs are measured, scaled, cast and turned.
    TrainingSpec(
        name="narrow_launch_factor",
        start=1.6,
        deviation=0.3,
        what="launches of experts that are scaled into 8 bits over those in 16",
    ),
    TrainingSpec(
        name="captured_launch_factor",
        start=0.5,
        deviation=0.4,
        most=1.0,
        what="launches of layers that are captured as graphs over those of others",
    ),
    # A layer as PyTorch brings it normalises, rotates, gates and adds in kernels apart: about 150 launches forward and
    # backward beside about 60 of fused ones.
    TrainingSpec(
        name="plain_launch_factor",
        start=2.5,
        deviation=0.4,
        what="launches of layers as frameworks bring them over a vendor's",
    ),
    # Two tensors, of which frameworks reduce, copy, clip, update and copy back each by calls of their own.
    TrainingSpec(
        name="expert_step_us",
        start=300.0,
        deviation=0.8,
        what="work of a step on one expert of a GPU that does not scale",
    ),
    TrainingSpec(
        name="fused_side_fraction",
        start=0.5,
        deviation=0.4,
        most=1.0,
        what="bytes in and out of experts that one kernel multiplies and activates over those of others",
    ),
    # An adapter reads inputs and adds to outputs, and so with both gradients; dropout moves the input once more.
    TrainingSpec(
        name="adapter_passes",
        start=6.0,
        deviation=0.3,
        what="times that inputs and outputs of matrices with adapters move for them",
    ),
    # What is scaled into 8 bits for one product of a weight serves two, not three, where it is frozen.
    TrainingSpec(
        name="adapter_factor", start=1.1, deviation=0.1, what="frozen products in narrow formats over trained ones"
    ),
    # Look-ups of 4 bits reach a third to two thirds of the bandwidth.
    TrainingSpec(
        name="unpacking_factor",
        start=2.0,
        deviation=0.4,
        what="unpacking frozen weights over moving them at the full bandwidth",
    ),
    # An adapter drops, multiplies twice, scales and adds beside each matrix that has one.
    TrainingSpec(name="adapter_launch_factor", start=1.4, deviation=0.4, what="launches of a layer that has adapters"),
    TrainingSpec(name="scale_up_efficiency", start=0.75, deviation=0.15, most=0.95, what="share of NVLink bandwidth"),
    TrainingSpec(name="scale_out_efficiency", start=0.7, deviation=0.25, most=0.95, what="share of NIC bandwidth"),
    TrainingSpec(
        name="tp_exposed_fraction", start=0.6, deviation=0.4, most=1.0, what="tensor-parallel traffic not hidden"
    ),
    TrainingSpec(name="cp_exposed_fraction", start=0.1, deviation=0.7, most=1.0, what="ring traffic not hidden"),
    TrainingSpec(name="ep_exposed_fraction", start=0.5, deviation=0.5, most=1.0, what="expert all-to-all not hidden"),
    TrainingSpec(
        name="ep_overlapped_fraction",
        start=0.5,
        deviation=0.4,
        most=1.0,
        what="of it what shows of traffic between domains where chunks of a stage alternate",
    ),
    TrainingSpec(name="pp_exposed_fraction", start=0.2, deviation=0.7, most=1.0, what="pipeline hand-overs not hidden"),
    TrainingSpec(
        name="dp_overlap_fraction",
        start=0.6,
        deviation=0.4,
        most=1.0,
        what="share of a micro-batch that hides data traffic",
    ),
    TrainingSpec(name="dp_exposed_fraction", start=0.1, deviation=0.7, most=1.0, what="hidden data traffic that shows"),
    # Alone, forward kernels of attention run at 1.15 to 1.3 times the rate of backward ones (FlashAttention-2 and 3,
    # arXiv 2307.08691 and 2407.08608), and gradients of weights add to what is there.
    TrainingSpec(
        name="forward_factor",
        start=0.9,
        deviation=0.15,
        what="a forward pass over the mean of the three of a training",
    ),
    # GPUs of one kind differ: by 8 % from the fastest to the slowest of a cluster, some by more (Sinha et al. 2022,
    # arXiv 2208.11035); what hosts and networks add differs from step to step.
    TrainingSpec(
        name="gpu_spread_fraction",
        start=0.03,
        deviation=0.5,
        what="standard deviation of what GPUs take for the same work",
    ),
    TrainingSpec(name="fixed_step_ms", start=5.0, deviation=0.3, what="work of a step that does not scale"),
    # What is told of dense models is told by stacks of 2023 beside others of 2025: a weak prior would take whatever
    # tells the stacks apart for what three years made faster.
    TrainingSpec(
        name="improvement_fraction_year",
        start=0.1,
        deviation=0.2,
        scopes=("dense",),
        what="what a year of software makes faster",
    ),
    TrainingSpec(
        name="improvement_fraction_year",
        start=0.1,
        deviation=1.0,
        scopes=("moe", "moe/narrow"),
        what="what a year of software makes faster",
    ),
    TrainingSpec(
        name="host_improvement_fraction_year",
        start=0.3,
        deviation=0.5,
        scopes=KINDS,
        what="what a year of software takes off launches",
    ),
    TrainingSpec(name="rollout_layer_gap_us", start=50.0, deviation=0.7, what="further gap of a layer in rollouts"),
    TrainingSpec(name="rollout_factor", start=1.8, deviation=0.3, what="rollouts over a pass for each token"),
)
"""Every coefficient, in the order of the fitted vector."""
AT = {
    (spec.name, scope): place
    for place, (spec, scope) in enumerate((spec, scope) for spec in TRAINING_SPECS for scope in spec.scopes)
}
_EACH = tuple(spec for spec in TRAINING_SPECS for _ in spec.scopes)
START = np.log(np.array([spec.start for spec in _EACH]))
"""Where the fit starts."""
DEVIATIONS = np.array([spec.deviation for spec in _EACH])
LOG_MOST = np.log(np.array([spec.most for spec in _EACH]))


def value_at(vector: FloatArray, name: str, scope: str = "*") -> float:
    """One coefficient of a fitted vector."""
    return float(np.exp(vector[AT[name, scope]]))


def values_at(vectors: FloatArray, name: str, scope: str = "*") -> FloatArray:
    """One coefficient of each of many fitted vectors."""
    return np.asarray(np.exp(vectors[AT[name, scope]]), dtype=np.float64)
