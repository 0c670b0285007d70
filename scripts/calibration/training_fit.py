"""What a training adds to its kernels, fitted on measured steps: robust least squares with priors, on the logarithm.

The physics is the engine's own; here it only gets arrays of many runs. Priors pull factors to one and shares to what is
plausible; a run weighs less the more runs its group has.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from scripts.calibration.training_runs import TrainingRun, as_column, columned, joined
from service.sizing.table import FloatArray
from service.sizing.training.coefficients import Software, StepCoefficients, assembled, software_kind
from service.sizing.training.layouts import micro_batches
from service.sizing.training.step import step_time

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
# Errors beyond about an eighth weigh by their size, no longer by its square: chosen by what is left out.
_PRIOR_WEIGHT, _LOSS_SCALE, _CLIP = 0.2, 0.12, 2.5
_GROUP_POWER = -0.35
# How far a coefficient is moved to see what its logarithm does.
_DIFFERENCE = 1e-4


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
    TrainingSpec(name="latent_factor", start=1.2, deviation=0.25, what="attention over a latent, over its kernel"),
    TrainingSpec(
        name="scan_factor", start=1.0, deviation=0.5, what="recurrences, backward included, over their kernel"
    ),
    TrainingSpec(
        name="vector_passes", start=3.0, deviation=0.5, what="times that stored activations move for elementwise work"
    ),
    TrainingSpec(name="selective_passes", start=0.7, deviation=0.7, what="further passes under selective recompute"),
    TrainingSpec(name="layer_launch_us", start=500.0, deviation=0.2, what="launches of a layer, forward and backward"),
    TrainingSpec(name="moe_layer_launch_us", start=2500.0, deviation=0.4, what="further launches of a MoE layer"),
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
_AT = {
    (spec.name, scope): place
    for place, (spec, scope) in enumerate((spec, scope) for spec in TRAINING_SPECS for scope in spec.scopes)
}
_EACH = tuple(spec for spec in TRAINING_SPECS for _ in spec.scopes)
START = np.log(np.array([spec.start for spec in _EACH]))
"""Where the fit starts."""
_DEVIATIONS = np.array([spec.deviation for spec in _EACH])
_LOG_MOST = np.log(np.array([spec.most for spec in _EACH]))


def value_at(vector: FloatArray, name: str, scope: str = "*") -> float:
    """One coefficient of a fitted vector."""
    return float(np.exp(vector[_AT[name, scope]]))


def _values(vectors: FloatArray, name: str, scope: str = "*") -> FloatArray:
    """One coefficient of each of many fitted vectors."""
    return np.asarray(np.exp(vectors[_AT[name, scope]]), dtype=np.float64)


class StackedRuns:
    """Many runs as arrays: a row per run, a column per vector that is tried."""

    def __init__(self, runs: Sequence[TrainingRun]) -> None:
        self.runs = runs
        self.layouts = columned(joined([run.layouts for run in runs]))
        self._shape = columned(joined([run.job.shape for run in runs]))
        self._recipe = columned(joined([run.job.recipe for run in runs]))
        self._rates = columned(joined([run.rates for run in runs]))

        self._rounds = as_column([max(1, int(micro_batches(r.layouts, r.job.batch_sequences)[0])) for r in runs])
        self._kind = np.array([KINDS.index(software_kind(r.job.recipe.compute, moe=r.job.shape.is_moe)) for r in runs])
        self._recipes = [RECIPES.index(r.place.recipe) if r.place.recipe in RECIPES else len(RECIPES) for r in runs]
        years = np.array([run.software_years for run in runs])
        self._linked = as_column([run.linked for run in runs])
        self._up = as_column([run.bare_up_bytes_s for run in runs])
        self._out = as_column([run.bare_out_bytes_s for run in runs])
        self._measured = np.log(as_column([run.measured_step_s for run in runs]))
        precisions = [run.place.precision if run.place.precision in PRECISIONS else "bf16" for run in runs]
        since = np.array([FUSED_EXPERTS_SINCE_YEAR["*" if name == "bf16" else "fp8"] for name in precisions])
        self._software = Software(
            age_years=as_column([run.age_years for run in runs]),
            parted_scores=as_column(np.where(years < FUSED_ATTENTION_SINCE_YEAR, 1.0, 0.0)),
            parted_experts=as_column(np.where(years < since, 1.0, 0.0)),
            parted_norms=as_column(np.where(years < FUSED_NORMS_SINCE_YEAR, 1.0, 0.0)),
            narrow=as_column([float(name != "bf16") for name in precisions]),
        )
        self._precision = np.array([_AT["product_factor", name] for name in precisions])
        narrow = [name if name in GROUPED else "fp8" for name in precisions]
        self._experts = np.array([_AT["expert_factor", name] for name in narrow])
        self._grouped = np.array([_AT["product_factor", name] for name in narrow])
        self._grouped_generation = np.array(
            [_AT["generation_factor", f"{r.place.generation}/{p}"] for r, p in zip(runs, narrow, strict=True)]
        )
        self._generation = np.array(
            [_AT["generation_factor", f"{r.place.generation}/{p}"] for r, p in zip(runs, precisions, strict=True)]
        )
        self._wide = np.array([_AT["generation_factor", f"{run.place.generation}/bf16"] for run in runs])
        self._plain = as_column([run.job.recipe.plain_stack for run in runs])
        self._plain_kernels = as_column([run.job.recipe.plain_kernels for run in runs])
        plain_attention = as_column([run.job.plain_attention for run in runs])
        self._captured = ~self._plain & as_column([run.captured for run in runs])
        self._early = plain_attention & as_column(years < EARLY_ATTENTION_UNTIL_YEAR)
        self._lags = plain_attention & as_column([run.place.generation not in OLD_ATTENTION for run in runs])
        many = Counter(run.place.group for run in runs)
        raw = np.array([many[run.place.group] ** _GROUP_POWER for run in runs])
        self.weight = raw / raw.mean()

    def log_errors(self, vector: FloatArray) -> FloatArray:
        """ln(predicted / measured) of every run's step."""
        return self.log_errors_of_each(vector[:, None])[:, 0]

    def log_errors_of_each(self, vectors: FloatArray) -> FloatArray:
        """The same of many vectors, which are columns: a row per run, a column per vector."""

        def of(name: str) -> FloatArray:
            return _values(vectors, name)

        up = self._up * of("scale_up_efficiency")
        lagging = np.where(self._early, of("early_attention_factor"), 1.0)
        lagging = lagging * np.where(self._lags, of("plain_attention_factor"), 1.0)
        plain_launches = np.where(self._plain, of("plain_launch_factor"), 1.0)
        rates = replace(
            self._rates,
            product_factor=np.exp(vectors[self._precision] + vectors[self._generation]),
            grouped_factor=np.exp(vectors[self._grouped] + vectors[self._grouped_generation]),
            attention_factor=of("attention_factor") * lagging,
            latent_factor=of("latent_factor") * lagging,
            vector_factor=np.where(self._plain_kernels, of("plain_vector_factor"), 1.0),
            wide_factor=np.exp(vectors[_AT["product_factor", "bf16"]] + vectors[self._wide]),
            launch_factor=np.where(self._captured, of("captured_launch_factor"), plain_launches),
            scale_up_bytes_s=np.where(self._linked, up, self._rates.scale_up_bytes_s),
            scale_out_bytes_s=self._out * of("scale_out_efficiency"),
        )
        step = step_time(
            self.layouts,
            self._shape,
            recipe=self._recipe,
            rates=rates,
            micro_batches=self._rounds,
            k=self._coefficients(vectors),
        )
        return np.asarray(np.log(step.total) - self._measured, dtype=np.float64)

    def _coefficients(self, vectors: FloatArray) -> StepCoefficients:
        def of(name: str) -> FloatArray:
            if name == "expert_factor":
                return np.asarray(np.exp(vectors[self._experts]), dtype=np.float64)
            if name == "recipe_factor":
                factors = [*(_values(vectors, name, recipe) for recipe in RECIPES), np.ones(vectors.shape[1])]
                return np.asarray(np.stack(factors)[self._recipes], dtype=np.float64)
            if (name, KINDS[0]) in _AT:
                gains = np.stack([_values(vectors, name, kind) for kind in KINDS])
                return np.asarray(gains[self._kind], dtype=np.float64)
            return _values(vectors, name)

        return assembled(of, self._software)


