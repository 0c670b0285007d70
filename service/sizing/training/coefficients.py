"""The fitted numbers that a step needs, read once from the calibration."""

from dataclasses import dataclass

from service.sizing.calibration import Calibration
from service.sizing.numeric import Numeric
from service.sizing.precision import Precision
from service.sizing.units import MS, US

_NARROW = frozenset({Precision.FP8, Precision.FP4})
_MONTHS_YEAR = 12.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCoefficients:
    """Fitted numbers of config/calibration/training.yaml that the step needs; arrays where many fits are tried."""

    expert_factor: Numeric
    expert_half_tokens: Numeric
    expert_half_width: Numeric
    scan_factor: Numeric
    vector_passes: Numeric
    selective_passes: Numeric
    launch_s: Numeric
    moe_launch_s: Numeric
    expert_launch_s: Numeric
    adapter_launch_factor: Numeric
    tp_exposed: Numeric
    cp_exposed: Numeric
    ep_exposed: Numeric
    pp_exposed: Numeric
    dp_overlap: Numeric
    dp_exposed: Numeric
    fixed_s: Numeric
    imbalance: Numeric
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
    calibration: Calibration, compute: Precision, *, moe: bool, age_years: float = 0.0
) -> StepCoefficients:
    """The coefficients at a precision of the products, for software of an age."""
    get = calibration.coefficient
    kind = software_kind(compute, moe=moe)
    host = (1.0 + get("training.host_improvement_fraction_year", kind)) ** age_years
    return StepCoefficients(
        expert_factor=get("training.expert_factor", compute.value),
        expert_half_tokens=get("training.expert_half_tokens"),
        expert_half_width=get("training.expert_half_width"),
        scan_factor=get("training.scan_factor"),
        vector_passes=get("training.vector_passes"),
        selective_passes=get("training.selective_passes"),
        launch_s=get("training.layer_launch_us") * US * host,
        moe_launch_s=get("training.moe_layer_launch_us") * US * host,
        expert_launch_s=get("training.expert_launch_us") * US * host,
        adapter_launch_factor=get("training.adapter_launch_factor"),
        tp_exposed=get("training.tp_exposed_fraction"),
        cp_exposed=get("training.cp_exposed_fraction"),
        ep_exposed=get("training.ep_exposed_fraction"),
        pp_exposed=get("training.pp_exposed_fraction"),
        dp_overlap=get("training.dp_overlap_fraction"),
        dp_exposed=get("training.dp_exposed_fraction"),
        fixed_s=get("training.fixed_step_ms") * MS,
        imbalance=get("training.expert_imbalance_factor"),
        rollout_gap_s=get("training.rollout_layer_gap_us") * US,
        rollout_factor=get("training.rollout_factor"),
        vintage=(1.0 + get("training.improvement_fraction_year", kind)) ** age_years,
    )
