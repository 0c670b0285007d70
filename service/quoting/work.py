"""What the work of a sizing is, in the words of its customer: how long requests are, what is trained, on what it runs.

Each part of a sentence stands for fields that the answer depends on; what nobody stated and does nothing is left out.
"""

from service.quoting.quantities import number, shown
from service.sizing.science.workload import SizeDistribution
from service.sizing.workload import Availability, InferenceWorkload, TokenLength, TrainingWorkload, Workload

_LARGE = ((1e12, "trillion"), (1e9, "billion"), (1e7, "million"))
# Of a scientific job: what it does in all, and what each of its items is.
_JOB = {
    "parameters": "{} parameters",
    "tokens": "{} tokens",
    "cells": "{} cells",
    "steps": "{} steps",
    "step_flop": "{} FLOP a step",
    "step_bytes": "{} bytes moved a step",
    "resident_gb": "{} GB in GPU memory",
    "precision": "in {}",
}
_ITEM = {
    "seeds": "{} seeds each",
    "replicas": "over {} trajectories",
    "atoms": "systems of {} atoms",
    "timestep_fs": "steps of {} fs",
    "coverage": "at a coverage of {}",
    "members": "{} members each",
    "steps": "{} steps each",
    "design_s": "{} s each",
    "ligands_s_gpu": "{} ligands a second on one GPU",
}
# Of these one is what everybody has, and says nothing.
_MORE_THAN_ONE = frozenset({"seeds", "replicas", "members"})


def serving_work(workload: InferenceWorkload) -> tuple[str, ...]:
    """How often each user asks, how long requests are, what is cached, and for how long the answer must suffice."""
    demand = workload.demand
    found = []
    if demand.users is not None and demand.requests_user_hour is not None and demand.peak_factor is not None:
        found.append(
            f"each with {_many(demand.requests_user_hour)} requests an hour (peak {_many(demand.peak_factor)} x)"
        )
    found.append(f"{_many(workload.isl_tokens.mean)} tokens in and {_many(workload.osl_tokens.mean)} out on average")
    found += _tails(workload.isl_tokens, workload.osl_tokens)
    if workload.prefix_cache_hit_fraction > 0.0:
        found.append(f"{_many(workload.prefix_cache_hit_fraction * 100)} % of the input cached")
    if workload.growth_fraction_year > 0.0:
        growth = f"{_many(workload.growth_fraction_year * 100)} % more each year"
        found.append(f"{growth} for {_many(workload.horizon_months)} months")
    if workload.availability is not Availability.N:
        found.append("with a spare server")
    return tuple(found)


def _tails(isl: TokenLength, osl: TokenLength) -> list[str]:
    """95 of 100 stay below these; a length without a tail has none to tell."""
    told = [f"{_many(size.p95)} {way}" for size, way in ((isl, "in"), (osl, "out")) if size.p95 is not None]
    return [f"{' and '.join(told)} at the 95th percentile"] if told else []


def training_work(workload: TrainingWorkload) -> tuple[str, ...]:
    """How many tokens, in which arithmetic, in which sequences."""
    return (
        f"{_many(workload.tokens)} tokens in {_format(workload.precision)}",
        f"sequences of {_many(workload.seq_len_tokens)}",
    )


def job_work(workload: Workload) -> tuple[str, ...]:
    """What a scientific job with an end does until then."""
    if getattr(workload, "target", None) is None or isinstance(workload, InferenceWorkload | TrainingWorkload):
        return ()
    return _parts(workload, _JOB)


def item_work(workload: Workload) -> tuple[str, ...]:
    """What a scientific application does for each of what is counted a day."""
    if getattr(workload, "target", None) is not None or isinstance(workload, InferenceWorkload | TrainingWorkload):
        return ()
    return (*_size(getattr(workload, "tokens", None)), *_parts(workload, _ITEM))


def _size(size: SizeDistribution | float | None) -> tuple[str, ...]:
    if not isinstance(size, SizeDistribution):
        return ()
    tail = "" if size.p95 is None else f" ({_many(size.p95)} at the 95th percentile)"
    return (f"{_many(size.mean)} tokens on average{tail}",)


def _parts(workload: Workload, words: dict[str, str]) -> tuple[str, ...]:
    found = []
    for name, text in words.items():
        value = getattr(workload, name, None)
        if isinstance(value, str):
            found.append(text.format(_format(value)))
        elif isinstance(value, int | float) and not (name in _MORE_THAN_ONE and value <= 1):
            found.append(text.format(_many(value)))
    return tuple(found)


def _format(precision: str) -> str:
    return str(precision).upper()


def _many(value: float) -> str:
    """2,048; 500 million; 2 trillion."""
    for least, word in _LARGE:
        if value >= least:
            scale = 1e6 if word == "million" else least
            return f"{shown(number(float(f'{value / scale:.6g}')))} {word}"
    return shown(number(float(f"{value:.6g}")))
