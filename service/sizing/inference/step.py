"""Time of one forward pass on one model instance, operation by operation; arrays (candidates x batches) or scalars."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.inference.attention import AttentionGroup, attended_tokens
from service.sizing.inference.least import ExpertsLeast, Least, PassLeast, least_of
from service.sizing.inference.load import ACTIVATION_BYTES, STATE_BYTES, ModelLoad, touched_fraction
from service.sizing.inference.machine import Machine
from service.sizing.inference.overheads import Overheads
from service.sizing.inference.product_times import PairedTokens, PassTokens
from service.sizing.inference.products import Phase
from service.sizing.network import point_to_point_s
from service.sizing.numeric import Column, Numeric, where_any
from service.sizing.operation import Line, Work
from service.sizing.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lengths:
    """Sequences and prompts of a pass, whatever their number.

    A sequence advances by `query_tokens` tokens at `context_tokens`; a prompt is `prompt_tokens` long (the part that no
    prefix cache holds) behind `cached_tokens` cached ones. Numbers, or columns with a row per candidate.
    """

    query_tokens: Column
    context_tokens: Column
    prompt_tokens: Column = 0.0
    cached_tokens: Column = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pass:
    """What one forward pass carries, per attention rank and pipeline micro-batch.

    `decode` sequences advance; beside them `prefill_tokens` tokens of prompts.
    """

    decode: Numeric
    lengths: Lengths
    prefill_tokens: Numeric = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepParts:
    """Seconds of one pass by operation, as isolated kernels take them; `generation` and `context` are attention.

    `launches` is what each kernel takes however little it has to do; collectives keep theirs.
    `least` is what the data sheet allows at best, whatever kernels took alone.
    `kernels` and `exchanges` count what brings a gap of its own: kernels, and collectives between GPUs.
    """

    products: FloatArray
    generation: FloatArray
    context: FloatArray
    experts: FloatArray
    streams: FloatArray
    collectives: FloatArray
    launches: FloatArray
    least: PassLeast
    kernels: Numeric
    exchanges: Numeric

    def elapsed_s(self, overheads: Overheads) -> FloatArray:
        """Time [s] of the pass in a running engine: scaled parts, and gaps per kernel, collective and step.

        Never less than the data sheet allows.
        """
        multiplied = (
            overheads.products * self.products
            + overheads.experts * self.experts
            + overheads.launch_factor * self.launches
        )
        attended = overheads.generation * self.generation + overheads.context * self.context
        beside = overheads.streams * self.streams + overheads.collectives * self.collectives
        vintage = overheads.gpu_vintage
        busy = np.maximum(multiplied * vintage, self.least.multiplied)
        busy = busy + np.maximum(attended * vintage, self.least.attended) + beside * vintage
        gaps = self.kernels * overheads.kernel_s + self.exchanges * overheads.exchange_s + overheads.step_s
        return np.asarray(busy + gaps * overheads.host_vintage, dtype=np.float64)


def step_parts(load: ModelLoad, machine: Machine, carried: Pass) -> StepParts:
    """The operations of one pass."""
    lengths = carried.lengths
    decode = np.asarray(carried.decode * lengths.query_tokens, dtype=np.float64)
    prefill = np.asarray(carried.prefill_tokens, dtype=np.float64)
    tokens = decode + prefill
    # Only the last token of a prompt needs logits.
    sampled = decode + prefill / np.maximum(1.0, lengths.prompt_tokens)
    lines = _lines(load, machine, lengths)
    shape = np.broadcast(tokens, machine.tp).shape
    multiplied = PassTokens(decode=decode, prefill=prefill, sampled=sampled)
    launches = machine.products.launches_s(multiplied) + _launches_s(
        load, machine, lines, decode=carried.decode, prefill=carried.prefill_tokens
    )
    experts, experts_least = _experts_s(load, machine, tokens=tokens)
    least = lines.least.pass_of(
        sequences=carried.decode, decode=decode, prefill=prefill, sampled=sampled, experts=experts_least
    )
    return StepParts(
        products=machine.products.time_s(multiplied),
        generation=_attention_s(lines.generation, np.asarray(carried.decode, dtype=np.float64), shape),
        context=_attention_s(lines.context, prefill, shape),
        experts=experts,
        streams=_streams_s(load, machine, tokens=tokens),
        collectives=_collectives_s(load, machine, lines, tokens=tokens),
        launches=np.broadcast_to(launches, shape),
        least=least,
        kernels=_kernels(load),
        exchanges=_exchanges(load, machine),
    )


def _kernels(load: ModelLoad) -> float:
    """Kernels of one pass that some time lies between: products, attention, routed experts, and a norm a layer."""
    products = sum(one.layers for one in load.products if one.phase is not Phase.PREFILL)
    attention = sum(group.layers for group in load.groups)
    experts = sum(kind.layers for kind in load.experts)
    return float(products + attention + experts + load.architecture.layers)


def paired_parts(load: ModelLoad, machine: Machine, carried: Pass) -> tuple[StepParts, StepParts]:
    """Two passes: the decoding sequences alone, and with the prompt tokens beside them, (candidates, batches).

    As `step_parts` has each of them, with what they have in common computed once and the rest side by side.
    """
    sequences = np.asarray(carried.decode, dtype=np.float64)
    lengths = carried.lengths
    decode = sequences * lengths.query_tokens
    prefill = np.asarray(carried.prefill_tokens, dtype=np.float64)
    lines = _lines(load, machine, lengths)
    middle = decode.shape[1]
    tokens = np.concatenate([decode, decode + prefill], axis=1)
    sampled = np.concatenate([decode, decode + prefill / np.maximum(1.0, lengths.prompt_tokens)], axis=1)
    products = machine.products.paired_s(PairedTokens(decode=decode, prefill=prefill, both=tokens, sampled=sampled))
    generation = _attention_s(lines.generation, sequences, sequences.shape)
    context = _attention_s(lines.context, prefill, prefill.shape)
    experts, experts_least = _experts_s(load, machine, tokens=tokens)
    streams = _streams_s(load, machine, tokens=tokens)
    collectives = _collectives_s(load, machine, lines, tokens=tokens)
    exchanges = _exchanges(load, machine)
    least = lines.least.pass_of(
        sequences=np.concatenate([sequences, sequences], axis=1),
        decode=np.concatenate([decode, decode], axis=1),
        prefill=np.concatenate([np.zeros_like(prefill), prefill], axis=1),
        sampled=sampled,
        experts=experts_least,
    )
    alone, mixed = (
        machine.products.launches_s(PassTokens(decode=decode, prefill=carrying, sampled=decode))
        + _launches_s(load, machine, lines, decode=sequences, prefill=carrying)
        for carrying in (np.zeros((1, 1)), prefill)
    )

    def half(which: slice, context: FloatArray, launches: FloatArray) -> StepParts:
        return StepParts(
            products=products[:, which],
            generation=generation,
            context=context,
            experts=experts[:, which],
            streams=streams[:, which],
            collectives=collectives[:, which],
            launches=np.broadcast_to(launches, generation.shape),
            least=least.take(which),
            kernels=_kernels(load),
            exchanges=exchanges,
        )

    return half(slice(None, middle), np.zeros_like(context), alone), half(slice(middle, None), context, mixed)


def _exchanges(load: ModelLoad, machine: Machine) -> FloatArray:
    """Collectives of one pass: two all-reduces a layer under tensor parallelism, dispatch and combine of experts."""
    moe_layers = sum(kind.layers for kind in load.experts)
    apart = machine.attention_dp > 1
    reduces = 2.0 * load.architecture.layers - np.where(apart, moe_layers, 0.0)
    return np.where(machine.tp > 1, reduces, 0.0) + np.where(apart, 2.0 * moe_layers, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Lines:
    """What a sequence, a prompt token and a token between GPUs take, whatever their number; attention by layer kind."""

    generation: tuple[tuple[int, Line], ...]
    context: tuple[tuple[int, Line], ...]
    reduce: Line
    exchange: Line | None
    least: Least


@lru_cache(maxsize=4)
def _lines(load: ModelLoad, machine: Machine, lengths: Lengths) -> _Lines:
    """Settled once for all batches that a search tries."""
    sequence = [(group, _sequence(load, machine, group, lengths)) for group in load.groups]
    prompt = [(group, _prompt_token(load, machine, group, lengths)) for group in load.groups]
    return _Lines(
        generation=tuple((group.layers, _generation(machine, group, lengths, each=each)) for group, each in sequence),
        context=tuple((group.layers, _context(machine, group, lengths, each=each)) for group, each in prompt),
        reduce=_reduce(load, machine),
        exchange=_exchange(load, machine),
        least=least_of(
            load,
            machine,
            sequence=_all_layers(sequence),
            prompt_token=_all_layers(prompt),
        ),
    )


def _all_layers(kinds: list[tuple[AttentionGroup, Work]]) -> Work:
    """FLOP, and bytes of weights or cache, of attention in all layers."""
    return Work(
        flop=np.asarray(sum(group.layers * each.flop for group, each in kinds), dtype=np.float64),
        main_bytes=np.asarray(sum(group.layers * each.main_bytes for group, each in kinds), dtype=np.float64),
    )


def _launches_s(load: ModelLoad, machine: Machine, lines: _Lines, *, decode: Numeric, prefill: Numeric) -> FloatArray:
    """Launches [s] of attention, where there is something to attend, and of routed experts."""
    total: FloatArray = np.zeros((1, 1))
    for kinds, number in ((lines.generation, decode), (lines.context, prefill)):
        for layers, line in kinds:
            total = total + where_any(np.asarray(number), layers * line.launch_s)
    if machine.experts is not None:
        total = total + sum(kind.layers for kind in load.experts) * machine.experts.launch_s
    return total


def _attention_s(kinds: tuple[tuple[int, Line], ...], number: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Attention [s] of all layers for so many sequences or prompt tokens; none of them takes no time."""
    total = np.zeros(shape)
    if not np.any(number > 0.0):
        return total
    for layers, line in kinds:
        total += layers * line.work_s(number)
    return where_any(number, total)


