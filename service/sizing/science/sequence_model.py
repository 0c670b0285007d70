"""The layer list of a protein or genomic language model of any size, from the sizes that were published of it."""

import math
from dataclasses import dataclass

from service.sizing.architecture import Ffn, FfnKind, Mixer, MixerKind, ModelArchitecture

# Sizes as near as this to a published one are that one: 7 billion is what the publisher calls 6.5.
_SAME_LN = 0.12
# Widths of models that nobody published are multiples of this.
_WIDTH_STEP = 64
_CONV_KERNEL = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedSize:
    """One published size: its parameters and what they are spread over."""

    parameters: float
    layers: int
    hidden: int
    heads: int
    intermediate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceModel:
    """What every size of the model has in common. `sizes` ascend.

    `convolution_fraction` of the layers mix tokens by long convolutions, which are counted as recurrences of the same
    width; the others attend. `measured_gpus` is the most that a measured training ran on.
    """

    vocab: int
    context_tokens: int
    # Of an optimizer step.
    batch_tokens: float
    most_context_tokens: int
    encoder: bool
    gated: bool
    convolution_fraction: float
    measured_gpus: int
    sizes: tuple[PublishedSize, ...]
    basis: str
    source: str
    note: str = ""


def architecture_of(model: SequenceModel, *, id_: str, parameters: float) -> ModelArchitecture:
    """The network of so many parameters: a published size, else its layers and width lie between published ones."""
    size = _size(model, parameters)
    convolved = round(size.layers * model.convolution_fraction)
    width = size.hidden // size.heads
    attention = Mixer(
        kind=MixerKind.ATTENTION,
        count=size.layers - convolved,
        heads=size.heads,
        kv_heads=size.heads,
        head_dim=width,
        v_head_dim=width,
    )
    convolution = Mixer(
        kind=MixerKind.KIMI_DELTA_ATTENTION,
        count=convolved,
        heads=size.heads,
        head_dim=width,
        key_heads=size.heads,
        value_heads=size.heads,
        key_head_dim=width,
        value_head_dim=width,
        conv_kernel=_CONV_KERNEL,
    )
    return ModelArchitecture(
        id=id_,
        layers=size.layers,
        hidden=size.hidden,
        vocab=model.vocab,
        mixers=tuple(mixer for mixer in (attention, convolution) if mixer.count),
        ffns=(Ffn(kind=FfnKind.DENSE, count=size.layers, intermediate=size.intermediate, gated=model.gated),),
        max_context_tokens=model.most_context_tokens,
        tie_embeddings=True,
        encoder=model.encoder,
    )


def _size(model: SequenceModel, parameters: float) -> PublishedSize:
    near = min(model.sizes, key=lambda size: abs(math.log(parameters / size.parameters)))
    if abs(math.log(parameters / near.parameters)) <= _SAME_LN:
        return near
    layers = _between(model, parameters)
    wide = near.intermediate / near.hidden
    # Queries, keys, values and output, then two projections of the feed-forward part, three where it is gated.
    elements = layers * (4.0 + (3.0 if model.gated else 2.0) * wide)
    head = near.hidden / near.heads
    hidden = max(_WIDTH_STEP, round(math.sqrt(parameters / elements) / _WIDTH_STEP) * _WIDTH_STEP)
    # Heads divide the width, each about as wide as those of the nearest published size.
    heads = min((n for n in range(1, hidden + 1) if hidden % n == 0), key=lambda n: abs(math.log(hidden / n / head)))
    return PublishedSize(
        parameters=parameters, layers=layers, hidden=hidden, heads=heads, intermediate=round(hidden * wide)
    )


def _between(model: SequenceModel, parameters: float) -> int:
    """Layers at so many parameters: interpolated on the logarithm; beyond the ends as there."""
    first, *rest = model.sizes
    if parameters <= first.parameters:
        return first.layers
    below = first
    for above in rest:
        if parameters <= above.parameters:
            share = math.log(parameters / below.parameters) / math.log(above.parameters / below.parameters)
            return round(below.layers + share * (above.layers - below.layers))
        below = above
    return below.layers
