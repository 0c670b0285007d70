"""The matrix products of one forward pass, layer kind by layer kind, as tensor parallelism cuts them."""

from dataclasses import dataclass
from enum import StrEnum

from service.sizing.architecture import Ffn, FfnKind, Mixer, MixerKind, ModelArchitecture


class Cut(StrEnum):
    """What tensor parallelism divides: output columns, input rows, or nothing."""

    COLUMNS = "columns"
    ROWS = "rows"
    WHOLE = "whole"


class Part(StrEnum):
    """What a product belongs to; each part has a number format of its own."""

    MIXER = "mixer"
    FFN = "ffn"
    ROUTER = "router"
    HEAD = "head"


class Phase(StrEnum):
    """Prefill and decode multiply the same weights, but for the latent of MLA."""

    PREFILL = "prefill"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """`layers` products of (tokens x inner) with (inner x columns); `phase` None = in both."""

    layers: int
    columns: float
    inner: float
    cut: Cut
    part: Part
    phase: Phase | None = None


def products_of(architecture: ModelArchitecture) -> tuple[Product, ...]:
    """All products but those of routed experts; equal ones of several layer kinds are counted together."""
    found: list[Product] = []
    for mixer in architecture.mixers:
        found.extend(_MIXERS[mixer.kind](mixer, architecture.hidden))
        found.extend(_indexer(mixer, architecture.hidden))
    for ffn in architecture.ffns:
        found.extend(_ffn(ffn, architecture.hidden))
    found.append(
        Product(
            layers=1,
            columns=float(architecture.vocab),
            inner=float(architecture.hidden),
            cut=Cut.COLUMNS,
            part=Part.HEAD,
        )
    )
    return _together(found)


def _together(products: list[Product]) -> tuple[Product, ...]:
    counted: dict[tuple[object, ...], Product] = {}
    for one in products:
        if one.layers <= 0 or one.columns <= 0 or one.inner <= 0:
            continue
        key = (one.columns, one.inner, one.cut, one.part, one.phase)
        layers = one.layers + (counted[key].layers if key in counted else 0)
        counted[key] = Product(
            layers=layers, columns=one.columns, inner=one.inner, cut=one.cut, part=one.part, phase=one.phase
        )
    return tuple(counted.values())


def _mixer(mixer: Mixer, columns: float, inner: float, cut: Cut, phase: Phase | None = None) -> Product:
    return Product(
        layers=mixer.count, columns=float(columns), inner=float(inner), cut=cut, part=Part.MIXER, phase=phase
    )


def _attention(mixer: Mixer, hidden: int) -> list[Product]:
    query = mixer.heads * mixer.head_dim * (2 if mixer.output_gate else 1)
    key_value = 0 if mixer.kv_shared else mixer.kv_heads * (mixer.head_dim + mixer.v_head_dim)
    return [
        _mixer(mixer, query + key_value, hidden, Cut.COLUMNS),
        _mixer(mixer, hidden, mixer.heads * mixer.v_head_dim, Cut.ROWS),
    ]


def _mla(mixer: Mixer, hidden: int) -> list[Product]:
    """Prefill unfolds the latent into heads; decode stays in the latent space, its weights absorbed per head."""
    latent = mixer.kv_lora_rank + mixer.qk_rope_head_dim
    query = mixer.heads * (mixer.qk_nope_head_dim + mixer.qk_rope_head_dim)
    rank, values = mixer.kv_lora_rank, mixer.heads * mixer.v_head_dim
    found = [_mixer(mixer, latent + (mixer.q_lora_rank or 0), hidden, Cut.WHOLE)]
    found.append(_mixer(mixer, query, mixer.q_lora_rank or hidden, Cut.COLUMNS))
    found.append(
        _mixer(mixer, mixer.heads * (mixer.qk_nope_head_dim + mixer.v_head_dim), rank, Cut.COLUMNS, Phase.PREFILL)
    )
    found.append(_mixer(mixer, mixer.heads * rank, mixer.qk_nope_head_dim, Cut.COLUMNS, Phase.DECODE))
    found.append(_mixer(mixer, values, rank, Cut.COLUMNS, Phase.DECODE))
    found.append(_mixer(mixer, hidden, values, Cut.ROWS))
    if mixer.output_gate:
        found.append(_mixer(mixer, values, hidden, Cut.COLUMNS))
    return found


