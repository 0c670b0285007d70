"""Steady state of a serving instance: from a decode batch to TTFT, TPOT, throughput and requests in flight."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.memory import sequence_bytes
from service.sizing.inference.step import Machine, decode_step_s, machine_of, prefill_s
from service.sizing.network import point_to_point_s
from service.sizing.table import BoolArray, FloatArray, HardwareTable
from service.sizing.units import MS
from service.sizing.workload import SpeculativeDecoding

NORMAL = NormalDist()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """One request in the mean, and the tails that a percentile asks for; tokens.

    `closed_loop`: a fixed number of clients, each sending its next request when the last one ends; they fall into step
    with one another. Otherwise requests arrive independently.
    """

    isl_tokens: float
    osl_tokens: float
    isl_tail_tokens: float
    hit_fraction: float
    percentile_fraction: float
    speculative: SpeculativeDecoding | None
    closed_loop: bool = False

    @property
    def new_tokens(self) -> float:
        """Prompt tokens that the prefix cache does not hold, in the mean."""
        return max(1.0, self.isl_tokens * (1.0 - self.hit_fraction))

    @property
    def accepted_tokens(self) -> float:
        """Tokens gained per decode step: 1 + a + a^2 ... for a draft of n tokens (Leviathan, Kalman, Matias 2023)."""
        if self.speculative is None:
            return 1.0
        accept, draft = self.speculative.acceptance_fraction, self.speculative.draft_tokens
        if accept >= 1.0:
            return draft + 1.0
        return float((1.0 - accept ** (draft + 1)) / (1.0 - accept))

    @property
    def decode_context_tokens(self) -> float:
        """Context of a sequence in the middle of its decode."""
        return self.isl_tokens + 0.5 * self.osl_tokens

    @property
    def steps_request(self) -> float:
        """Decode steps that one request takes."""
        return self.osl_tokens / self.accepted_tokens

    @property
    def query_tokens(self) -> float:
        """Tokens that one decode step verifies per sequence."""
        return 1.0 if self.speculative is None else 1.0 + self.speculative.draft_tokens


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServingPoint:
    """Per candidate and decode batch of one instance, SI units. `in_flight` counts waiting and prefilling requests too.

    `prefill_instances` is how many prefill instances one decode instance needs: zero when both share GPUs.
    """

    batch: FloatArray
    ttft_s: FloatArray
    ttft_tail_s: FloatArray
    tpot_s: FloatArray
    tpot_tail_s: FloatArray
    requests_s: FloatArray
    in_flight: FloatArray
    prefill_instances: FloatArray
    prefill_fraction: FloatArray
    decode_step_s: FloatArray
    prefill_s: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Phases:
    """Per candidate and batch, seconds: one decode step, the prefill of the mean and of the tail prompt."""

    batch: FloatArray
    step: FloatArray
    prefill: FloatArray
    prefill_tail: FloatArray


def serve(
    load: ModelLoad,
    layouts: InferenceLayouts,
    *,
    batch: FloatArray,
    traffic: Traffic,
    table: HardwareTable,
    calibration: Calibration,
    disaggregated: bool,
) -> ServingPoint:
    """The steady state at `batch` decoding sequences per instance, shaped (candidates, 1) or (candidates, batches)."""
    machine = machine_of(load, layouts, table=table, calibration=calibration)
    step = decode_step_s(
        load,
        machine,
        batch=batch,
        context_tokens=traffic.decode_context_tokens,
        query_tokens=traffic.query_tokens,
    )
    mean, tail = _prefill_times(load, machine, batch=batch, traffic=traffic, calibration=calibration)
    phases = _Phases(batch=batch, step=step, prefill=mean, prefill_tail=tail)
    if disaggregated:
        moved = sequence_bytes(load, layouts, context_tokens=traffic.isl_tokens)[:, None]
        return _disaggregated(machine, phases, moved_bytes=moved, traffic=traffic, calibration=calibration)
    return _aggregated(machine, phases, traffic=traffic, calibration=calibration)


def _prefill_times(
    load: ModelLoad, machine: Machine, *, batch: FloatArray, traffic: Traffic, calibration: Calibration
) -> tuple[FloatArray, FloatArray]:
    """Prefill [s] of the mean prompt and of the tail prompt; short prompts share a pass when many arrive per step."""
    chunk = calibration.assumption("inference.prefill_chunk_tokens")
    new = traffic.new_tokens
    arriving = batch / machine.attention_dp * traffic.accepted_tokens / traffic.osl_tokens * new
    long = max(1.0, traffic.isl_tail_tokens * (1.0 - traffic.hit_fraction))
    mean = prefill_s(
        load,
        machine,
        new_tokens=new,
        cached_tokens=max(0.0, traffic.isl_tokens - new),
        pass_tokens=np.minimum(chunk, np.maximum(new, arriving)),
    )
    tail = prefill_s(
        load,
        machine,
        new_tokens=long,
        cached_tokens=max(0.0, traffic.isl_tail_tokens - long),
        pass_tokens=np.minimum(chunk, np.maximum(long, arriving)),
    )
    return mean, tail


def _aggregated(machine: Machine, phases: _Phases, *, traffic: Traffic, calibration: Calibration) -> ServingPoint:
    """Prefill and decode share the GPUs: every step also carries the prompts that replace finished requests.

    A prompt crosses all pipeline stages but keeps each of them busy for its share only.
    """
    share = calibration.coefficient("inference.prefill_interference") * _others_fraction(machine, phases, traffic)
    arriving = phases.batch / (machine.attention_dp * machine.pp * traffic.steps_request)
    cycle = phases.step + share * arriving * phases.prefill
    busy = np.minimum(0.95, share * arriving * phases.prefill / cycle)
    fixed = phases.step + calibration.coefficient("inference.ttft_overhead_ms") * MS
    wave = _wave_s(machine, phases, traffic=traffic, calibration=calibration)
    return _point(
        phases,
        ttft_s=_with_queue(phases.prefill, busy) + 0.5 * wave + fixed,
        ttft_tail_s=_tail_with_queue(phases.prefill_tail, busy, traffic.percentile_fraction) + wave + fixed,
        cycle_s=cycle,
        prefill_fraction=busy,
        prefill_instances=np.zeros_like(cycle),
        traffic=traffic,
        calibration=calibration,
    )


def _wave_s(machine: Machine, phases: _Phases, *, traffic: Traffic, calibration: Calibration) -> FloatArray:
    """Time [s] in which the prompts of clients that fell into step are prefilled one by one; closed loops only."""
    if not traffic.closed_loop:
        return np.zeros_like(phases.prefill)
    share = calibration.coefficient("inference.closed_loop_wave_fraction")
    others = np.maximum(0.0, phases.batch / machine.attention_dp - 1.0)
    return np.asarray(share * others * phases.prefill / machine.pp, dtype=np.float64)


def _others_fraction(machine: Machine, phases: _Phases, traffic: Traffic) -> FloatArray:
    """Share of the prompts beside a request that are somebody else's: of n clients in a closed loop, (n - 1) / n.

    The arrival theorem of closed queues (Reiser, Lavenberg 1980); independent arrivals are all somebody else's.
    """
    if not traffic.closed_loop:
        return np.ones_like(phases.step)
    return np.asarray(1.0 - 1.0 / np.maximum(1.0, phases.batch / machine.attention_dp), dtype=np.float64)


def _disaggregated(
    machine: Machine, phases: _Phases, *, moved_bytes: FloatArray, traffic: Traffic, calibration: Calibration
) -> ServingPoint:
    """Prefill has GPUs of its own, rate-matched to decode; each GPU's part of the KV cache crosses the network."""
    busy = np.full(phases.step.shape, calibration.assumption("inference.prefill_pool_utilisation_fraction"))
    requests_s = phases.batch / (traffic.steps_request * phases.step)
    transfer = point_to_point_s(
        sent_bytes=moved_bytes, bytes_s=machine.transfer_bytes_s, latency_s=machine.link_latency_s
    )
    fixed = transfer + phases.step + calibration.coefficient("inference.ttft_overhead_ms") * MS
    return _point(
        phases,
        ttft_s=_with_queue(phases.prefill, busy) + fixed,
        ttft_tail_s=_tail_with_queue(phases.prefill_tail, busy, traffic.percentile_fraction) + fixed,
        cycle_s=phases.step,
        prefill_fraction=busy,
        prefill_instances=requests_s * phases.prefill / (busy * machine.attention_dp * machine.pp),
        traffic=traffic,
        calibration=calibration,
    )


