"""size: from a question to ranked options, whatever its kind."""

import math
from dataclasses import replace

from service.errors import InvalidRequestError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.search import size_inference
from service.sizing.result import Assumed, SizingResult
from service.sizing.round_result import rounded, significant
from service.sizing.science.application import Application
from service.sizing.science.search import size_science
from service.sizing.table import FloatArray
from service.sizing.training.search import size_training
from service.sizing.way_out import with_way_out
from service.sizing.workload import InferenceWorkload, Question, TrainingWorkload, budget_usd


def size(
    question: Question,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture | None,
    application: Application | None,
    calibration: Calibration,
    weight: FloatArray,
    beside_weight: float = math.nan,
    best_only: bool = False,
) -> SizingResult:
    """Ranked options of a question over the whole catalog; pure and deterministic.

    `weight` is aligned with `hardware.servers` (indicative USD per server, NaN without a price), `beside_weight`
    that of a server without GPUs; fleets above the stated budget are refused. Nothing that fits is a result, no error:
    its advice was evaluated. `best_only` gives the first of those options alone, number by number the same, and no
    sensitivity; rejections and advice are given where nothing fits.
    """

    def sized(asked: Question) -> SizingResult:
        return _sized(
            asked,
            hardware=hardware,
            architecture=architecture,
            application=application,
            calibration=calibration,
            weight=weight,
            beside_weight=beside_weight,
            best_only=best_only,
        )

    found = with_way_out(question, sized(question), again=sized)
    return rounded(
        replace(
            found,
            # By id, so that the order of the catalog shows nowhere.
            rejected=tuple(sorted(found.rejected, key=lambda r: r.server)),
            assumed=(*found.assumed, *_not_evaluated(question)),
            sensitivity=tuple(s for s in found.sensitivity if significant(s.at_low) != significant(s.at_high)),
        )
    )


def _sized(
    question: Question,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture | None,
    application: Application | None,
    calibration: Calibration,
    weight: FloatArray,
    beside_weight: float,
    best_only: bool,
) -> SizingResult:
    """The result of the question's kind."""
    limit = budget_usd(question)
    if isinstance(question.workload, InferenceWorkload | TrainingWorkload):
        if architecture is None:
            raise InvalidRequestError("a model workload needs its architecture")
        of_models = size_inference if isinstance(question.workload, InferenceWorkload) else size_training
        return of_models(
            question,
            hardware=hardware,
            architecture=architecture,
            calibration=calibration,
            weight=weight,
            weight_limit=limit,
            best_only=best_only,
        )
    if application is None:
        raise InvalidRequestError("a scientific workload needs its application")
    return size_science(
        question,
        hardware=hardware,
        application=application,
        calibration=calibration,
        weight=weight,
        beside_weight=beside_weight,
        weight_limit=limit,
        best_only=best_only,
    )


def _not_evaluated(question: Question) -> tuple[Assumed, ...]:
    """Constraints that a sizing keeps and does not judge: they belong to the quote."""
    stated = {
        "deliver_by": (question.constraints.deliver_by, "no lead time is part of a sizing"),
        "destination_country": (question.constraints.destination_country, "export rules are screened on a quote"),
    }
    return tuple(
        Assumed(field=f"constraints.{name}", value=f"{value}: not evaluated", why=why)
        for name, (value, why) in stated.items()
        if value is not None
    )
