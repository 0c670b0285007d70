"""What the customer asked of the option, in one sentence and as fields: demand and objective, or a deadline."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.quoting.quantities import number, shown
from service.sizing.architecture import ModelArchitecture
from service.sizing.workload import InferenceWorkload, Question, TrainingWorkload

_DEMANDS = {
    "requests_s": "{} requests a second",
    "concurrency": "{} requests in flight",
    "output_tokens_s": "{} output tokens a second",
    "users": "{} users",
    "saturate_gpus": "all that {} GPUs can do",
    "targets_day": "{} targets a day",
    "ns_day": "{} ns a day",
    "genomes_day": "{} genomes a day",
    "forecasts_day": "{} forecasts a day",
    "ligands_day": "{} ligands a day",
    "designs_day": "{} designs a day",
    "deadline_days": "done within {} days",
    "gpus": "on {} GPUs, as fast as they are",
    "budget_usd": "for at most {} USD of indicative hardware cost",
}
_OBJECTIVES = {"ttft_ms": "TTFT of at most {} ms", "tpot_ms": "TPOT of at most {} ms"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One thing that was asked; the name ends in its unit."""

    name: str
    value: float | int | str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteTarget:
    """The sentence for a page, and the fields behind it."""

    sentence: str
    asked: tuple[Asked, ...]


def target_of(question: Question) -> QuoteTarget:
    """The demand, the objective and the confidence that the sizing was asked for."""
    asked = tuple(Asked(name=name, value=value) for name, value in _asked(question))
    by_name = {item.name: item.value for item in asked}
    parts = [_said(text, by_name[name]) for name, text in _DEMANDS.items() if name in by_name]
    objectives = [_said(text, by_name[name]) for name, text in _OBJECTIVES.items() if name in by_name]
    if objectives:
        parts.append(f"{' and '.join(objectives)} for {_said('{} %', by_name['percentile'])} of the requests")
    work = ", ".join(parts) or "as much as it can do"
    confidence = f"{shown(number(question.constraints.min_confidence_fraction) * 100)} %"
    return QuoteTarget(sentence=f"{_subject(question)}: {work}, at a confidence of {confidence}.", asked=asked)


def _asked(question: Question) -> Iterator[tuple[str, Any]]:
    workload = question.workload
    if isinstance(workload, InferenceWorkload):
        yield from _given(workload.demand)
        if workload.slo is not None:
            yield from _given(workload.slo)
    elif isinstance(workload, TrainingWorkload):
        yield from _given(workload.target)
    else:
        target = getattr(workload, "target", None)
        yield from (pair for pair in _given(workload) if pair[0] in _DEMANDS)
        if target is not None:
            yield from _given(target)
    yield "min_confidence_fraction", question.constraints.min_confidence_fraction


def _given(record: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            yield field.name, value


def _subject(question: Question) -> str:
    workload = question.workload
    if isinstance(workload, InferenceWorkload):
        return f"Serving {_model(workload.model)}"
    if isinstance(workload, TrainingWorkload):
        return f"Training {_model(workload.model)} ({str(workload.method).replace('_', ' ')})"
    return f"Running {workload.application}"


def _model(model: str | ModelArchitecture) -> str:
    return model if isinstance(model, str) else model.id


def _said(text: str, value: float | str) -> str:
    return text.format(value if isinstance(value, str) else shown(number(value)))
