"""Recipe: how a method and a precision turn parameters into bytes, and tokens into passes over the network."""

from dataclasses import dataclass

from service.errors import FieldError, UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.precision import BYTES_ELEMENT, Precision
from service.sizing.units import GB_S
from service.sizing.workload import LoraTargets, Method, Optimizer, PrecisionRecipe, TrainingWorkload

ADAPTER_METHODS = frozenset({Method.LORA, Method.QLORA})
_QUANTISED = frozenset({Precision.FP8, Precision.FP4})
_RECIPES = {
    Precision.FP8: frozenset(PrecisionRecipe) - {PrecisionRecipe.NVFP4},
    Precision.FP4: frozenset({PrecisionRecipe.AUTO, PrecisionRecipe.NVFP4}),
}
_ALLOWED = frozenset({Precision.BF16, Precision.FP16, Precision.FP8, Precision.FP4, Precision.INT4, Precision.AUTO})
# A fused cross-entropy works on FP32 logits and writes their gradient in their place; stacks that tune mostly use a
# plain one: BF16 logits, an FP32 copy of them and its gradient in FP32.
_FUSED_LOGIT_BYTES, _PLAIN_LOGIT_BYTES = 4.0, 10.0
# A loss in chunks, of which torchtune takes eight, has the FP32 copy and its gradient of one of them at a time.
_CHUNKED_LOGIT_BYTES = 3.0
_TRAINED_FAST = frozenset({Method.PRETRAIN, Method.CONTINUED_PRETRAIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Bytes per parameter and passes per token. `compute` is the precision of the layers' matrix products.

    Passes count one forward as 1: a full training is forward + both gradients = 3; frozen weights save one.
    """

    method: Method
    compute: Precision
    multiplied_bytes: float
    # Of the routed experts' products: FP4 recipes keep them, as other parts that lose much, in 8 bit.
    grouped: Precision
    grouped_bytes: float
    # Tokens of the busiest expert rank over the mean.
    imbalance: float
    weight_bytes: float
    gradient_bytes: float
    optimizer_bytes: float
    # What lies in host memory instead, how fast it is reached, and whether it comes and goes behind the backward pass.
    host_bytes: float
    pages: bool
    # Whether sharded weights lie there too, as PyTorch's FSDP offloads all states of a shard or none.
    host_weights: bool
    host_bytes_s: float
    stored_input_factor: float
    # Of the head's outputs, and of their gradient where it takes another place.
    logit_bytes: float
    # Share of what selective recompute could make again that is made again.
    selective_fraction: float
    passes: float
    recompute_passes: float
    reference_passes: float
    frozen_copies: float
    frozen_bytes: float
    # Read and written where frozen weights are unpacked on the way into a product.
    unpacked_bytes: float
    adapter_rank: float
    # Whether feed-forward parts have adapters, and whether products without one keep their inputs all the same.
    adapts_ffn: bool
    keeps_inputs: bool
    # Whether sequences are decoded before they train.
    rolls_out: bool
    # Whether norms and activations are not fused: tuning in 16 bit; narrow formats come with fused layers.
    unfused: bool
    # Whether only adapters are trained.
    is_adapter: bool
    # Whether layers train as their framework brings them, and what selective recompute multiplies again there.
    plain_stack: bool
    # Whether their attention, norms and rotations are the framework's own too.
    plain_kernels: bool
    selective_products_fraction: float
    # Whether operands are brought into 8 bits in kernels apart.
    scales_apart: bool


def compute_precision(workload: TrainingWorkload) -> Precision:
    """Precision of the matrix products; `auto` trains in BF16, and so do the frozen INT4 weights of QLoRA."""
    frozen_only = workload.precision is Precision.INT4 and workload.method is not Method.QLORA
    if workload.precision not in _ALLOWED or frozen_only:
        message = f"'{workload.precision}' cannot train a language model; use bf16, fp16, fp8 or fp4"
        if frozen_only:
            message += ", or the method qlora, which keeps frozen weights in int4"
        error = FieldError(field="workload.precision", message=message, value=str(workload.precision))
        raise UnsupportedWorkloadError(f"workload.precision: {message}", errors=(error,))
    asked = workload.precision_recipe
    if asked not in _RECIPES.get(workload.precision, {PrecisionRecipe.AUTO}):
        known = " or ".join(precision for precision, recipes in _RECIPES.items() if asked in recipes)
        message = f"{asked} is no recipe of {workload.precision}; use the precision {known}, or the recipe auto"
        error = FieldError(field="workload.precision_recipe", message=message, value=str(asked))
        raise UnsupportedWorkloadError(f"workload.precision_recipe: {message}", errors=(error,))
    if workload.method is Method.QLORA or workload.precision is Precision.AUTO:
        return Precision.BF16
    return workload.precision


def grouped_precision(compute: Precision) -> Precision:
    """Precision of the routed experts' products."""
    return Precision.FP8 if compute is Precision.FP4 else compute


def imbalance_of(workload: TrainingWorkload, calibration: Calibration) -> float:
    """Tokens of the busiest expert rank over the mean: as stated, or the usual."""
    said = workload.expert_imbalance_factor
    return calibration.assumption("training.expert_imbalance_factor") if said is None else said


def optimizer_entry(optimizer: Optimizer, *, moe: bool) -> str:
    """The assumption that says how many bytes of the GPU's memory the optimizer keeps of a parameter."""
    automatic = Optimizer.ADAMW_BF16 if moe else Optimizer.ADAMW_FP32
    return f"training.{automatic if optimizer is Optimizer.AUTO else optimizer}_bytes_param"


def _host_bytes(optimizer: Optimizer, calibration: Calibration, *, moe: bool) -> float:
    """What a step moves of a parameter between GPU and host [bytes]: states once, pages of moments in and out."""
    if optimizer is Optimizer.ADAMW_8BIT_PAGED:
        return 2.0 * calibration.assumption(optimizer_entry(Optimizer.ADAMW_8BIT, moe=moe))
    if optimizer is Optimizer.ADAMW_HOST:
        return calibration.assumption(optimizer_entry(Optimizer.ADAMW_FP32, moe=moe))
    return 0.0


def _logit_bytes(method: Method, *, chunked_loss: bool) -> float:
    """Bytes of an output of the head, and of its gradient, while the loss is computed."""
    if chunked_loss:
        return _CHUNKED_LOGIT_BYTES
    return _FUSED_LOGIT_BYTES if method in _TRAINED_FAST else _PLAIN_LOGIT_BYTES


def recipe_of(
    workload: TrainingWorkload,
    calibration: Calibration,
    *,
    moe: bool,
    plain_stack: bool = False,
    vendor_kernels: bool = False,
    chunked_loss: bool = False,
    software_years: float,
) -> Recipe:
    """The recipe of a workload: AdamW with FP32 master weights, BF16 weights and gradients.

    Moments are FP32, of MoE models BF16, unless the workload says otherwise. FP8 and FP4 recipes quantise on the way
    into each product and keep weights, gradients and optimizer as BF16 does. `software_years` is the fractional year
    in which the software came out.
    """
    compute = compute_precision(workload)
    method = workload.method
    adapter = method in ADAPTER_METHODS
    frozen = Precision.INT4 if method is Method.QLORA else compute
    pages = workload.optimizer is Optimizer.ADAMW_8BIT_PAGED
    on_host = workload.optimizer is Optimizer.ADAMW_HOST
    reference = method in {Method.DPO, Method.GRPO}
    # GRPO also scores the rollouts under the policy that made them.
    reference_passes = {Method.DPO: 1.0, Method.GRPO: 2.0}.get(method, 0.0)
    return Recipe(
        method=method,
        compute=compute,
        multiplied_bytes=BYTES_ELEMENT[compute],
        grouped=grouped_precision(compute),
        grouped_bytes=BYTES_ELEMENT[grouped_precision(compute)],
        imbalance=imbalance_of(workload, calibration) if moe else 1.0,
        weight_bytes=calibration.assumption("training.weight_bytes_param"),
        # States in host memory take each layer's gradient as it comes.
        gradient_bytes=0.0 if on_host or pages else calibration.assumption("training.gradient_bytes_param"),
        optimizer_bytes=calibration.assumption(optimizer_entry(workload.optimizer, moe=moe)),
        host_bytes=_host_bytes(workload.optimizer, calibration, moe=moe),
        pages=pages,
        host_weights=on_host and plain_stack,
        host_bytes_s=calibration.assumption("training.host_link_gb_s") * GB_S,
        logit_bytes=_logit_bytes(method, chunked_loss=chunked_loss),
        selective_fraction=calibration.assumption("training.selective_recompute_fraction"),
        stored_input_factor=0.5 if compute in _QUANTISED else 1.0,
        passes=2.0 if adapter else 3.0,
        recompute_passes=1.0,
        reference_passes=reference_passes,
        frozen_copies=1.0 if adapter or reference else 0.0,
        frozen_bytes=BYTES_ELEMENT[frozen] if adapter else BYTES_ELEMENT[Precision.BF16],
        unpacked_bytes=BYTES_ELEMENT[frozen] + BYTES_ELEMENT[Precision.BF16] if method is Method.QLORA else 0.0,
        adapter_rank=float(workload.lora_rank) if adapter else 0.0,
        adapts_ffn=adapter and workload.lora_targets is LoraTargets.ALL,
        # Products of weights that are unpacked on the way keep their inputs, as the calibration runs of QLoRA show.
        keeps_inputs=method is not Method.LORA or workload.lora_targets is LoraTargets.ALL,
        rolls_out=method is Method.GRPO,
        unfused=method not in _TRAINED_FAST and compute not in _QUANTISED,
        is_adapter=adapter,
        plain_stack=plain_stack,
        plain_kernels=plain_stack and not vendor_kernels,
        selective_products_fraction=(
            calibration.assumption("training.plain_selective_products_fraction") if plain_stack else 0.0
        ),
        scales_apart=(
            compute in _QUANTISED
            and plain_stack
            and not vendor_kernels
            and software_years >= calibration.assumption("training.plain_scaling_since_year")
        ),
    )


def regime(recipe: Recipe, *, moe: bool) -> str:
    """The kind of a training: adapters and reinforcement learning apart, then dense and MoE."""
    if recipe.method is Method.GRPO:
        return "grpo"
    if recipe.is_adapter:
        return "adapter"
    return "moe" if moe else "dense"


def band(recipe: Recipe, *, moe: bool) -> str:
    """Whose residuals a training has: those of its kind, but what frameworks bring differs more than kinds do."""
    name = regime(recipe, moe=moe)
    return "plain" if recipe.plain_stack and name != "grpo" else name


def scatters(recipe: Recipe, *, moe: bool) -> tuple[str, ...]:
    """The bands that a training scatters by: experts in a stack as its framework brings it by that and as experts do.

    No run of that kind is among those that the bands are made of.
    """
    name = band(recipe, moe=moe)
    return (name, "moe") if name == "plain" and moe else (name,)
