"""What a pass of a model on its machines takes per sequence, token of a prompt and token between GPUs: straight lines.

They are settled once for all batches that a search tries.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.inference.attention import AttentionFamily, AttentionGroup, attended_tokens, gathered_work
from service.sizing.inference.exchanges import Exchanges, exchanges_of
from service.sizing.inference.least import Least, least_of
from service.sizing.inference.load import ACTIVATION_BYTES, STATE_BYTES, ModelLoad
from service.sizing.inference.machine import Machine
from service.sizing.inference.products import Phase
from service.sizing.numeric import EVERYWHERE, NOWHERE, Column, Present
from service.sizing.operation import Line, Work
from service.sizing.table import FloatArray

_GATHERED = frozenset({AttentionFamily.SPARSE, AttentionFamily.COMPRESSED})


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
class Lines:
    """The lines of attention, each with the layers that it stands for, and all else that no batch changes.

    `launches` are settled for passes that decode, that carry prompts, and that do both; `kernels` counts what some time
    lies between: products, attention, routed experts, and a norm a layer.
    """

    generation: tuple[tuple[int, Line], ...]
    context: tuple[tuple[int, Line], ...]
    exchanges: Exchanges
    least: Least
    launches: dict[tuple[Present, Present], FloatArray]
    kernels: float

    def launches_s(self, load: ModelLoad, machine: Machine, *, decoding: Present, prompted: Present) -> FloatArray:
        """Time [s] of all launches of a pass with sequences that decode and prompts where these say."""
        settled = self.launches.get((decoding, prompted))
        if settled is not None:
            return settled
        return _launches_s(load, machine, self.generation, self.context, decoding=decoding, prompted=prompted)


@lru_cache(maxsize=16)
def lines_of(load: ModelLoad, machine: Machine, lengths: Lengths) -> Lines:
    """The lines of these candidates at these lengths."""
    sequence = [(group, _sequence(load, machine, group, lengths)) for group in load.groups]
    prompt = [(group, _prompt_token(load, machine, group, lengths)) for group in load.groups]
    generation = tuple((group.layers, _generation(machine, group, lengths, each=each)) for group, each in sequence)
    context = tuple((group.layers, _context(machine, group, lengths, each=each)) for group, each in prompt)
    uniform = ((EVERYWHERE, NOWHERE), (EVERYWHERE, EVERYWHERE), (NOWHERE, EVERYWHERE))
    return Lines(
        generation=generation,
        context=context,
        exchanges=exchanges_of(load, machine),
        least=least_of(load, machine, sequence=_all_layers(sequence), prompt_token=_all_layers(prompt)),
        launches={
            (decoding, prompted): _launches_s(load, machine, generation, context, decoding=decoding, prompted=prompted)
            for decoding, prompted in uniform
        },
        kernels=_kernels(load),
    )


def _kernels(load: ModelLoad) -> float:
    """Kernels of one pass."""
    products = sum(one.layers for one in load.products if one.phase is not Phase.PREFILL)
    attention = sum(group.layers for group in load.groups)
    experts = sum(kind.layers for kind in load.experts)
    return float(products + attention + experts + load.architecture.layers)


def _all_layers(kinds: list[tuple[AttentionGroup, Work]]) -> Work:
    """FLOP, and bytes of weights or cache, of attention in all layers."""
    return Work(
        flop=np.asarray(sum(group.layers * each.flop for group, each in kinds), dtype=np.float64),
        main_bytes=np.asarray(sum(group.layers * each.main_bytes for group, each in kinds), dtype=np.float64),
    )


def _launches_s(
    load: ModelLoad,
    machine: Machine,
    generation: tuple[tuple[int, Line], ...],
    context: tuple[tuple[int, Line], ...],
    *,
    decoding: Present,
    prompted: Present,
) -> FloatArray:
    """Launches [s] of products, of attention where there is something to attend, and of routed experts."""
    total: FloatArray = np.zeros((1, 1))
    for kinds, there in ((generation, decoding), (context, prompted)):
        for layers, line in kinds:
            total = total + there.only(layers * line.launch_s)
    if machine.experts is not None:
        total = total + sum(kind.layers for kind in load.experts) * machine.experts.launch_s
    return machine.products.launches_s(decoding=decoding, prompted=prompted) + total


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
    if group.family in _GATHERED:
        return _gathered(machine, group, lengths, each=each)
    depth = lengths.prompt_tokens if group.state_elements else attended_tokens(group, _mean_tokens(lengths))
    return machine.context[group.family].line(each=each, depth=depth)


def _gathered(machine: Machine, group: AttentionGroup, lengths: Lengths, *, each: Work) -> Line:
    """The time where entries of a latent are gathered; a prompt without entries to choose from attends to all."""
    mean = _mean_tokens(lengths)
    entries = attended_tokens(group, mean)
    gathered = machine.context[group.family].line(
        each=gathered_work(group, context_tokens=mean, tp=machine.tp), depth=entries
    )
    if group.family is not AttentionFamily.SPARSE:
        return gathered
    short = np.asarray(lengths.cached_tokens + lengths.prompt_tokens) <= group.cap
    return machine.context[AttentionFamily.LATENT].line(each=each, depth=entries).where(short, gathered)
