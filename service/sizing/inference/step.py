"""Time of one forward pass on one model instance, operation by operation; arrays (candidates x batches) or scalars."""

import math
from dataclasses import dataclass

import numpy as np

from service.sizing.inference.attention import AttentionGroup, attended_tokens
from service.sizing.inference.load import ACTIVATION_BYTES, STATE_BYTES, ExpertKind, ModelLoad
from service.sizing.inference.machine import Machine
from service.sizing.inference.overheads import Overheads
from service.sizing.inference.product_times import PassTokens
from service.sizing.network import point_to_point_s
from service.sizing.numeric import Numeric
from service.sizing.operation import Line, Work
from service.sizing.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pass:
    """What one forward pass carries, per attention rank and pipeline micro-batch.

    `decode` sequences advance by `query_tokens` tokens each at `context_tokens`; beside them `prefill_tokens` tokens of
    prompts that are `prompt_tokens` long (the part that no prefix cache holds) behind `cached_tokens` cached ones.
    """

    decode: Numeric
    query_tokens: float
    context_tokens: float
    prefill_tokens: Numeric = 0.0
    prompt_tokens: float = 0.0
    cached_tokens: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepParts:
    """Seconds of one pass by operation, as isolated kernels take them; `generation` and `context` are attention.

    `layers` and `exchanges` count what brings a gap of its own: layers, and collectives between GPUs.
    """

    products: FloatArray
    generation: FloatArray
    context: FloatArray
    experts: FloatArray
    streams: FloatArray
    collectives: FloatArray
    layers: Numeric
    exchanges: Numeric

    def halves(self) -> tuple["StepParts", "StepParts"]:
        """Two kinds of pass that were evaluated side by side along the batches."""
        middle = self.products.shape[1] // 2
        return self._batches(slice(None, middle)), self._batches(slice(middle, None))

    def _batches(self, which: slice) -> "StepParts":
        return StepParts(
            products=self.products[:, which],
            generation=self.generation[:, which],
            context=self.context[:, which],
            experts=self.experts[:, which],
            streams=self.streams[:, which],
            collectives=self.collectives[:, which],
            layers=self.layers,
            exchanges=self.exchanges,
        )

    def elapsed_s(self, overheads: Overheads) -> FloatArray:
        """Time [s] of the pass in a running engine: scaled parts, and gaps per layer, collective and step."""
        gpu = (
            overheads.products * self.products
            + overheads.generation * self.generation
            + overheads.context * self.context
            + overheads.experts * self.experts
            + overheads.streams * self.streams
            + overheads.collectives * self.collectives
        )
        gaps = self.layers * overheads.layer_s + self.exchanges * overheads.exchange_s + overheads.step_s
        return np.asarray(gpu * overheads.gpu_vintage + gaps * overheads.host_vintage, dtype=np.float64)


def step_parts(load: ModelLoad, machine: Machine, carried: Pass) -> StepParts:
    """The operations of one pass."""
    decode = np.asarray(carried.decode * carried.query_tokens, dtype=np.float64)
    prefill = np.asarray(carried.prefill_tokens, dtype=np.float64)
    tokens = decode + prefill
    # Only the last token of a prompt needs logits.
    sampled = decode + prefill / max(1.0, carried.prompt_tokens)
    return StepParts(
        products=machine.products.time_s(PassTokens(decode=decode, prefill=prefill, sampled=sampled)),
        generation=_generation_s(load, machine, carried),
        context=_context_s(load, machine, carried),
        experts=_experts_s(load, machine, tokens=tokens),
        streams=_streams_s(load, machine, tokens=tokens),
        collectives=_collectives_s(load, machine, tokens=tokens),
        layers=float(load.architecture.layers),
        exchanges=_exchanges(load, machine),
    )


def _exchanges(load: ModelLoad, machine: Machine) -> FloatArray:
    """Collectives of one pass: two all-reduces a layer under tensor parallelism, dispatch and combine of experts."""
    moe_layers = sum(kind.layers for kind in load.experts)
    apart = machine.attention_dp > 1
    reduces = 2.0 * load.architecture.layers - np.where(apart, moe_layers, 0.0)
    return np.where(machine.tp > 1, reduces, 0.0) + np.where(apart, 2.0 * moe_layers, 0.0)


def _generation_s(load: ModelLoad, machine: Machine, carried: Pass) -> FloatArray:
    """Attention [s] of the decoding sequences."""
    sequences = np.asarray(carried.decode, dtype=np.float64)
    total = np.zeros(np.broadcast(sequences, machine.tp).shape)
    for group in load.groups:
        total += group.layers * _generation(load, machine, group, carried).time_s(sequences)
    return np.where(sequences > 0.0, total, 0.0)


def _generation(load: ModelLoad, machine: Machine, group: AttentionGroup, carried: Pass) -> Line:
    """What each decoding sequence takes in a layer of this kind."""
    context = carried.context_tokens
    entries = attended_tokens(group, context)
    index = context / group.stride
    shards = np.minimum(machine.tp, group.kv_heads)
    flop = group.decode_flop * entries + group.index_flop * index + group.state_flop
    read = (group.elements * entries + group.index_elements * index) * load.kv_bytes / shards
    state = 2.0 * STATE_BYTES * group.state_elements / machine.tp
    sequence = Work(
        flop=carried.query_tokens * flop / machine.tp,
        main_bytes=read + state,
        side_bytes=ACTIVATION_BYTES * carried.query_tokens * group.decode_query_elements / machine.tp,
    )
    return machine.generation[group.family].line(each=sequence, depth=entries)


