"""What serving engines add to kernels, fitted on served runs: robust least squares with priors, on the logarithm.

Each coefficient is a base, times a factor per engine where engines differ, times one for mixture-of-experts models. The
priors pull factors to one and bases to what is plausible; a run weighs less the more runs its group has.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from scripts.calibration.served_runs import GRID, ServedRun, stacked
from service.sizing.inference.overheads import Overheads, assembled
from service.sizing.inference.steady import Passes, SteadyState, Stream, aggregated, decoding, prefilling
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray
from service.sizing.workload import LoadKind, ServingEngine

ENGINES = tuple(str(engine) for engine in ServingEngine)
METRICS = ("tpot_ms", "ttft_ms", "output_tokens_s")
# How much the logarithm of an error counts: times to first token scatter most.
_WEIGHTS = {"tpot_ms": 1.0, "ttft_ms": 0.35, "output_tokens_s": 0.8}
_PRIOR_WEIGHT, _LOSS_SCALE, _CLIP = 0.6, 0.25, 2.5
_GROUP_POWER, _WEAK_FACTOR = -0.45, 0.6
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
    Spec(name="generation_factor", start=1.0, base=0.2, by_engine=0.15),
    Spec(name="context_factor", start=1.0, base=0.3, by_engine=0.2),
    Spec(name="expert_factor", start=1.0, base=0.25, by_engine=0.2),
    Spec(name="stream_passes", start=4.0, base=0.5),
    Spec(name="collective_factor", start=1.0, base=0.3, by_engine=0.2),
    Spec(name="layer_gap_us", start=8.0, base=0.8, by_engine=0.5, moe=0.5),
    Spec(name="exchange_gap_us", start=2.0, base=0.8, by_engine=0.4),
    Spec(name="step_gap_us", start=400.0, base=0.6, by_engine=0.5),
    Spec(name="sequence_us", start=5.0, base=0.7, by_engine=0.5),
    Spec(name="prefill_layer_gap_us", start=60.0, base=0.8, by_engine=0.5, moe=0.5),
    Spec(name="gpu_improvement_fraction_year", start=0.08, base=0.5, moe=0.8),
    Spec(name="host_improvement_fraction_year", start=0.3, base=0.5),
    Spec(name="prefill_interference", start=0.8, base=0.3, by_engine=0.2),
    Spec(name="closed_loop_wave_fraction", start=0.1, base=1.0, by_engine=0.6),
    Spec(name="ttft_overhead_ms", start=30.0, base=0.8, by_engine=0.6),
    Spec(name="ttft_token_us", start=5.0, base=1.0, by_engine=0.5),
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


class Runs:
    """Many runs of one mode as arrays: a row per run, a column per batch."""

    def __init__(self, runs: Sequence[ServedRun], place: Slots) -> None:
        self.runs, self._slots = runs, place
        self.pooled = runs[0].prefill is not None
        column = self._column
        self.osl = column([run.stream.osl_tokens for run in runs])
        self.age = column([run.age_years for run in runs])
        self.moe = np.array([run.place.label == "moe" for run in runs])
        self.engine = np.array([run.place.engine for run in runs])
        self.copies = np.array([run.copies for run in runs])
        self.clients = np.array([run.clients for run in runs]) / self.copies
        self.loads = [run.load for run in runs]
        self.logs = np.log(np.concatenate([run.passes.batch for run in runs]))
        self.measured = {
            "tpot_ms": np.array([run.tpot_s for run in runs]),
            "ttft_ms": np.array([run.ttft_s for run in runs]),
            "output_tokens_s": np.array([run.output_tokens_s for run in runs]),
        }
        self.weight = _weights(runs)
        self._passes = Passes(
            batch=np.exp(self.logs),
            attention_dp=column([run.passes.attention_dp for run in runs]),
            pp=column([run.passes.pp for run in runs]),
            decode=stacked([run.passes.decode for run in runs], points=GRID),
            mixed=stacked([run.passes.mixed for run in runs], points=GRID),
            pass_tokens=np.concatenate([run.passes.pass_tokens for run in runs]),
        )
        self._stream = Stream(
            new_tokens=column([run.stream.new_tokens for run in runs]),
            tail_tokens=column([run.stream.tail_tokens for run in runs]),
            osl_tokens=self.osl,
            accepted_tokens=column([run.stream.accepted_tokens for run in runs]),
            closed=column([run.stream.closed for run in runs]),
            tail_fraction=0.99,
        )
        if self.pooled:
            self._prefill = stacked([run.prefill for run in runs if run.prefill is not None], points=1)
            self._chunk = np.concatenate([run.chunk_tokens for run in runs])
            self._servers = column([run.servers for run in runs])
            self._ratio = column([1.0 if np.isnan(run.ratio) else run.ratio for run in runs])
            self._transfer = column([run.transfer_s for run in runs])

    @staticmethod
    def _column(values: Sequence[Numeric]) -> FloatArray:
        """One number of each run; degrees come as arrays of one."""
        return np.array([float(np.max(value)) for value in values])[:, None]

    def _of(self, name: str, vector: FloatArray) -> FloatArray:
        """The coefficient of every run."""
        index = self._slots.index
        total = np.full(len(self.runs), vector[index[name, "*"]])
        if (name, ENGINES[0]) in index:
            total = total + vector[[index[name, engine] for engine in self.engine]]
        if (name, "moe") in index:
            total = total + self.moe * vector[index[name, "moe"]]
        return np.asarray(np.exp(total)[:, None], dtype=np.float64)

    def overheads(self, vector: FloatArray) -> Overheads:
        """The overheads of every run."""
        found = assembled(lambda name: self._of(name, vector), age_years=self.age)
        # The fit may try more than all of the clients.
        return replace(found, wave=np.minimum(1.0, found.wave))

    def state(self, vector: FloatArray) -> SteadyState:
        """Every run at every batch."""
        overheads = self.overheads(vector)
        if not self.pooled:
            return aggregated(self._passes, self._stream, overheads)
        service, tail = prefilling(self._prefill, self._stream, overheads, pass_tokens=self._chunk)
        state, _ = decoding(
            self._passes,
            self._stream,
            overheads,
            prefill_s=service,
            prefill_tail_s=tail,
            transfer_s=self._transfer,
            servers=self._servers,
            ratio=self._ratio,
            utilisation=0.0,
        )
        return state

    def log_errors(self, vector: FloatArray) -> dict[str, FloatArray]:
        """ln(predicted / measured) of every run, by metric; not a number where it was not measured."""
        state = self.state(vector)
        held = state.requests_s * (state.ttft_s + (self.osl - 1.0) * state.tpot_s)
        held = np.maximum.accumulate(held, axis=1)
        found = {name: np.full(len(self.runs), np.nan) for name in METRICS}
        for row, load in enumerate(self.loads):
            tpot, ttft, rate = self._operated(state, held, row, load)
            found["output_tokens_s"][row] = rate * self.osl[row, 0] * self.copies[row]
            if load is LoadKind.CONCURRENCY:
                found["tpot_ms"][row] = tpot
                found["ttft_ms"][row] = np.nan if self.runs[row].burst else ttft
        if not self.pooled:
            closed = np.array([load is LoadKind.CONCURRENCY for load in self.loads])
            # Throughput of a closed loop says nothing that its latencies do not.
            found["output_tokens_s"] = np.where(closed, np.nan, found["output_tokens_s"])
        return {name: np.log(value / self.measured[name]) for name, value in found.items()}

    def _operated(self, state: SteadyState, held: FloatArray, row: int, load: LoadKind) -> tuple[float, float, float]:
        """TPOT, TTFT and requests/s of one run at its load."""
        logs = self.logs[row]
        if load is LoadKind.CONCURRENCY:
            at = np.interp(np.log(self.clients[row]), np.log(held[row]), logs)
            tpot, ttft, rate = (
                float(np.exp(np.interp(at, logs, np.log(values[row]))))
                for values in (state.tpot_s, state.ttft_s, state.requests_s)
            )
            return tpot, ttft + max(0.0, self.clients[row] - held[row, -1]) / rate, rate
        best = int(np.argmax(state.requests_s[row]))
        return float(state.tpot_s[row, best]), float(state.ttft_s[row, best]), float(state.requests_s[row, best])


def _weights(runs: Sequence[ServedRun]) -> FloatArray:
    many = Counter(run.place.group for run in runs)
    raw = np.array([many[run.place.group] ** _GROUP_POWER for run in runs])
    weak = np.array([run.burst or run.place.source in _WEAK_SOURCES for run in runs])
    raw = np.where(weak, raw * _WEAK_FACTOR, raw)
    return np.asarray(raw / raw.mean(), dtype=np.float64)


def fit_overheads(sets: Sequence[Runs], place: Slots, *, start: FloatArray | None = None, steps: int) -> FloatArray:
    """The vector that fits the runs best, after at most `steps` evaluations of the Jacobian."""

    def residuals(vector: FloatArray) -> FloatArray:
        parts = [(vector - place.start) / place.prior * _PRIOR_WEIGHT]
        for runs in sets:
            for name, error in runs.log_errors(vector).items():
                known = np.isfinite(error)
                parts.append(np.clip(error[known], -_CLIP, _CLIP) * _WEIGHTS[name] * runs.weight[known])
        return np.concatenate(parts)

    first = place.start if start is None else start
    found = least_squares(residuals, first, loss="soft_l1", f_scale=_LOSS_SCALE, max_nfev=steps, diff_step=1e-3)
    return np.asarray(found.x, dtype=np.float64)
