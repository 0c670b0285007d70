"""What the customer asked of the option, in one sentence and as fields: demand and objective, or a deadline."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from service.quoting.quantities import number, shown
from service.quoting.work import item_work, job_work, serving_work, training_work
from service.sizing.architecture import ModelArchitecture
from service.sizing.science.workload import SizeDistribution
from service.sizing.workload import InferenceWorkload, Question, TokenLength, TrainingWorkload, Workload

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
_OF_TRAINING = ("method", "tokens", "precision", "seq_len_tokens")
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
    """The work, the objective and the confidence that the sizing was asked for."""
    asked = tuple(Asked(name=name, value=value) for name, value in _asked(question))
    by_name = {item.name: item.value for item in asked}
    demands = [_said(text, by_name[name]) for name, text in _DEMANDS.items() if name in by_name]
    parts = [*_before(question.workload), *demands, *_work(question.workload)]
    objectives = [_said(text, by_name[name]) for name, text in _OBJECTIVES.items() if name in by_name]
    if objectives:
        parts.append(f"{' and '.join(objectives)} for {_said('{} %', by_name['percentile'])} of the requests")
    work = ", ".join(parts) or "as much as it can do"
    confidence = f"{shown(number(question.constraints.min_confidence_fraction) * 100)} %"
    return QuoteTarget(sentence=f"{_subject(question)}: {work}, at a confidence of {confidence}.", asked=asked)


def _before(workload: Workload) -> tuple[str, ...]:
    """How much is done in all, which stands before the day by which it is."""
    return training_work(workload) if isinstance(workload, TrainingWorkload) else job_work(workload)


def _work(workload: Workload) -> tuple[str, ...]:
    """What one request or item is, which stands after how many there are."""
    return serving_work(workload) if isinstance(workload, InferenceWorkload) else item_work(workload)


def _asked(question: Question) -> Iterator[tuple[str, Any]]:
    workload = question.workload
    if isinstance(workload, InferenceWorkload):
        yield from _given(workload.demand)
        yield from _lengths(workload)
        if workload.slo is not None:
            yield from _given(workload.slo)
    elif isinstance(workload, TrainingWorkload):
        yield from (pair for pair in _given(workload) if pair[0] in _OF_TRAINING)
        yield from _given(workload.target)
    else:
        target = getattr(workload, "target", None)
        yield from (pair for pair in _given(workload) if pair[0] != "kind")
        if isinstance(size := getattr(workload, "tokens", None), SizeDistribution):
            yield from _length("tokens", size)
        if target is not None:
            yield from _given(target)
    yield "min_confidence_fraction", question.constraints.min_confidence_fraction


def _lengths(workload: InferenceWorkload) -> Iterator[tuple[str, float]]:
    yield from _length("isl_tokens", workload.isl_tokens)
    yield from _length("osl_tokens", workload.osl_tokens)


def _length(name: str, size: TokenLength | SizeDistribution) -> Iterator[tuple[str, float]]:
    yield name, size.mean
    if size.p95 is not None:
        yield f"p95_{name}", size.p95


def _given(record: Any) -> Iterator[tuple[str, Any]]:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            yield field.name, str(value) if isinstance(value, str) else value


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
    said = text.format(value if isinstance(value, str) else shown(number(value)))
    return said.removesuffix("s") if said.endswith(" 1 days") else said
