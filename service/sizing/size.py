"""size: from a question, or many, to ranked options, whatever their kind."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from service.errors import InvalidRequestError, PlannerError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.inference.search import sizing_of_inference
from service.sizing.joint import Sizing, side_by_side, step_by_step
from service.sizing.result import Assumed, SizingResult
from service.sizing.round_result import rounded, significant
from service.sizing.science.application import Application
from service.sizing.science.search import sizing_of_science
from service.sizing.table import FloatArray
from service.sizing.terms import Terms
from service.sizing.training.search import sizing_of_training
from service.sizing.way_out import with_way_out
from service.sizing.workload import InferenceWorkload, Question, TrainingWorkload

# So many have small arrays in common, and are lost where somebody stops in the middle of them.
_FIRST, _SIDE_BY_SIDE = 8, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A question, and the model or the application that it is about."""

    question: Question
    architecture: ModelArchitecture | None
    application: Application | None


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
    its advice was evaluated. `best_only` gives the first of those options alone, number by number the same, without
    working and sensitivity; rejections and advice are given where nothing fits.
    """
    (found,) = size_many(
        [Subject(question=question, architecture=architecture, application=application)],
        hardware=hardware,
        calibration=calibration,
        weight=weight,
        beside_weight=beside_weight,
        best_only=best_only,
    )
    if isinstance(found, PlannerError):
        raise found
    return found


def size_many(
    subjects: Sequence[Subject],
    *,
    hardware: Hardware,
    calibration: Calibration,
    weight: FloatArray,
    beside_weight: float = math.nan,
    best_only: bool = False,
    advised: bool = True,
) -> list[SizingResult | PlannerError]:
    """As `size` for each of them, in their order, or why it is refused.

    Candidates of questions about one model become rows of the same arrays, so that many questions take less time than
    one after another; the answers are the same. So many go side by side that memory stays bounded. Not `advised`, what
    nothing fits has no way out: to try ways takes many times as long as all else.
    """
    terms = Terms(
        hardware=hardware, calibration=calibration, weight=weight, beside_weight=beside_weight, best_only=best_only
    )
    found = dict(end for ended in size_by_and_by(subjects, terms, advised=advised) for end in ended)
    return [found[place] for place in range(len(subjects))]


def size_by_and_by(
    subjects: Sequence[Subject], terms: Terms, *, advised: bool = True
) -> Iterator[list[tuple[int, SizingResult | PlannerError]]]:
    """The same as it is found, with the place of each subject, and nothing new where somebody may want to stop.

    Who takes no more of it has what was found; of what was begun nothing is left. The first few go by themselves, so
    that little time passes before something is found.
    """
    order = sorted(range(len(subjects)), key=lambda place: _about(subjects[place]))
    start, most = 0, _FIRST
    while start < len(order):
        places = order[start : start + most]
        start, most = start + most, _SIDE_BY_SIDE
        for ended in step_by_step([_sizing(subjects[place], terms, advised=advised) for place in places]):
            yield [(places[place], found) for place, found in ended]


def _about(subject: Subject) -> tuple[str, str]:
    """What questions have in common that share arrays: kind and model or application."""
    known = subject.architecture or subject.application
    return subject.question.workload.kind.value, "" if known is None else known.id


def _sizing(subject: Subject, terms: Terms, *, advised: bool) -> Sizing[SizingResult]:
    """The whole answer: advice where nothing fits, rounded at the seam."""
    question = subject.question
    found = yield from _searched(subject, terms)
    if advised:
        found = with_way_out(question, found, again=lambda other: _alone(replace(subject, question=other), terms))
    return rounded(
        replace(
            found,
            # By id, so that the order of the catalog shows nowhere.
            rejected=tuple(sorted(found.rejected, key=lambda r: r.server)),
            assumed=(*found.assumed, *_not_evaluated(question)),
            sensitivity=tuple(s for s in found.sensitivity if significant(s.at_low) != significant(s.at_high)),
        )
    )


def _alone(subject: Subject, terms: Terms) -> SizingResult:
    (found,) = side_by_side([_searched(subject, terms)])
    if isinstance(found, PlannerError):
        raise found
    return found


def _searched(subject: Subject, terms: Terms) -> Sizing[SizingResult]:
    """The result of the question's kind."""
    question, architecture, application = subject.question, subject.architecture, subject.application
    if isinstance(question.workload, InferenceWorkload | TrainingWorkload):
        if architecture is None:
            raise InvalidRequestError("a model workload needs its architecture")
        if isinstance(question.workload, TrainingWorkload):
            return (yield from sizing_of_training(question, architecture, terms=terms))
        return (yield from sizing_of_inference(question, architecture, terms=terms))
    if application is None:
        raise InvalidRequestError("a scientific workload needs its application")
    return (yield from sizing_of_science(question, application, terms=terms))


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