def _dsv4(mixer: Mixer, hidden: int) -> list[Product]:
    rank = mixer.q_lora_rank or hidden
    compressed = mixer.head_dim + (mixer.indexer.head_dim if mixer.indexer else 0)
    compressor = 2 * mixer.compressor_coff * compressed if mixer.compress_ratio else 0
    groups = max(1, mixer.o_groups)
    return [
        _mixer(mixer, rank + mixer.head_dim + compressor, hidden, Cut.WHOLE),
        _mixer(mixer, mixer.heads * mixer.head_dim, rank, Cut.COLUMNS),
        _mixer(mixer, groups * mixer.o_lora_rank, mixer.heads * mixer.head_dim / groups, Cut.COLUMNS),
        _mixer(mixer, hidden, groups * mixer.o_lora_rank, Cut.ROWS),
    ]


def _gated_deltanet(mixer: Mixer, hidden: int) -> list[Product]:
    keys, values = mixer.key_heads * mixer.key_head_dim, mixer.value_heads * mixer.value_head_dim
    return [
        _mixer(mixer, 2 * keys + 2 * values + 2 * mixer.value_heads, hidden, Cut.COLUMNS),
        _mixer(mixer, hidden, values, Cut.ROWS),
    ]


def _kimi_delta(mixer: Mixer, hidden: int) -> list[Product]:
    width = mixer.heads * mixer.head_dim
    return [
        _mixer(mixer, (4 if mixer.full_rank_gate else 3) * width + mixer.heads, hidden, Cut.COLUMNS),
        _mixer(mixer, hidden, width, Cut.ROWS),
    ]


def _mamba2(mixer: Mixer, hidden: int) -> list[Product]:
    inner = mixer.heads * mixer.head_dim
    return [
        _mixer(mixer, 2 * inner + 2 * mixer.groups * mixer.state + mixer.heads, hidden, Cut.COLUMNS),
        _mixer(mixer, hidden, inner, Cut.ROWS),
    ]


def _nothing(_mixer: Mixer, _hidden: int) -> list[Product]:
    return []


_MIXERS = {
    MixerKind.ATTENTION: _attention,
    MixerKind.MLA: _mla,
    MixerKind.DSV4: _dsv4,
    MixerKind.GATED_DELTANET: _gated_deltanet,
    MixerKind.KIMI_DELTA_ATTENTION: _kimi_delta,
    MixerKind.MAMBA2: _mamba2,
    MixerKind.NONE: _nothing,
}


def _indexer(mixer: Mixer, hidden: int) -> list[Product]:
    if mixer.indexer is None:
        return []
    layers = mixer.count if mixer.indexer.layers is None else mixer.indexer.layers
    queries = float(mixer.indexer.heads * mixer.indexer.head_dim)
    inner = float(mixer.q_lora_rank or hidden)
    keys = float(mixer.indexer.head_dim + mixer.indexer.heads)
    return [
        Product(layers=layers, columns=queries, inner=inner, cut=Cut.WHOLE, part=Part.MIXER),
        Product(layers=layers, columns=keys, inner=float(hidden), cut=Cut.WHOLE, part=Part.MIXER),
    ]


def _ffn(ffn: Ffn, hidden: int) -> list[Product]:
    """Dense layers, shared experts and the router; an expert that works in a latent space has two projections more."""
    if ffn.kind is FfnKind.NONE:
        return []
    if ffn.kind is FfnKind.DENSE:
        return _pair(ffn, ffn.intermediate, hidden)
    shared = ffn.shared_intermediate + (ffn.dense_parallel_intermediate or 0)
    router = Product(layers=ffn.count, columns=float(ffn.experts), inner=float(hidden), cut=Cut.WHOLE, part=Part.ROUTER)
    found = [*_pair(ffn, shared, hidden), router]
    if ffn.latent:
        latent = float(ffn.latent)
        found += [
            Product(layers=ffn.count, columns=latent, inner=float(hidden), cut=Cut.WHOLE, part=Part.ROUTER),
            Product(layers=ffn.count, columns=float(hidden), inner=latent, cut=Cut.WHOLE, part=Part.ROUTER),
        ]
    return found


def _pair(ffn: Ffn, width: int, hidden: int) -> list[Product]:
    up = (2 if ffn.gated else 1) * width
    return [
        Product(layers=ffn.count, columns=float(up), inner=float(hidden), cut=Cut.COLUMNS, part=Part.FFN),
        Product(layers=ffn.count, columns=float(hidden), inner=float(width), cut=Cut.ROWS, part=Part.FFN),
    ]
