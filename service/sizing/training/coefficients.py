"""The fitted numbers that a step needs, read once from the calibration."""

from dataclasses import dataclass

from service.sizing.calibration import Calibration
from service.sizing.numeric import Numeric
from service.sizing.precision import Precision
from service.sizing.units import MS, US

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
    adapter_launches: Numeric
    tp_exposed: Numeric
    cp_exposed: Numeric
    ep_exposed: Numeric
    pp_exposed: Numeric
    dp_overlap: Numeric
    dp_exposed: Numeric
    fixed_s: Numeric
    imbalance: Numeric
    vintage: Numeric


def software_age_years(calibration: Calibration, month: str | None) -> float:
    """Age of training software [years] before the newest measured runs, never negative; `month` is YYYY-MM."""
    if month is None:
        return 0.0
    year, number = month.split("-")
    newest_year, newest = calibration.newest_software.split("-")
    months = (int(newest_year) - int(year)) * _MONTHS_YEAR + int(newest) - int(number)
    return max(0.0, months / _MONTHS_YEAR)


def coefficients_of(
    calibration: Calibration, compute: Precision, *, moe: bool, age_years: float = 0.0
) -> StepCoefficients:
    """The coefficients at a precision of the products, for software of an age."""
    get = calibration.coefficient
    kind = "moe" if moe else "dense"
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
        adapter_launches=get("training.adapter_launch_factor"),
        tp_exposed=get("training.tp_exposed_fraction"),
        cp_exposed=get("training.cp_exposed_fraction"),
        ep_exposed=get("training.ep_exposed_fraction"),
        pp_exposed=get("training.pp_exposed_fraction"),
        dp_overlap=get("training.dp_overlap_fraction"),
        dp_exposed=get("training.dp_exposed_fraction"),
        fixed_s=get("training.fixed_step_ms") * MS,
        imbalance=get("training.expert_imbalance_factor"),
        vintage=(1.0 + get("training.improvement_fraction_year", kind)) ** age_years,
    )