def _context_s(load: ModelLoad, machine: Machine, carried: Pass) -> FloatArray:
    """Attention [s] of the prompts in the pass, causal, at their mean context."""
    tokens = np.asarray(carried.prefill_tokens, dtype=np.float64)
    total = np.zeros(np.broadcast(tokens, machine.tp).shape)
    if not np.any(tokens > 0.0):
        return total
    for group in load.groups:
        total += group.layers * _context(load, machine, group, carried).time_s(tokens)
    return np.where(tokens > 0.0, total, 0.0)


def _context(load: ModelLoad, machine: Machine, group: AttentionGroup, carried: Pass) -> Line:
    """What each token of a prompt takes in a layer of this kind."""
    mean = carried.cached_tokens + 0.5 * carried.prompt_tokens
    entries = attended_tokens(group, mean)
    shards = np.minimum(machine.tp, group.kv_heads)
    held = attended_tokens(group, carried.cached_tokens + carried.prompt_tokens)
    prompt_bytes = (
        group.elements * held * load.kv_bytes / shards + 2.0 * STATE_BYTES * group.state_elements / machine.tp
    )
    token = Work(
        flop=(group.prefill_flop * entries + group.index_flop * mean / group.stride + group.state_flop) / machine.tp,
        main_bytes=prompt_bytes / max(1.0, carried.prompt_tokens),
        side_bytes=ACTIVATION_BYTES * group.prefill_query_elements / machine.tp,
    )
    depth = carried.prompt_tokens if group.state_elements else entries
    return machine.context[group.family].line(each=token, depth=depth)


def _experts_s(load: ModelLoad, machine: Machine, *, tokens: FloatArray) -> FloatArray:
    """Routed experts [s]: only experts that some token chose are read."""
    if machine.experts is None:
        return np.zeros(np.broadcast(tokens, machine.tp).shape)
    total = np.zeros(np.broadcast(tokens, machine.tp).shape)
    everywhere = tokens * machine.attention_dp
    cut = machine.tp * machine.attention_dp / machine.ep
    for kind in load.experts:
        matrix = kind.params / cut
        routed = everywhere * kind.top_k / machine.ep
        touched = kind.experts / machine.ep * (1.0 - _untouched(kind, everywhere))
        work = Work(
            flop=2.0 * matrix * routed,
            main_bytes=touched * matrix * load.weight_bytes,
            side_bytes=ACTIVATION_BYTES * routed * (2.0 * kind.hidden + 3.0 * kind.intermediate / cut),
            padding_flop=2.0 * matrix * touched,
        )
        total = total + kind.layers * machine.experts.time_s(work)
    return total


def _untouched(kind: ExpertKind, tokens: FloatArray) -> FloatArray:
    """Share of experts that none of the tokens chose, (1 - k/E)^tokens; an exponential is far cheaper than a power."""
    missed = 1.0 - kind.top_k / kind.experts
    return np.exp(tokens * math.log(missed)) if missed > 0.0 else np.zeros_like(tokens)


def _streams_s(load: ModelLoad, machine: Machine, *, tokens: FloatArray) -> FloatArray:
    """Norms, residuals, activations [s]: one read and one write of the residual stream per layer."""
    moved = 2.0 * ACTIVATION_BYTES * load.architecture.hidden * load.architecture.layers
    return np.asarray(moved * tokens / machine.stream_bytes_s, dtype=np.float64)


def _peers(ranks: IntArray) -> FloatArray:
    """Ranks beyond the first."""
    return np.asarray(ranks - 1, dtype=np.float64)


def _collectives_s(load: ModelLoad, machine: Machine, *, tokens: FloatArray) -> FloatArray:
    """All-reduces of tensor parallelism, dispatch and combine of experts, hand-over between pipeline stages [s]."""
    stream = load.architecture.hidden * ACTIVATION_BYTES
    share = 2.0 * (machine.tp - 1) / machine.tp
    reduce = machine.all_reduce.line(each=Work(flop=0.0, main_bytes=share * stream), depth=_peers(machine.tp))
    layers, moe_layers = load.architecture.layers, sum(kind.layers for kind in load.experts)
    apart = machine.attention_dp > 1
    reduces = 2.0 * layers - np.where(apart, moe_layers, 0.0)
    total = np.where(machine.tp > 1, reduces * (reduce.time_s(tokens) + machine.crosses_s), 0.0)
    if machine.exchange is not None:
        peers = machine.tp * machine.attention_dp
        sent = stream / machine.tp * np.minimum(load.top_k, peers) * (peers - 1.0) / peers
        exchange = machine.exchange.line(each=Work(flop=0.0, main_bytes=sent), depth=_peers(peers))
        total += np.where(apart, 2.0 * moe_layers * (exchange.time_s(tokens) + machine.crosses_s), 0.0)
    hand_over = point_to_point_s(
        sent_bytes=tokens * (stream / machine.tp), bytes_s=machine.stage_bytes_s, latency_s=machine.all_reduce.launch_s
    )
    return np.asarray(total + (machine.pp - 1) * hand_over, dtype=np.float64)
