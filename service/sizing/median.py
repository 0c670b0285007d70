"""From a prediction to the median that an answer shows: by what factor measured runs differ from predicted ones."""

from service.sizing.result import Quantity, WorkingStep


def median_step(predicted: WorkingStep, factor: float, *, name: str, source: str) -> WorkingStep:
    """The line of a working after `predicted`: its value as the answer's p50 has it."""
    point = float(predicted.value or 0.0)
    return WorkingStep(
        name=name,
        value=point * factor,
        unit=predicted.unit,
        formula=f"{predicted.name} x median of measured over predicted: the p50 of the answer",
        inputs=(
            Quantity(name=predicted.name, value=point),
            Quantity(name="measured_over_predicted_factor", value=factor),
        ),
        source=source,
    )
