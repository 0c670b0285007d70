"""What an inference sizing assumed where the workload was silent."""

from service.sizing.calibration import Calibration
from service.sizing.inference.formats import Formats
from service.sizing.inference.software import DEFAULT_ENGINE
from service.sizing.inference.traffic import decodes, growth_factor
from service.sizing.result import Assumed
from service.sizing.workload import InferenceWorkload


def inference_assumed(
    workload: InferenceWorkload, calibration: Calibration, formats: tuple[Formats, ...]
) -> tuple[Assumed, ...]:
    """Formats that the engine chose (`formats` are those of the answer), defaults of the demand, growth, reserves."""
    found = [
        Assumed(field="workload.weight_precision", value=str(chosen.weight), why=chosen.why)
        for chosen in formats
        if chosen.why
    ]
    if workload.demand.users is not None:
        for name in ("requests_user_hour", "peak_factor"):
            if getattr(workload.demand, name) is None:
                entry = calibration.assumptions[f"inference.{name}"]
                found.append(
                    Assumed(
                        field=f"workload.demand.{name}", value=f"{entry.value:g}", why="not given", source=entry.source
                    )
                )
    if workload.growth_fraction_year > 0.0:
        found.append(
            Assumed(
                field="workload.demand",
                value=f"x {growth_factor(workload):.3g}",
                why="sized for the end of the horizon: (1 + growth_fraction_year) ^ years",
            )
        )
    if workload.speculative_decoding is not None:
        found.append(
            Assumed(
                field="workload.speculative_decoding",
                value="a draft that costs nothing",
                why="memory and time of the draft model are not counted; its tokens are verified by the model",
            )
        )
    engine = workload.engine or DEFAULT_ENGINE
    if workload.engine is None:
        found.append(
            Assumed(
                field="workload.engine",
                value=f"{engine}, as of {calibration.newest_software}",
                why="not given: the serving engine with the most measured runs, of the newest measured month",
            )
        )
    if workload.slo is None:
        found.append(Assumed(field="workload.slo", value="none", why="throughput only"))
    elif workload.slo.tpot_ms is not None and not decodes(workload):
        found.append(
            Assumed(field="workload.slo.tpot_ms", value="not held", why="no token follows the first, so none is late")
        )
    for name in (
        "inference.framework_reserve_gb",
        f"inference.memory_fraction.{engine}",
        f"inference.held_output_fraction.{engine}",
        "inference.prefill_chunk_tokens",
    ):
        entry = calibration.assumptions[name]
        value = f"{entry.value:g} {entry.unit}".strip()
        found.append(Assumed(field=name, value=value, why="engine assumption", source=entry.source))
    return tuple(found)
