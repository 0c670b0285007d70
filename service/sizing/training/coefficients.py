"""The fitted numbers that a step needs, read once from the calibration."""

from dataclasses import dataclass

from service.sizing.calibration import Calibration
from service.sizing.training.recipe import Recipe
from service.sizing.units import MS, US


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCoefficients:
    """Fitted numbers of config/calibration/training.yaml that the step needs."""

    half_tokens: float
    half_width: float
    expert_half_tokens: float
    expert_half_width: float
    scan_efficiency: float
    moe_launch_s: float
    vector_passes: float
    selective_passes: float
    launch_s: float
    tp_exposed: float
    cp_exposed: float
    ep_exposed: float
    pp_exposed: float
    dp_overlap: float
    dp_exposed: float
    fixed_s: float
    imbalance: float


def coefficients_of(calibration: Calibration, recipe: Recipe) -> StepCoefficients:
    """The coefficients at the recipe's precision."""
    get = calibration.coefficient
    return StepCoefficients(
        half_tokens=get("training.gemm_half_tokens"),
        half_width=get("training.gemm_half_width"),
        expert_half_tokens=get("training.expert_half_tokens"),
        expert_half_width=get("training.expert_half_width"),
        scan_efficiency=get("training.scan_efficiency"),
        moe_launch_s=get("training.moe_layer_launch_us") * US,
        vector_passes=get("training.vector_passes", recipe.compute.value),
        selective_passes=get("training.selective_passes"),
        launch_s=get("training.layer_launch_us") * US,
        tp_exposed=get("training.tp_exposed_fraction"),
        cp_exposed=get("training.cp_exposed_fraction"),
        ep_exposed=get("training.ep_exposed_fraction"),
        pp_exposed=get("training.pp_exposed_fraction"),
        dp_overlap=get("training.dp_overlap_fraction"),
        dp_exposed=get("training.dp_exposed_fraction"),
        fixed_s=get("training.fixed_step_ms") * MS,
        imbalance=get("training.expert_imbalance_factor"),
    )
