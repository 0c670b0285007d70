"""Steady state of a serving instance: from a decode batch to TTFT, TPOT, throughput and requests in flight."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ModelLoad
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
        """Tokens gained per decode step: 1 + a + a^2 ... of a draft of n tokens accepted with a (Leviathan et al. 2023)."""
        if self.speculative is None:
            return 1.0
        accept, draft = self.speculative.acceptance_fraction, self.speculative.draft_tokens
        if accept >= 1.0:
            return draft + 1.0
        return float((1.0 - accept ** (draft + 1)) / (1.0 - accept))

    @property
    def query_tokens(self) -> float:
        """Tokens that one decode step verifies per sequence."""
        return 1.0 if self.speculative is None else 1.0 + self.speculative.draft_tokens


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServingPoint:
    """Per candidate and decode batch of one instance, in SI units. `in_flight` counts waiting and prefilling requests too.

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
    """The steady state at `batch` decoding sequences per instance; `batch` is (candidates, 1) or (candidates, batches)."""
    machine = machine_of(load, layouts, table=table, calibration=calibration)
    context = np.float64(traffic.isl_tokens + 0.5 * traffic.osl_tokens)
    step = decode_step_s(load, machine, batch=batch, context_tokens=context, query_tokens=traffic.query_tokens)
    mean, tail = _prefill_times(load, machine, batch=batch, traffic=traffic, calibration=calibration)
    steps_request = traffic.osl_tokens / traffic.accepted_tokens
    if disaggregated:
        return _disaggregated(load, machine, batch, step, mean, tail, traffic, steps_request, calibration)
    return _aggregated(machine, batch, step, mean, tail, traffic, steps_request, calibration)


def _prefill_times(
    load: ModelLoad, machine: Machine, *, batch: FloatArray, traffic: Traffic, calibration: Calibration
) -> tuple[FloatArray, FloatArray]:
    """Prefill [s] of the mean prompt and of the tail prompt; short prompts share a pass when many arrive per step."""
    chunk = calibration.assumption("inference.prefill_chunk_tokens")
    new = np.float64(traffic.new_tokens)
    cached = np.float64(traffic.isl_tokens - traffic.new_tokens)
    arriving = batch / machine.attention_dp * traffic.accepted_tokens / traffic.osl_tokens * new
    pass_tokens = np.minimum(chunk, np.maximum(new, arriving))
    mean = prefill_s(load, machine, new_tokens=new, cached_tokens=cached, pass_tokens=pass_tokens)
    long = np.float64(max(1.0, traffic.isl_tail_tokens * (1.0 - traffic.hit_fraction)))
    tail = prefill_s(
        load,
        machine,
        new_tokens=long,
        cached_tokens=traffic.isl_tail_tokens - long,
        pass_tokens=np.minimum(chunk, np.maximum(long, arriving)),
    )
    return mean, tail


def _aggregated(
    machine: Machine,
    batch: FloatArray,
    step: FloatArray,
    prefill: FloatArray,
    prefill_tail: FloatArray,
    traffic: Traffic,
    steps_request: float,
    calibration: Calibration,
) -> ServingPoint:
    """Prefill and decode share the GPUs: every step also carries the prompts of the requests that replace finished ones."""
    share = calibration.coefficient("inference.prefill_interference")
    arriving = batch / (machine.attention_dp * steps_request)
    cycle = step + share * arriving * prefill
    tpot = cycle / traffic.accepted_tokens
    requests_s = batch / (steps_request * cycle)
    busy = np.minimum(0.95, share * arriving * prefill / cycle)
    host = calibration.coefficient("inference.ttft_overhead_ms") * MS
    wave = _wave_s(machine, batch, prefill, traffic, calibration)
    ttft = _with_queue(prefill, busy) + 0.5 * wave + step + host
    tail = _tail_with_queue(prefill_tail, busy, traffic.percentile_fraction) + wave + step + host
    return _point(batch, ttft, tail, tpot, requests_s, busy, step, prefill, traffic, calibration, np.zeros_like(tpot))


def _wave_s(
    machine: Machine, batch: FloatArray, prefill: FloatArray, traffic: Traffic, calibration: Calibration
) -> FloatArray:
    """Time [s] in which the prompts of clients that fell into step are prefilled one after another; closed loops only."""
    if not traffic.closed_loop:
        return np.zeros_like(prefill)
    share = calibration.coefficient("inference.closed_loop_wave_fraction")
    return np.asarray(share * batch / machine.attention_dp * prefill, dtype=np.float64)


def _disaggregated(
    load: ModelLoad,
    machine: Machine,
    batch: FloatArray,
    step: FloatArray,
    prefill: FloatArray,
    prefill_tail: FloatArray,
    traffic: Traffic,
    steps_request: float,
    calibration: Calibration,
) -> ServingPoint:
    """Prefill has GPUs of its own, rate-matched to decode; the KV cache crosses the scale-out network once."""
    busy = np.float64(calibration.assumption("inference.prefill_pool_utilisation_fraction"))
    requests_s = batch / (steps_request * step)
    servers = requests_s * prefill / (busy * machine.attention_dp)
    kept = load.counts.kv_elements_per_token * traffic.isl_tokens * load.kv_bytes / (machine.tp * machine.pp)
    transfer = point_to_point_s(sent_bytes=kept, bytes_s=machine.stage_bytes_s, latency_s=machine.link_latency_s)
    host = calibration.coefficient("inference.ttft_overhead_ms") * MS
    full = np.broadcast_to(busy, step.shape)
    ttft = _with_queue(prefill, full) + transfer + step + host
    tail = _tail_with_queue(prefill_tail, full, traffic.percentile_fraction) + transfer + step + host
    tpot = step / traffic.accepted_tokens
    return _point(batch, ttft, tail, tpot, requests_s, full, step, prefill, traffic, calibration, servers)


def _point(
    batch: FloatArray,
    ttft: FloatArray,
    ttft_tail: FloatArray,
    tpot: FloatArray,
    requests_s: FloatArray,
    busy: FloatArray,
    step: FloatArray,
    prefill: FloatArray,
    traffic: Traffic,
    calibration: Calibration,
    prefill_instances: FloatArray,
) -> ServingPoint:
    spread = calibration.assumption("inference.tpot_tail_sigma_fraction")
    z = _z_of(traffic.percentile_fraction)
    return ServingPoint(
        batch=np.broadcast_to(batch, tpot.shape),
        ttft_s=ttft,
        ttft_tail_s=np.maximum(ttft, ttft_tail),
        tpot_s=tpot,
        tpot_tail_s=tpot * (1.0 + spread * z),
        requests_s=requests_s,
        in_flight=requests_s * (ttft + np.maximum(0.0, traffic.osl_tokens - 1.0) * tpot),
        prefill_instances=prefill_instances,
        prefill_fraction=busy,
        decode_step_s=step,
        prefill_s=prefill,
    )


def _with_queue(service_s: FloatArray, busy: FloatArray) -> FloatArray:
    """Mean time [s] in a single server with deterministic service: s + s rho / (2 (1 - rho)) (Pollaczek-Khinchine, M/D/1)."""
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
