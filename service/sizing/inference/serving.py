"""Serving: from a decode batch per instance to TTFT, TPOT, throughput and requests in flight, for every candidate."""

from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.inference.disaggregated import decoding, prefilling
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.lines import Lengths, lines_of
from service.sizing.inference.load import ModelLoad
from service.sizing.inference.machine import Machine, machine_of
from service.sizing.inference.memory import sequence_bytes
from service.sizing.inference.overheads import Overheads, overheads_of
from service.sizing.inference.requests import Requests, lengths_of
from service.sizing.inference.residuals import Medians, medians_of
from service.sizing.inference.software import Software
from service.sizing.inference.steady import (
    Passes,
    SteadyState,
    aggregated,
    pass_tokens,
)
from service.sizing.inference.step import Pass, StepParts, paired_parts, step_parts
from service.sizing.network import point_to_point_s
from service.sizing.numeric import Numeric, by_row
from service.sizing.remembered import Remembered
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray

NORMAL = NormalDist()
# Passes that decode alone: both modes of serving try the same batches first, and have these in common.
_DECODED: Remembered[tuple[Machine, Lengths, tuple[int, ...], bytes], StepParts] = Remembered(4)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """What stays the same while batches are tried: a model in its layouts, the machines, the software's overheads.

    `medians` correct every point of the steady state. `prefill` is the bench of prefill instances where prefill and
    decode are apart; they may have layouts of their own.
    `chunk_tokens` and `tpot_sigma_fraction` are one number, or one per candidate, shaped (candidates, 1).
    """

    load: ModelLoad
    layouts: InferenceLayouts
    machine: Machine
    overheads: Overheads
    medians: Medians
    chunk_tokens: Numeric
    tpot_sigma_fraction: Numeric
    pool_utilisation_fraction: float
    prefill: "Bench | None" = None

    @property
    def disaggregated(self) -> bool:
        """Whether prefill has GPUs of its own."""
        return self.prefill is not None

    @property
    def mode(self) -> str:
        """The regime of residuals."""
        return "disaggregated" if self.disaggregated else "aggregated"

    def apart(self, prefill: "Bench", calibration: Calibration) -> "Bench":
        """The same instances without prompts, which those of another bench take."""
        return replace(self, prefill=prefill, medians=medians_of(self.load.label, calibration, disaggregated=True))

    def take(self, rows: IntArray) -> "Bench":
        """The candidates of these rows, in their order."""
        taken = replace(self, layouts=self.layouts.take(rows), machine=self.machine.take(rows))
        prefill = self.prefill
        if prefill is None:
            return taken
        if prefill.machine is self.machine:
            return replace(taken, prefill=replace(prefill, layouts=taken.layouts, machine=taken.machine))
        return replace(taken, prefill=prefill.take(rows))