def fit_training(stacked: StackedRuns, *, steps: int) -> FloatArray:
    """The vector that fits the runs best, from the priors on, after at most `steps` evaluations."""

    def residuals_of_each(vectors: FloatArray) -> FloatArray:
        errors = np.clip(stacked.log_errors_of_each(vectors), -_CLIP, _CLIP) * stacked.weight[:, None]
        priors = (vectors - START[:, None]) / _DEVIATIONS[:, None] * _PRIOR_WEIGHT
        return np.concatenate([priors, errors])

    def residuals(vector: FloatArray) -> FloatArray:
        return residuals_of_each(vector[:, None])[:, 0]

    def slopes(vector: FloatArray) -> FloatArray:
        # All at once: a small step in each coefficient, back from its bound.
        steps = np.where(vector + _DIFFERENCE > _LOG_MOST, -_DIFFERENCE, _DIFFERENCE)
        moved = residuals_of_each(vector[:, None] + np.diag(steps))
        return np.asarray((moved - residuals(vector)[:, None]) / steps, dtype=np.float64)

    found = least_squares(
        residuals,
        START,
        jac=slopes,
        bounds=(np.full(START.size, -np.inf), _LOG_MOST),
        loss="soft_l1",
        f_scale=_LOSS_SCALE,
        max_nfev=steps,
    )
    return np.asarray(found.x, dtype=np.float64)