def _sequence(load: ModelLoad, machine: Machine, group: AttentionGroup, lengths: Lengths) -> Work:
    """What each decoding sequence has to do in a layer of this kind."""
    query_tokens, context_tokens = lengths.query_tokens, lengths.context_tokens
    entries = attended_tokens(group, context_tokens)
    index = context_tokens / group.stride
    shards = np.minimum(machine.tp, group.kv_heads)
    flop = group.decode_flop * entries + group.index_flop * index + group.state_flop
    read = (group.elements * entries + group.index_elements * index) * load.kv_bytes / shards
    state = 2.0 * STATE_BYTES * group.state_elements / machine.tp
    return Work(
        flop=query_tokens * flop / machine.tp,
        main_bytes=read + state,
        side_bytes=ACTIVATION_BYTES * query_tokens * group.decode_query_elements / machine.tp,
    )


def _generation(machine: Machine, group: AttentionGroup, lengths: Lengths, *, each: Work) -> Line:
    """The time of that."""
    return machine.generation[group.family].line(each=each, depth=attended_tokens(group, lengths.context_tokens))


def _mean_tokens(lengths: Lengths) -> FloatArray:
    """The mean context of a prompt: attention is causal."""
    return np.asarray(lengths.cached_tokens + 0.5 * lengths.prompt_tokens, dtype=np.float64)


