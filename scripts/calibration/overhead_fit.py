"""What serving engines add to kernels, fitted on served runs: robust least squares with priors, on the logarithm.

Each coefficient is a base, times a factor per engine where engines differ, times one for mixture-of-experts models. The
priors pull factors to one and bases to what is plausible; a run weighs less the more runs its group has.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from scripts.calibration.run_arrays import METRICS, Runs
from scripts.calibration.served_runs import ServedRun
from service.sizing.table import BoolArray, FloatArray
from service.sizing.workload import ServingEngine

ENGINES = tuple(str(engine) for engine in ServingEngine)
# How much the logarithm of an error counts: times to first token scatter most, throughputs of full machines least.
_WEIGHTS = {"tpot_ms": 1.0, "ttft_ms": 0.35, "output_tokens_s": 1.2}
# Strong: factors that other sources pull far from one predict a source that nobody has seen less well.
_PRIOR_WEIGHT, _CLIP = 1.0, 2.5
# Where an error, so weighted, stops pulling as hard as it is large. Few sources show all that an engine does: what is
# a quarter off still says something of kernels.
_LOSS_SCALES = {"tpot_ms": 0.65, "ttft_ms": 0.4, "output_tokens_s": 0.65}
# An error hardly moves by more than its coefficient; where a queue overflows it jumps, which is no slope.
_STEP, _STEEPEST = 0.01, 3.0
# A run of a group of n weighs n to this power. What times to first token of a group miss is mostly one habit of its
# setup (how clients start, which prompts share a pass), of which many runs say little more than a few.
_GROUP_POWERS = {"tpot_ms": -0.35, "ttft_ms": -0.8, "output_tokens_s": -0.35}
_WEAK_FACTOR = 0.3
# How many instances the pools had was not published: the run says little of one instance.
_UNCOUNTED_FACTOR = 0.3
# Unpinned builds on older pages, and bursts whose lengths nobody ran: they count less.
_WEAK_SOURCES = frozenset({"sgl-cookbook-md"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One coefficient: where the fit starts, and how far (standard deviation of the logarithm) it may move."""

    name: str
    start: float
    base: float
    by_engine: float = 0.0
    moe: float = 0.0