def bench_of(
    load: ModelLoad,
    layouts: InferenceLayouts,
    *,
    software: Software,
    table: HardwareTable,
    calibration: Calibration,
    disaggregated: bool,
    prefill_layouts: InferenceLayouts | None = None,
) -> Bench:
    """The bench of these candidates; prefill instances look like decode instances unless they are told apart."""

    def bench(of: InferenceLayouts) -> Bench:
        return Bench(
            load=load,
            layouts=of,
            machine=machine_of(load, of, software=software, table=table, calibration=calibration),
            overheads=overheads_of(load, software, calibration),
            medians=medians_of(load.label, calibration, disaggregated=False),
            chunk_tokens=calibration.assumption("inference.prefill_chunk_tokens"),
            tpot_sigma_fraction=calibration.assumption("inference.tpot_tail_sigma_fraction"),
            pool_utilisation_fraction=calibration.assumption("inference.prefill_pool_utilisation_fraction"),
        )

    alone = bench(layouts)
    if not disaggregated:
        return alone
    return alone.apart(alone if prefill_layouts is None else bench(prefill_layouts), calibration)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ServingPoint:
    """Per candidate and decode batch of one instance, SI units: what is shown, solved for and judged.

    Latencies and rates carry the medians of the bench; `tpot_least_s` is what memory and arithmetic allow at best by
    the data sheet, which no median passes. No end of an interval of a prompt's time goes under `ttft_least_s`, and
    none of a rate over `requests_most_s`, what arithmetic allows at any batch. `in_flight` counts waiting and
    prefilling requests too, as the steady state has them before that: at so many the measured runs were compared.
    `prefill_instances` is how many prefill instances one decode instance needs: zero when both share GPUs;
    `asked_fraction` is how much of what these can do is asked for. The decode step is made of `decode`, gaps and host
    work apart.
    """

    batch: FloatArray
    ttft_s: FloatArray
    ttft_tail_s: FloatArray
    tpot_s: FloatArray
    tpot_tail_s: FloatArray
    tpot_least_s: FloatArray
    ttft_least_s: FloatArray
    requests_s: FloatArray
    requests_most_s: FloatArray
    in_flight: FloatArray
    prefill_instances: FloatArray
    prefill_fraction: FloatArray
    asked_fraction: FloatArray
    decode_step_s: FloatArray
    prefill_s: FloatArray
    decode: StepParts
    overheads: Overheads

    @property
    def products_s(self) -> FloatArray:
        """Matrix products of the decode step, as this and the next four are told of the few points that are shown."""
        inputs = self._part(self.overheads.inputs, self.decode.inputs)
        return self._part(self.overheads.products, self.decode.products) + inputs

    @property
    def attention_s(self) -> FloatArray:
        """Attention of the decode step."""
        return self._part(self.overheads.generation, self.decode.generation)

    @property
    def experts_s(self) -> FloatArray:
        """Routed experts of the decode step."""
        return self._part(self.overheads.experts, self.decode.experts)

    @property
    def streams_s(self) -> FloatArray:
        """Norms and residuals of the decode step."""
        return self._part(self.overheads.streams, self.decode.streams)

    @property
    def collectives_s(self) -> FloatArray:
        """Collectives of the decode step."""
        return self._part(self.overheads.collectives, self.decode.collectives)

    def _part(self, factor: Numeric, kernels_s: FloatArray) -> FloatArray:
        return np.asarray(self.overheads.gpu_vintage * factor * kernels_s, dtype=np.float64)


def serve(
    bench: Bench,
    *,
    batch: FloatArray,
    traffic: Requests,
    prefill_ratio: Numeric | None = None,
    ttft_s: Numeric = np.inf,
) -> ServingPoint:
    """The steady state at `batch` decoding sequences per instance, shaped (candidates, 1) or (candidates, batches).

    `prefill_ratio` fixes how many prefill instances there are to a decode instance; without it they follow the load,
    and `ttft_s` where a tail of that needs shorter queues before them.
    """
    if bench.prefill is None:
        state = aggregated(passes_of(bench, batch, traffic), traffic.stream, bench.overheads)
        return _point(bench, state, batch, traffic, prefill_instances=np.zeros(state.cycle_s.shape))
    return _disaggregated(bench, bench.prefill, batch, traffic, ratio=prefill_ratio, ttft_s=ttft_s)


def passes_of(bench: Bench, batch: FloatArray, traffic: Requests) -> Passes:
    """The passes of an instance whose prefill and decode share GPUs."""
    machine, stream = bench.machine, traffic.stream
    sequences = _stepping(machine, batch)
    carried = pass_tokens(batch / (machine.attention_dp * machine.pp), stream, chunk_tokens=bench.chunk_tokens)
    lengths = lengths_of(traffic)
    decode, mixed = paired_parts(bench.load, machine, Pass(decode=sequences, prefill_tokens=carried, lengths=lengths))
    _DECODED.put((machine, lengths, sequences.shape, sequences.tobytes()), decode)
    return Passes(
        batch=batch,
        attention_dp=machine.attention_dp,
        pp=machine.pp,
        decode=decode,
        mixed=mixed,
        full=_full(bench, traffic),
        pass_tokens=carried,
        most_tokens=bench.chunk_tokens,
    )