def _point(
    phases: _Phases,
    *,
    ttft_s: FloatArray,
    ttft_tail_s: FloatArray,
    cycle_s: FloatArray,
    prefill_fraction: FloatArray,
    prefill_instances: FloatArray,
    traffic: Traffic,
    calibration: Calibration,
) -> ServingPoint:
    """Everything that follows from the two latencies; `cycle_s` is the time between two steps of one sequence."""
    tpot = cycle_s / traffic.accepted_tokens
    requests_s = phases.batch / (traffic.steps_request * cycle_s)
    spread = calibration.assumption("inference.tpot_tail_sigma_fraction")
    return ServingPoint(
        batch=np.broadcast_to(phases.batch, tpot.shape),
        ttft_s=ttft_s,
        ttft_tail_s=np.maximum(ttft_s, ttft_tail_s),
        tpot_s=tpot,
        tpot_tail_s=tpot * (1.0 + spread * _z_of(traffic.percentile_fraction)),
        requests_s=requests_s,
        in_flight=requests_s * (ttft_s + max(0.0, traffic.osl_tokens - 1.0) * tpot),
        prefill_instances=prefill_instances,
        prefill_fraction=prefill_fraction,
        decode_step_s=phases.step,
        prefill_s=phases.prefill,
    )


def _with_queue(service_s: FloatArray, busy: FloatArray) -> FloatArray:
    """Mean time [s] in an M/D/1 queue: s + s rho / (2 (1 - rho)) (Pollaczek-Khinchine)."""
    return np.asarray(service_s * (1.0 + busy / (2.0 * (1.0 - busy))), dtype=np.float64)


def _tail_with_queue(service_s: FloatArray, busy: FloatArray, fraction: float) -> FloatArray:
    """Time [s] that `fraction` of the requests stay under: service plus the exponential tail of half an M/M/1 wait."""
    mean_wait = service_s / (2.0 * (1.0 - busy))
    wait = mean_wait * np.log(np.maximum(1.0, busy / (1.0 - fraction)))
    return np.asarray(service_s + wait, dtype=np.float64)


def _z_of(fraction: float) -> float:
    """Standard normal quantile of the percentile asked for."""
    return max(0.0, NORMAL.inv_cdf(min(0.9999, max(0.5, fraction))))


def within(point: ServingPoint, *, ttft_s: float, tpot_s: float) -> BoolArray:
    """Where both tails meet the bounds."""
    return np.asarray((point.ttft_tail_s <= ttft_s) & (point.tpot_tail_s <= tpot_s), dtype=np.bool_)
