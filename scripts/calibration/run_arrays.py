"""Many served runs of one mode as arrays, and how far the engine's predictions lie from what they measured."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from scripts.calibration.served_runs import GRID, PARTS, ServedRun, stacked
from service.sizing.inference.disaggregated import decoding, fullest, prefilling
from service.sizing.inference.least import PassLeast
from service.sizing.inference.overheads import Overheads, assembled
from service.sizing.inference.steady import Passes, SteadyState, Stream, aggregated
from service.sizing.inference.step import StepParts
from service.sizing.numeric import Numeric
from service.sizing.table import BoolArray, FloatArray, IntArray
from service.sizing.workload import LoadKind

METRICS = ("tpot_ms", "ttft_ms", "output_tokens_s")
# Batches about the one that a run has: between two of them it lies, and a small step takes it no farther than the next.
_NEAR = 4

# The logarithm of every run's own coefficient, by name.
Logs = Mapping[str, FloatArray]


class Runs:
    """Many runs of one mode as arrays: a row per run, a column per batch."""

    def __init__(self, runs: Sequence[ServedRun]) -> None:
        self.runs = runs
        self.pooled = runs[0].prefill is not None
        column = self._column
        self.osl = column([run.stream.osl_tokens for run in runs])
        self.age = column([run.age_years for run in runs])
        self.newness = column([run.newness for run in runs])
        self.replayed = column([run.replayed for run in runs])
        self.prompts_first = column([float(run.prompts_first) for run in runs])
        self.moe = np.array([run.place.label == "moe" for run in runs])
        self.engine = np.array([run.place.engine for run in runs])
        self.copies = np.array([run.copies for run in runs])
        self.clients = np.array([run.clients for run in runs]) / self.copies
        self.closed = np.array([run.load is LoadKind.CONCURRENCY for run in runs])
        self.burst = np.array([run.burst for run in runs])
        self.measured = {
            "tpot_ms": np.array([run.tpot_s for run in runs]),
            "ttft_ms": np.array([run.ttft_s for run in runs]),
            "output_tokens_s": np.array([run.output_tokens_s for run in runs]),
        }
        self.passes = Passes(
            batch=np.concatenate([run.passes.batch for run in runs]),
            attention_dp=column([run.passes.attention_dp for run in runs]),
            pp=column([run.passes.pp for run in runs]),
            decode=stacked([run.passes.decode for run in runs], points=GRID),
            mixed=stacked([run.passes.mixed for run in runs], points=GRID),
            full=stacked([run.passes.full for run in runs], points=GRID),
            pass_tokens=np.concatenate([run.passes.pass_tokens for run in runs]),
            most_tokens=column([run.passes.most_tokens for run in runs]),
        )
        self._stream = Stream(
            new_tokens=column([run.stream.new_tokens for run in runs]),
            tail_tokens=column([run.stream.tail_tokens for run in runs]),
            osl_tokens=self.osl,
            accepted_tokens=column([run.stream.accepted_tokens for run in runs]),
            closed=column([run.stream.closed for run in runs]),
            alike_fraction=column([run.stream.alike_fraction for run in runs]),
            tail_fraction=0.99,
        )
        if self.pooled:
            self._prefill = stacked([run.prefill for run in runs if run.prefill is not None], points=2)
            self._chunk = np.concatenate([run.chunk_tokens for run in runs])
            self._servers = column([run.servers for run in runs])
            self._ratio = column([1.0 if np.isnan(run.ratio) else run.ratio for run in runs])
            self._transfer = column([run.transfer_s for run in runs])

    def known(self, metric: str) -> BoolArray:
        """Runs in which the metric was measured and is compared."""
        compared = {
            "tpot_ms": self.closed,
            "ttft_ms": self.closed & ~self.burst,
            # Throughput of a closed loop says nothing that its latencies do not.
            "output_tokens_s": np.full(len(self.runs), fill_value=True) if self.pooled else ~self.closed,
        }[metric]
        return np.asarray(compared & np.isfinite(self.measured[metric]), dtype=np.bool_)

    @staticmethod
    def _column(values: Sequence[Numeric]) -> FloatArray:
        """One number of each run; degrees come as arrays of one."""
        return np.array([float(np.max(value)) for value in values])[:, None]

    def overheads(self, logs: Logs) -> Overheads:
        """The overheads of every run."""
        found = assembled(
            lambda name: np.asarray(np.exp(logs[name])[:, None], dtype=np.float64),
            age_years=self.age,
            newness=self.newness,
            prompts_first=self.prompts_first,
            replayed=self.replayed,
        )
        # The fit may try more than all of them.
        return replace(
            found,
            stall_fraction=np.minimum(1.0, found.stall_fraction),
            queued_stall_fraction=np.minimum(1.0, found.queued_stall_fraction),
            wave=np.minimum(1.0, found.wave),
            in_step_fraction=np.minimum(1.0, found.in_step_fraction),
            closed_queue_fraction=np.minimum(1.0, found.closed_queue_fraction),
        )

    def state(self, logs: Logs) -> SteadyState:
        """Every run at every batch."""
        overheads = self.overheads(logs)
        if not self.pooled:
            return aggregated(self.passes, self._stream, overheads)
        prefill = prefilling(
            self._prefill,
            self._stream,
            overheads,
            pass_tokens=self._chunk,
            most_tokens=self.passes.most_tokens,
            ranks=self._servers,
            servers=self._servers,
        )
        state, _ = decoding(
            self.passes,
            self._stream,
            overheads,
            prefill=prefill,
            transfer_s=self._transfer,
            ratio=self._ratio,
            utilisation=0.0,
        )
        return state

    def near(self, logs: Logs) -> "Runs":
        """The same runs at the few batches about those that they have under these coefficients.

        Enough for what a small step of a coefficient does, in a sixth of the arithmetic. Pools are few, and stay.
        """
        if self.pooled:
            return self
        first = self._operating_place(self.state(logs)).astype(np.int64) - (_NEAR - 1) // 2
        first = np.clip(first, 0, GRID - _NEAR)
        found = copy.copy(self)
        found.passes = _passes_from(self.passes, first)
        return found

    def log_errors(self, logs: Logs) -> dict[str, FloatArray]:
        """ln(predicted / measured) of every run, by metric; not a number where it was not measured."""
        tpot, ttft, rate = self._operated(self.state(logs))
        found = {"tpot_ms": tpot, "ttft_ms": ttft, "output_tokens_s": rate * self.osl[:, 0] * self.copies}
        return {name: np.where(self.known(name), np.log(found[name] / self.measured[name]), np.nan) for name in METRICS}

    def _operated(self, state: SteadyState) -> tuple[FloatArray, FloatArray, FloatArray]:
        """TPOT, TTFT and requests/s of every run at its load: the batch that its clients make, else the best one."""
        held, at = self._held(state), self._operating_place(state)
        room = _at(held, at)
        tpot, ttft, rate = (_at(values, at) for values in (state.tpot_s, state.ttft_s, state.requests_s))
        # Who finds no room waits: Little's law turns their number into time to first token.
        waiting = np.where(self.closed, np.maximum(0.0, self.clients - np.maximum(held[:, 0], room)), 0.0)
        return tpot, ttft + waiting / rate, rate

    def _held(self, state: SteadyState) -> FloatArray:
        """Requests in flight at every batch."""
        held = state.requests_s * (state.ttft_s + (self.osl - 1.0) * state.tpot_s)
        return np.asarray(np.maximum.accumulate(held, axis=1), dtype=np.float64)

    def _operating_place(self, state: SteadyState) -> FloatArray:
        """Where along its batches each run stands: at the one that its clients make, else at the best one."""
        best = np.argmax(state.requests_s, axis=1).astype(np.float64)
        clients = np.log(np.maximum(1e-12, self.clients))
        at = np.where(self.closed, _place(np.log(self._held(state)), clients), best)
        if self.pooled:
            busy = np.log(np.maximum.accumulate(np.maximum(1e-12, state.asked_fraction), axis=1))
            at = np.minimum(at, _place(busy, np.log(fullest(self._stream)[:, 0])))
        return at


def _passes_from(passes: Passes, first: IntArray) -> Passes:
    """A few batches of each run, from its own first one on."""
    columns = first[:, None] + np.arange(_NEAR)

    def few(values: FloatArray) -> FloatArray:
        return np.take_along_axis(values, columns, axis=1) if values.shape[1] > 1 else values

    def parts(whole: StepParts) -> StepParts:
        arrays = {name: few(getattr(whole, name)) for name in PARTS}
        least = PassLeast(multiplied=few(whole.least.multiplied), attended=few(whole.least.attended))
        return replace(whole, **arrays, least=least)

    return replace(
        passes,
        batch=few(passes.batch),
        pass_tokens=few(passes.pass_tokens),
        decode=parts(passes.decode),
        mixed=parts(passes.mixed),
        full=parts(passes.full),
    )


def _place(rising: FloatArray, wanted: FloatArray) -> FloatArray:
    """Where along the last axis each row of rising values reaches what is wanted: a column, and the way to the next."""
    last = rising.shape[1] - 1
    below = np.clip(np.sum(rising <= wanted[:, None], axis=1) - 1, 0, last - 1)
    rows = np.arange(rising.shape[0])
    low, high = rising[rows, below], rising[rows, below + 1]
    share = np.clip((wanted - low) / np.maximum(1e-12, high - low), 0.0, 1.0)
    return np.asarray(below + share, dtype=np.float64)


def _at(values: FloatArray, place: FloatArray) -> FloatArray:
    """Positive values of each row at a place between two columns, straight on the logarithm."""
    below = np.minimum(place.astype(np.int64), values.shape[1] - 2)
    rows, share = np.arange(values.shape[0]), place - below
    low, high = np.log(values[rows, below]), np.log(values[rows, below + 1])
    return np.asarray(np.exp(low + share * (high - low)), dtype=np.float64)