SPECS = (
    Spec(name="product_factor", start=1.0, base=0.15, by_engine=0.1, moe=0.1),
    # Kernels alone scale the inputs of every product in 8 and 4 bit; engines do it as they norm and activate, and what
    # is left of it is the scaling of attention's output, one product in four of a layer, and of models yet unfused.
    Spec(name="input_factor", start=0.2, base=0.5, by_engine=0.5, moe=0.7),
    Spec(name="generation_factor", start=1.0, base=0.2, by_engine=0.15),
    Spec(name="context_factor", start=1.0, base=0.3, by_engine=0.2),
    Spec(name="expert_factor", start=1.0, base=0.25, by_engine=0.2),
    Spec(name="stream_passes", start=4.0, base=0.5),
    Spec(name="collective_factor", start=1.0, base=0.3, by_engine=0.2),
    # Of kernels that are replayed one launches while the one before it ends.
    Spec(name="launch_factor", start=0.6, base=0.3, by_engine=0.2),
    Spec(name="kernel_gap_us", start=1.3, base=0.8, by_engine=0.5, moe=0.5),
    Spec(name="exchange_gap_us", start=2.0, base=0.8, by_engine=0.4),
    Spec(name="step_gap_us", start=400.0, base=0.6, by_engine=0.5),
    Spec(name="sequence_us", start=5.0, base=0.7, by_engine=0.5),
    Spec(name="prefill_kernel_gap_us", start=20.0, base=0.8, by_engine=0.5, moe=0.5),
    Spec(name="gpu_improvement_fraction_year", start=0.08, base=0.5, moe=0.8),
    Spec(name="host_improvement_fraction_year", start=0.3, base=0.5),
    # What a model costs more on the day it comes out than once its kernels are tuned.
    Spec(name="untuned_fraction", start=0.3, base=0.5),
    # Prompts of a new model launch its unfused kernels one by one; decode steps replay them from graphs.
    Spec(name="untuned_launch_fraction", start=1.0, base=0.5),
    Spec(name="prefill_interference", start=0.8, base=0.3, by_engine=0.2),
    # Ranks meet in every layer: but for prompts that come to several at once, all of them wait.
    Spec(name="rank_stall_fraction", start=0.8, base=0.3, by_engine=0.2),
    # Requests that are alike, waiting in a queue, are let in and end on all ranks at once, until ranks drift apart.
    Spec(name="queued_stall_fraction", start=0.4, base=0.5),
    Spec(name="rank_wait_steps", start=8.0, base=0.4, by_engine=1.2),
    # Half a step is in flight when a prompt comes; engines that schedule while they compute take it a step later.
    Spec(name="admission_steps", start=1.5, base=0.2, by_engine=0.1),
    # Benchmarks send about ten requests a client: a tenth of them belongs to the first wave. Sources whose times to
    # first token are longer have other reasons, which a larger share would charge to everybody.
    Spec(name="closed_loop_wave_fraction", start=0.1, base=0.1, by_engine=0.15),
    # Where prompts go first and all requests are alike, nothing but chance sets clients apart again: how much of it
    # there is differs from one setup to the next, between hardly any and all.
    Spec(name="in_step_fraction", start=0.5, base=0.3),
    # Requests of one length come back at the distance in which they began, and wait for nobody; those of lengths that
    # are independent wait as if they came by chance. Benchmarks have both.
    Spec(name="closed_queue_fraction", start=0.5, base=0.3),
    # Between pools: another scheduler takes the request on, and asks for its cache.
    Spec(name="handoff_ms", start=40.0, base=0.6, by_engine=0.4),
    # What a tokeniser and a web server take; the rest of a first token is passes. Quick models have theirs in 31 ms.
    Spec(name="ttft_overhead_ms", start=8.0, base=0.3, by_engine=0.3),
    Spec(name="ttft_token_us", start=2.0, base=0.7, by_engine=0.3),
)


@dataclass(frozen=True, slots=True)
class Slots:
    """Where the logarithms of bases and factors stand in the vector that is fitted."""

    start: FloatArray
    prior: FloatArray
    index: dict[tuple[str, str], int]


def slots() -> Slots:
    """The vector of all specifications."""
    start: list[float] = []
    prior: list[float] = []
    index: dict[tuple[str, str], int] = {}
    for spec in SPECS:
        scopes = [("*", float(np.log(spec.start)), spec.base)]
        scopes += [(engine, 0.0, spec.by_engine) for engine in ENGINES if spec.by_engine]
        scopes += [("moe", 0.0, spec.moe)] if spec.moe else []
        for scope, value, deviation in scopes:
            index[spec.name, scope] = len(start)
            start.append(value)
            prior.append(deviation)
    return Slots(np.array(start), np.array(prior), index)