def _stepping(machine: Machine, batch: FloatArray) -> FloatArray:
    """Sequences of an attention rank in a step that is taken at all: no step is taken for less than one request.

    A batch under one is a share of the time; fewer requests than stages fill fewer micro-batches with one each.
    """
    return np.asarray(np.maximum(batch, machine.pp) / (machine.attention_dp * machine.pp), dtype=np.float64)


@lru_cache(maxsize=4)
def _full(bench: Bench, traffic: Requests) -> StepParts:
    """A pass of prompts alone, as many as it can carry: the same at every batch."""
    tokens = np.broadcast_to(np.asarray(bench.chunk_tokens, dtype=np.float64), (bench.layouts.tp.size, 1))
    carried = Pass(decode=0.0, prefill_tokens=tokens, lengths=lengths_of(traffic))
    return step_parts(bench.load, bench.machine, carried)


def _decode(bench: Bench, sequences: FloatArray, traffic: Requests) -> StepParts:
    lengths = lengths_of(traffic)
    known = _DECODED.get((bench.machine, lengths, sequences.shape, sequences.tobytes()))
    return known or step_parts(bench.load, bench.machine, Pass(decode=sequences, lengths=lengths))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PooledPasses:
    """Passes of a decode instance, and of a prefill instance that serves `servers` prompts at once."""

    decode: Passes
    prefill: StepParts
    chunk_tokens: FloatArray
    servers: Numeric
    transfer_s: FloatArray


def pooled_passes_of(bench: Bench, prefill: Bench, batch: FloatArray, traffic: Requests) -> PooledPasses:
    """The passes of both pools; each GPU's part of the KV cache crosses the network between them."""
    machine = bench.machine
    decode = _decode(bench, _stepping(machine, batch), traffic)
    chunk, alone = _prefill(bench, prefill, traffic)
    moved = sequence_bytes(bench.load, bench.layouts, context_tokens=by_row(traffic.isl_tokens))[:, None]
    return PooledPasses(
        decode=Passes(
            batch=batch,
            attention_dp=machine.attention_dp,
            pp=machine.pp,
            decode=decode,
            mixed=decode,
            full=decode,
            pass_tokens=np.full(batch.shape, traffic.new_tokens),
            most_tokens=bench.chunk_tokens,
        ),
        prefill=alone,
        chunk_tokens=chunk,
        servers=prefill.machine.attention_dp * prefill.machine.pp,
        transfer_s=point_to_point_s(
            sent_bytes=moved, bytes_s=machine.transfer_bytes_s, latency_s=machine.all_reduce.launch_s
        ),
    )


@lru_cache(maxsize=4)
def _prefill(bench: Bench, prefill: Bench, traffic: Requests) -> tuple[FloatArray, StepParts]:
    """Tokens and passes of a prefill instance: the same at every decode batch, so that one search asks for it once."""
    rows = bench.layouts.tp.size
    chunk = np.broadcast_to(np.minimum(bench.chunk_tokens, traffic.new_tokens), (rows, 1))
    full = np.broadcast_to(np.asarray(bench.chunk_tokens, dtype=np.float64), (rows, 1))
    carried = Pass(
        decode=0.0,
        # A pass with one prompt, and one with as many as it can carry.
        prefill_tokens=np.concatenate([chunk, np.maximum(chunk, full)], axis=1),
        lengths=lengths_of(traffic),
    )
    return chunk, step_parts(prefill.load, prefill.machine, carried)


def _disaggregated(
    bench: Bench, prefill: Bench, batch: FloatArray, traffic: Requests, *, ratio: Numeric | None, ttft_s: Numeric
) -> ServingPoint:
    """Prefill has GPUs of its own, rate-matched to decode."""
    pooled, stream = pooled_passes_of(bench, prefill, batch, traffic), traffic.stream
    prefill_s = prefilling(
        pooled.prefill,
        stream,
        bench.overheads,
        pass_tokens=pooled.chunk_tokens,
        most_tokens=bench.chunk_tokens,
        ranks=prefill.machine.attention_dp,
        servers=pooled.servers,
    )
    state, instances = decoding(
        pooled.decode,
        stream,
        bench.overheads,
        prefill=prefill_s,
        transfer_s=pooled.transfer_s,
        ratio=ratio,
        utilisation=bench.pool_utilisation_fraction,
        ttft_s=ttft_s / bench.medians.ttft_factor,
    )
    return _point(bench, state, batch, traffic, prefill_instances=instances)