def _prompt_token(load: ModelLoad, machine: Machine, group: AttentionGroup, lengths: Lengths) -> Work:
    """What each token of a prompt has to do in a layer of this kind."""
    prompt_tokens, cached_tokens = lengths.prompt_tokens, lengths.cached_tokens
    mean = _mean_tokens(lengths)
    entries = attended_tokens(group, mean)
    shards = np.minimum(machine.tp, group.kv_heads)
    held = attended_tokens(group, np.asarray(cached_tokens + prompt_tokens, dtype=np.float64))
    prompt_bytes = (
        group.elements * held * load.kv_bytes / shards + 2.0 * STATE_BYTES * group.state_elements / machine.tp
    )
    return Work(
        flop=(group.prefill_flop * entries + group.index_flop * mean / group.stride + group.state_flop) / machine.tp,
        main_bytes=prompt_bytes / np.maximum(1.0, prompt_tokens),
        side_bytes=ACTIVATION_BYTES * group.prefill_query_elements / machine.tp,
    )


def _context(machine: Machine, group: AttentionGroup, lengths: Lengths, *, each: Work) -> Line:
    """The time of that."""
    depth = lengths.prompt_tokens if group.state_elements else attended_tokens(group, _mean_tokens(lengths))
    return machine.context[group.family].line(each=each, depth=depth)