class Fitting:
    """Runs under one vector: which of its numbers make the coefficient of each run, and what an error weighs."""

    def __init__(self, runs: Runs, place: Slots) -> None:
        self.runs = runs
        self.weights = {name: _weights(runs.runs, power) for name, power in _GROUP_POWERS.items()}
        member = {"*": np.ones(len(runs.runs)), "moe": runs.moe.astype(np.float64)}
        member |= {engine: (runs.engine == engine).astype(np.float64) for engine in ENGINES}
        self._slots: dict[str, list[tuple[int, FloatArray]]] = {}
        for (name, scope), slot in place.index.items():
            self._slots.setdefault(name, []).append((slot, member[scope]))

    def logs(self, vector: FloatArray) -> dict[str, FloatArray]:
        """The coefficients of every run."""
        return {
            name: np.asarray(sum(vector[slot] * rows for slot, rows in found), dtype=np.float64)
            for name, found in self._slots.items()
        }

    def log_errors(self, vector: FloatArray) -> dict[str, FloatArray]:
        """ln(predicted / measured) of every run, by metric."""
        return self.runs.log_errors(self.logs(vector))

    def residuals(self, vector: FloatArray) -> FloatArray:
        """Weighted errors of what was measured, one after another."""
        return self._weighted(self.log_errors(vector))

    def slopes(self, vector: FloatArray) -> FloatArray:
        """Their derivatives by the vector: a run's error moves with its own coefficients, one at a time."""
        logs = self.logs(vector)
        near = self.runs.near(logs)
        base = self._weighted(near.log_errors(logs))
        found = np.zeros((base.size, vector.size))
        for name, members in self._slots.items():
            moved = self._weighted(near.log_errors({**logs, name: logs[name] + _STEP}))
            slope = np.clip((moved - base) / _STEP, -_STEEPEST, _STEEPEST)
            for slot, rows in members:
                found[:, slot] = slope * self._rows(rows)
        return found

    def scales(self) -> FloatArray:
        """Where each of the residuals stops pulling as hard as it is large."""
        return np.concatenate([np.full(np.count_nonzero(self._known(name)), _LOSS_SCALES[name]) for name in METRICS])

    def _weighted(self, errors: dict[str, FloatArray]) -> FloatArray:
        clipped = {name: np.clip(errors[name], -_CLIP, _CLIP) * _WEIGHTS[name] * self.weights[name] for name in METRICS}
        return np.concatenate([clipped[name][self._known(name)] for name in METRICS])

    def _rows(self, rows: FloatArray) -> FloatArray:
        return np.concatenate([rows[self._known(name)] for name in METRICS])

    def _known(self, name: str) -> BoolArray:
        return self.runs.known(name)


def _weights(runs: Sequence[ServedRun], power: float) -> FloatArray:
    many = Counter(run.place.group for run in runs)
    raw = np.array([many[run.place.group] ** power for run in runs])
    weak = np.array([run.burst or run.place.source in _WEAK_SOURCES for run in runs])
    raw = np.where(weak, raw * _WEAK_FACTOR, raw)
    raw = np.where(np.array([run.uncounted for run in runs]), raw * _UNCOUNTED_FACTOR, raw)
    return np.asarray(raw / raw.mean(), dtype=np.float64)


def robust_loss(squares: FloatArray, *, scales: FloatArray) -> FloatArray:
    """Loss of squared residuals and its two derivatives: plain for the priors, which come first, Cauchy's for runs.

    A source whose times nobody can explain hardly pulls on what the others agree on; no number of runs buys a
    coefficient out of its prior cheaply. `scales` are those of the runs.
    """
    priors = squares.size - scales.size
    one, far = np.ones(priors), 1.0 + squares[priors:] / scales**2
    return np.stack(
        [
            np.concatenate([squares[:priors], scales**2 * np.log(far)]),
            np.concatenate([one, 1.0 / far]),
            np.concatenate([0.0 * one, -1.0 / (scales * far) ** 2]),
        ]
    )


def fit_overheads(sets: Sequence[Fitting], place: Slots, *, steps: int) -> FloatArray:
    """The vector that fits the runs best, after at most `steps` evaluations of the Jacobian."""
    pull = _PRIOR_WEIGHT / place.prior
    scales = np.concatenate([one.scales() for one in sets])

    def residuals(vector: FloatArray) -> FloatArray:
        return np.concatenate([(vector - place.start) * pull, *(one.residuals(vector) for one in sets)])

    def slopes(vector: FloatArray) -> FloatArray:
        return np.concatenate([np.diag(pull), *(one.slopes(vector) for one in sets)])

    def loss(squares: FloatArray) -> FloatArray:
        return robust_loss(squares, scales=scales)

    found = least_squares(residuals, place.start, jac=slopes, x_scale="jac", loss=loss, max_nfev=steps)
    return np.asarray(found.x, dtype=np.float64)
