"""Time of one forward pass on one model instance, operation by operation; arrays (candidates x batches) or scalars."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.least import ExpertsLeast, PassLeast
from service.sizing.inference.lines import Lengths, lines_of
from service.sizing.inference.load import ACTIVATION_BYTES, ModelLoad, touched_fraction
from service.sizing.inference.machine import Machine
from service.sizing.inference.overheads import Overheads
from service.sizing.inference.product_times import PairedTokens, PassTokens
from service.sizing.numeric import NOWHERE, Numeric, Present, present
from service.sizing.operation import Line, Work
from service.sizing.table import FloatArray


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

    `inputs` is what kernels of products do to what goes into them, which engines do with what comes before;
    `launches` is what each kernel takes however little it has to do; collectives keep theirs.
    `least` is what the data sheet allows at best, whatever kernels took alone.
    `kernels` and `exchanges` count what brings a gap of its own: kernels, and collectives between GPUs. What the host
    does for prompts takes `host_factor` times as long beside these GPUs as beside most.
    """

    products: FloatArray
    inputs: FloatArray
    generation: FloatArray
    context: FloatArray
    experts: FloatArray
    streams: FloatArray
    collectives: FloatArray
    launches: FloatArray
    least: PassLeast
    kernels: Numeric
    exchanges: Numeric
    host_factor: Numeric

    def elapsed_s(self, overheads: Overheads) -> FloatArray:
        """Time [s] of the pass in a running engine: scaled parts, and gaps per kernel, collective and step.

        Never less than the data sheet allows.
        """
        multiplied = (
            overheads.products * self.products
            + overheads.inputs * self.inputs
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
    sequences = np.asarray(carried.decode, dtype=np.float64)
    decode = np.asarray(sequences * lengths.query_tokens, dtype=np.float64)
    prefill = np.asarray(carried.prefill_tokens, dtype=np.float64)
    decoding, prompted = present(sequences), present(prefill)
    tokens = decode + prefill
    # Only the last token of a prompt needs logits.
    sampled = decode + prefill / np.maximum(1.0, lengths.prompt_tokens)
    lines = lines_of(load, machine, lengths)
    experts, experts_least = _experts_s(load, machine, tokens=tokens)
    rows = machine.tp.shape[0]
    multiplied = PassTokens(
        decode=decode, prefill=prefill, both=tokens, sampled=sampled, decoding=decoding, prompted=prompted
    )
    return StepParts(
        products=machine.products.time_s(multiplied),
        inputs=machine.products.inputs_s(multiplied),
        generation=_attention_s(lines.generation, sequences, decoding, rows=rows),
        context=_attention_s(lines.context, prefill, prompted, rows=rows),
        experts=experts,
        streams=_streams_s(load, machine, tokens=tokens),
        collectives=lines.exchanges.time_s(tokens),
        launches=lines.launches_s(load, machine, decoding=decoding, prompted=prompted),
        least=lines.least.pass_of(
            sequences=sequences, decode=decode, prefill=prefill, sampled=sampled, experts=experts_least
        ),
        kernels=lines.kernels,
        exchanges=lines.exchanges.number,
        host_factor=machine.host_factor,
    )


def paired_parts(load: ModelLoad, machine: Machine, carried: Pass) -> tuple[StepParts, StepParts]:
    """Two passes: the decoding sequences alone, and with the prompt tokens beside them, (candidates, batches).

    As `step_parts` has each of them, with what they have in common computed once and the rest side by side.
    """
    sequences = np.asarray(carried.decode, dtype=np.float64)
    lengths = carried.lengths
    decode = sequences * lengths.query_tokens
    prefill = np.asarray(carried.prefill_tokens, dtype=np.float64)
    decoding, prompted = present(sequences), present(prefill)
    lines = lines_of(load, machine, lengths)
    middle, rows = decode.shape[1], machine.tp.shape[0]
    sampled = decode + prefill / np.maximum(1.0, lengths.prompt_tokens)
    tokens = np.concatenate([decode, decode + prefill], axis=1)
    products = machine.products.paired_s(
        PairedTokens(
            decode=decode,
            prefill=prefill,
            both=tokens,
            sampled=np.concatenate([decode, sampled], axis=1),
            decoding=decoding,
            prompted=prompted,
        )
    )
    nothing = np.zeros((1, 1))
    alone = PassTokens(decode=decode, prefill=nothing, both=decode, sampled=decode, decoding=decoding, prompted=NOWHERE)
    beside = PassTokens(
        decode=decode,
        prefill=prefill,
        both=tokens[:, middle:],
        sampled=sampled,
        decoding=decoding,
        prompted=prompted,
    )
    experts, experts_least = _experts_s(load, machine, tokens=tokens)
    streams = _streams_s(load, machine, tokens=tokens)
    collectives = lines.exchanges.time_s(tokens)
    generation = _attention_s(lines.generation, sequences, decoding, rows=rows)
    least = lines.least.pair_of(
        sequences=sequences, decode=decode, prefill=prefill, sampled=sampled, experts=experts_least
    )

    def half(which: slice, carried: PassTokens, context: FloatArray, least: PassLeast) -> StepParts:
        return StepParts(
            products=products[:, which],
            inputs=machine.products.inputs_s(carried),
            generation=generation,
            context=context,
            experts=experts[:, which],
            streams=streams[:, which],
            collectives=collectives[:, which],
            launches=lines.launches_s(load, machine, decoding=decoding, prompted=carried.prompted),
            least=least,
            kernels=lines.kernels,
            exchanges=lines.exchanges.number,
            host_factor=machine.host_factor,
        )

    return (
        half(slice(None, middle), alone, np.zeros((rows, 1)), least[0]),
        half(slice(middle, None), beside, _attention_s(lines.context, prefill, prompted, rows=rows), least[1]),
    )


def _attention_s(kinds: tuple[tuple[int, Line], ...], number: FloatArray, there: Present, *, rows: int) -> FloatArray:
    """Attention [s] of all layers for so many sequences or prompt tokens; none of them takes no time."""
    total = np.zeros((rows, 1))
    if there is NOWHERE:
        return total
    for layers, line in kinds:
        took = line.work_s(number)
        took *= layers
        total = total + took
    return there.only(total)


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
        # No two choices of a token are one expert.
        share = np.maximum(kind.top_k / kind.experts, touched_fraction(everywhere * (kind.top_k / kind.experts)))
        touched = kind.experts / machine.ep * share
        work = Work(
            flop=2.0 * matrix * routed,
            main_bytes=touched * matrix * load.weight_bytes,
            side_bytes=ACTIVATION_BYTES * routed * (2.0 * kind.hidden + 3.0 * kind.intermediate / cut),
            padding_flop=2.0 * matrix * touched,
        )
        total = total + kind.layers * machine.experts.work_s(work)
        read += kind.layers * work.main_bytes
        flop += kind.layers * work.flop
    peak = machine.peak_flop_s[load.multiplied_precision]
    return total, ExpertsLeast(read_s=read / machine.stream_bytes_s, arithmetic_s=flop / peak)


def _streams_s(load: ModelLoad, machine: Machine, *, tokens: FloatArray) -> FloatArray:
    """Norms, residuals, activations [s]: one read and one write of the residual stream per layer."""
    moved = 2.0 * ACTIVATION_BYTES * load.architecture.hidden * load.architecture.layers
    return np.asarray(moved * tokens / machine.stream_bytes_s, dtype=np.float64)