def _point(
    bench: Bench, state: SteadyState, batch: FloatArray, traffic: Requests, *, prefill_instances: FloatArray
) -> ServingPoint:
    """Everything that follows from the two latencies."""
    shape, medians = state.cycle_s.shape, bench.medians
    # A median of other GPUs may shorten a step, but not under what this one's memory allows.
    least = state.decode.least.total / traffic.accepted_tokens
    tpot = np.maximum(state.tpot_s * medians.tpot_factor, least)
    fastest = batch / (traffic.osl_tokens * least)
    prompt_s, read_s, most = _by_data_sheet(bench, traffic)
    if bench.prefill is not None:
        most = np.minimum(most, prefill_instances / read_s)
    return ServingPoint(
        batch=_spread(batch, shape),
        ttft_s=state.ttft_s * medians.ttft_factor,
        ttft_tail_s=np.maximum(state.ttft_s, state.ttft_tail_s) * medians.ttft_factor,
        tpot_s=tpot,
        tpot_tail_s=tpot * (1.0 + bench.tpot_sigma_fraction * _z_of(traffic.percentile_fraction)),
        tpot_least_s=_spread(least, shape),
        ttft_least_s=_spread(prompt_s, shape),
        requests_s=np.minimum(state.requests_s * medians.rate_factor, fastest),
        requests_most_s=_spread(most, shape),
        in_flight=state.requests_s * (state.ttft_s + np.maximum(0.0, traffic.osl_tokens - 1.0) * state.tpot_s),
        prefill_instances=prefill_instances,
        prefill_fraction=_spread(state.prefill_fraction, shape),
        asked_fraction=_spread(state.asked_fraction, shape),
        decode_step_s=state.step_s,
        prefill_s=_spread(state.prefill_s, shape),
        decode=state.decode,
        overheads=bench.overheads,
    )


@lru_cache(maxsize=4)
def _by_data_sheet(bench: Bench, traffic: Requests) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Least time [s] until a prompt is read, of a prefill instance for each, and most requests/s of an instance.

    (candidates, 1), by arithmetic and weights alone: stages work at the same time, on chunks of one prompt too; routed
    experts and waiting come on top. The first token of an answer comes out of the prompt's own pass.
    """
    prefill = bench.prefill or bench
    lengths, machine = lengths_of(traffic), bench.machine
    reads = lines_of(prefill.load, prefill.machine, lengths).least
    writes = lines_of(bench.load, machine, lengths).least
    prompt_s = traffic.new_tokens * (reads.token_s + reads.prefill_token_s + reads.prompt_token_s)
    later = np.maximum(0.0, np.asarray(traffic.osl_tokens) - 1.0)
    answer_s = later * (writes.token_s + writes.decode_token_s) + traffic.osl_tokens * writes.sampled_token_s
    request_s = answer_s if bench.disaggregated else answer_s + prompt_s
    return (
        np.maximum(prompt_s / prefill.machine.pp, reads.weights_s),
        np.asarray(prompt_s / (prefill.machine.attention_dp * prefill.machine.pp), dtype=np.float64),
        np.asarray(machine.attention_dp * machine.pp / request_s, dtype=np.float64),
    )


def _spread(values: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    return values if values.shape == shape else np.broadcast_to(values, shape)


@lru_cache(maxsize=64)
def _z_of(fraction: float) -> float:
    """Standard normal quantile of the percentile asked for."""
    return max(0.0, NORMAL.inv_cdf(min(0.9999, max(0.5, fraction))))


def within(point: ServingPoint, *, ttft_s: float, tpot_s: float) -> BoolArray:
    """Where both tails meet the bounds."""
    return np.asarray((point.ttft_tail_s <= ttft_s) & (point.tpot_tail_s <= tpot_s), dtype=np.bool_)