def _experts_s(load: ModelLoad, machine: Machine, *, tokens: FloatArray) -> tuple[FloatArray, ExpertsLeast]:
    """Routed experts [s], and the least by the data sheet: only experts that some token chose are read."""
    if machine.experts is None:
        return np.zeros(np.broadcast(tokens, machine.tp).shape), ExpertsLeast()
    total = np.zeros(np.broadcast(tokens, machine.tp).shape)
    read, flop = np.zeros_like(total), np.zeros_like(total)
    everywhere = tokens * machine.attention_dp
    cut = machine.tp * machine.attention_dp / machine.ep
    for kind in load.experts:
        matrix = kind.params / cut
        routed = everywhere * kind.top_k / machine.ep
        touched = kind.experts / machine.ep * touched_fraction(everywhere * (kind.top_k / kind.experts))
        work = Work(
            flop=2.0 * matrix * routed,
            main_bytes=touched * matrix * load.weight_bytes,
            side_bytes=ACTIVATION_BYTES * routed * (2.0 * kind.hidden + 3.0 * kind.intermediate / cut),
            padding_flop=2.0 * matrix * touched,
        )
        total = total + kind.layers * machine.experts.work_s(work)
        read += kind.layers * work.main_bytes
        flop += kind.layers * work.flop
    peak = machine.peak_flop_s[load.weight_precision]
    return total, ExpertsLeast(read_s=read / machine.stream_bytes_s, arithmetic_s=flop / peak)


def _streams_s(load: ModelLoad, machine: Machine, *, tokens: FloatArray) -> FloatArray:
    """Norms, residuals, activations [s]: one read and one write of the residual stream per layer."""
    moved = 2.0 * ACTIVATION_BYTES * load.architecture.hidden * load.architecture.layers
    return np.asarray(moved * tokens / machine.stream_bytes_s, dtype=np.float64)


def _peers(ranks: IntArray) -> FloatArray:
    """Ranks beyond the first."""
    return np.asarray(ranks - 1, dtype=np.float64)


def _stream_bytes(load: ModelLoad) -> float:
    """The residual stream of one token [bytes]."""
    return load.architecture.hidden * ACTIVATION_BYTES


def _reduce(load: ModelLoad, machine: Machine) -> Line:
    """One all-reduce of tensor parallelism."""
    share = 2.0 * (machine.tp - 1) / machine.tp
    token = Work(flop=0.0, main_bytes=share * _stream_bytes(load))
    return machine.all_reduce.line(each=token, depth=_peers(machine.tp))


def _exchange(load: ModelLoad, machine: Machine) -> Line | None:
    """One dispatch or combine of experts."""
    if machine.exchange is None:
        return None
    peers = machine.tp * machine.attention_dp
    copies = np.minimum(load.top_k, peers) * (peers - 1.0) / peers
    token = Work(flop=0.0, main_bytes=_stream_bytes(load) / machine.tp * copies)
    return machine.exchange.line(each=token, depth=_peers(peers))


def _collectives_s(load: ModelLoad, machine: Machine, lines: _Lines, *, tokens: FloatArray) -> FloatArray:
    """All-reduces of tensor parallelism, dispatch and combine of experts, hand-over between pipeline stages [s]."""
    moe_layers = sum(kind.layers for kind in load.experts)
    apart = machine.attention_dp > 1
    reduces = 2.0 * load.architecture.layers - np.where(apart, moe_layers, 0.0)
    total = np.where(
        machine.tp > 1, reduces * (lines.reduce.launch_s + lines.reduce.work_s(tokens) + machine.crosses_s), 0.0
    )
    if lines.exchange is not None:
        total += np.where(
            apart, 2.0 * moe_layers * (lines.exchange.launch_s + lines.exchange.work_s(tokens) + machine.crosses_s), 0.0
        )
    hand_over = point_to_point_s(
        sent_bytes=tokens * (_stream_bytes(load) / machine.tp),
        bytes_s=machine.stage_bytes_s,
        latency_s=machine.all_reduce.launch_s,
    )
    return np.asarray(total + (machine.pp - 1) * hand_over, dtype=np.float64)
