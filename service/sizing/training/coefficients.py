"""The fitted numbers that a step needs, read once from the calibration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from service.sizing.calibration import Calibration
from service.sizing.numeric import Numeric
from service.sizing.precision import Precision
from service.sizing.table import FloatArray
from service.sizing.training.recipe import grouped_precision
from service.sizing.units import MS, US
from service.sizing.workload import PrecisionRecipe

_NARROW = frozenset({Precision.FP8, Precision.FP4})
_MONTHS_YEAR = 12.0

# One number, or one of each run that is fitted.
Fitted = TypeVar("Fitted", float, FloatArray)


@dataclass(frozen=True, slots=True, kw_only=True)
class Software(Generic[Fitted]):
    """What the software of a run is, as far as coefficients go by it; arrays where there are many runs.

    1 for yes and 0 for no: `parted_scores` where attention is not fused, `parted_experts` where biases of experts are
    added and activated in kernels apart, `parted_norms` where PyTorch composes norms, `narrow` where products are
    scaled into 8 bits, which frameworks do well only where they compile.
    """

    age_years: Fitted
    parted_scores: Fitted
    parted_experts: Fitted
    parted_norms: Fitted
    narrow: Fitted


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCoefficients:
    """Fitted numbers of config/calibration/training.yaml that the step needs; arrays where many fits are tried."""

    expert_factor: Numeric
    expert_half_tokens: Numeric
    expert_half_width: Numeric
    scan_factor: Numeric
    vector_passes: Numeric
    selective_passes: Numeric
    biased_passes: Numeric
    fused_side_fraction: Numeric
    score_passes: Numeric
    norm_fraction: Numeric
    composed_fraction: Numeric
    launch_s: Numeric
    moe_launch_s: Numeric
    expert_launch_s: Numeric
    adapter_launch_factor: Numeric
    adapter_factor: Numeric
    adapter_passes: Numeric
    unpacking_factor: Numeric
    recipe_factor: Numeric
    tp_exposed: Numeric
    cp_exposed: Numeric
    ep_exposed: Numeric
    ep_overlapped_exposed: Numeric
    pp_exposed: Numeric
    dp_overlap: Numeric
    dp_exposed: Numeric
    gpu_spread_fraction: Numeric
    forward_factor: Numeric
    fixed_s: Numeric
    expert_step_s: Numeric
    vintage: Numeric
    rollout_gap_s: Numeric
    rollout_factor: Numeric


def software_years(calibration: Calibration, month: str | None) -> float:
    """When training software was published, as a fractional year; `month` is YYYY-MM, None that of the newest runs."""
    year, number = (month or calibration.newest_software).split("-")
    return int(year) + (int(number) - 1) / _MONTHS_YEAR


def software_age_years(calibration: Calibration, month: str | None) -> float:
    """Age of training software [years] before the newest measured runs, never negative."""
    return max(0.0, software_years(calibration, None) - software_years(calibration, month))


def software_kind(compute: Precision, *, moe: bool) -> str:
    """What improves together: dense models, experts in 16 bit, experts in narrow formats, whose kernels are young."""
    if not moe:
        return "dense"
    return "moe/narrow" if compute in _NARROW else "moe"


def coefficients_of(
    calibration: Calibration,
    compute: Precision,
    *,
    moe: bool,
    month: str | None = None,
    recipe: PrecisionRecipe = PrecisionRecipe.AUTO,
) -> StepCoefficients:
    """The coefficients at a precision of the products, for software of a month, of today where None."""
    # Each is fitted for one sort of scope or for all; those of precisions and of kinds have no name in common.
    scopes = (grouped_precision(compute).value, software_kind(compute, moe=moe), recipe.value)

    def of(name: str) -> float:
        return calibration.coefficient(f"training.{name}", *scopes)

    years = software_years(calibration, month)
    software = Software(
        age_years=software_age_years(calibration, month),
        parted_scores=float(years < of("fused_attention_since_year")),
        parted_experts=float(years < of("fused_experts_since_year")),
        parted_norms=float(years < of("fused_norms_since_year")),
        narrow=float(compute in _NARROW),
    )
    return assembled(of, software)


def assembled(of: Callable[[str], Fitted], software: Software[Fitted]) -> StepCoefficients:
    """What the coefficients of these names make for some software."""
    host = (1.0 + of("host_improvement_fraction_year")) ** software.age_years
    # Inputs of experts are measured, scaled and turned before each product in 8 bits.
    composed = of("composed_fraction") * (1.0 - software.narrow)
    routing = host * (1.0 + software.narrow * (of("narrow_launch_factor") - 1.0))
    return StepCoefficients(
        expert_factor=of("expert_factor"),
        expert_half_tokens=of("expert_half_tokens"),
        expert_half_width=of("expert_half_width"),
        scan_factor=of("scan_factor"),
        vector_passes=of("vector_passes"),
        selective_passes=of("selective_passes"),
        biased_passes=of("biased_passes") * software.parted_experts,
        fused_side_fraction=of("fused_side_fraction"),
        score_passes=of("score_passes") * software.parted_scores,
        norm_fraction=composed * software.parted_norms,
        composed_fraction=composed,
        launch_s=of("layer_launch_us") * US * host,
        moe_launch_s=of("moe_layer_launch_us") * US * routing,
        expert_launch_s=of("expert_launch_us") * US * routing,
        adapter_launch_factor=of("adapter_launch_factor"),
        adapter_factor=1.0 + software.narrow * (of("adapter_factor") - 1.0),
        adapter_passes=of("adapter_passes"),
        unpacking_factor=of("unpacking_factor"),
        recipe_factor=of("recipe_factor"),
        tp_exposed=of("tp_exposed_fraction"),
        cp_exposed=of("cp_exposed_fraction"),
        ep_exposed=of("ep_exposed_fraction"),
        ep_overlapped_exposed=of("ep_overlapped_fraction"),
        pp_exposed=of("pp_exposed_fraction"),
        dp_overlap=of("dp_overlap_fraction"),
        dp_exposed=of("dp_exposed_fraction"),
        gpu_spread_fraction=of("gpu_spread_fraction"),
        forward_factor=of("forward_factor"),
        fixed_s=of("fixed_step_ms") * MS,
        expert_step_s=of("expert_step_us") * US,
        rollout_gap_s=of("rollout_layer_gap_us") * US,
        rollout_factor=of("rollout_factor"),
        vintage=(1.0 + of("improvement_fraction_year")) ** software.age_years,
    )
