"""A model architecture on the wire and in config/models: layers by kind of mixer and feed-forward, all bounded."""

from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, post_dump, post_load, validates_schema

from service.schemas.hf_config import describe, language_model
from service.schemas.hf_names import as_published
from service.schemas.issue import Issue
from service.schemas.strict import Choice, Count, Flag, RecordSchema
from service.sizing.architecture import Ffn, FfnKind, Indexer, Mixer, MixerKind, ModelArchitecture, count

INLINE_ID = "inline"
"""The id of every architecture that a caller brought: what it is called is no part of the question."""

_MOST_PARAMS = 1e14
_WIDTH: dict[str, Any] = {"low": 0, "high": 1_048_576}
_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


class NativePrecision(fields.String):
    """The number format that experts are published in, if it is narrower than the rest."""

    known = ("mxfp4", "fp4", "int4", "fp8")

    def __init__(self, what: str, **kwargs: Any) -> None:
        super().__init__(metadata={"description": what, "enum": [*self.known, None]}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        limit = ", ".join(self.known)
        if not isinstance(value, str) or value not in self.known:
            raise ValidationError(Issue(f"Must be one of {limit}.", value=value, limit=limit))
        return value


class IndexerSchema(RecordSchema):
    """A sparse-attention indexer."""

    record = Indexer

    heads = Count("Heads that score.", low=1, high=4096, required=True)
    head_dim = Count("Width of a scoring head.", low=1, high=16_384, required=True)
    topk = Count("Cached tokens that a query keeps.", low=1, high=100_000_000, required=True)
    layers = Count("Layers that compute an index; all of the mixer when left out.", low=1, high=2048, **_OPTIONAL)
    block = Count("Tokens that are kept or dropped together.", low=1, high=65_536, load_default=1)


# Per kind: the fields that must be given, and those that may be.
_MIXER_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    MixerKind.ATTENTION: (
        ("heads", "kv_heads", "head_dim"),
        (
            "v_head_dim",
            "window",
            "chunk",
            "qkv_bias",
            "o_bias",
            "output_gate",
            "head_gate",
            "k_eq_v",
            "kv_shared",
            "indexer",
        ),
    ),
    MixerKind.MLA: (
        ("heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
        ("q_lora_rank", "output_gate", "indexer"),
    ),
    MixerKind.DSV4: (
        ("heads", "head_dim", "q_lora_rank", "qk_rope_head_dim", "o_lora_rank", "o_groups", "window"),
        ("compress_ratio", "compressor_coff", "indexer"),
    ),
    MixerKind.GATED_DELTANET: (("key_heads", "value_heads", "key_head_dim", "value_head_dim", "conv_kernel"), ()),
    MixerKind.KIMI_DELTA_ATTENTION: (("heads", "head_dim", "conv_kernel"), ("full_rank_gate",)),
    MixerKind.MAMBA2: (("heads", "head_dim", "state", "groups", "conv_kernel"), ()),
    MixerKind.NONE: ((), ()),
}
_FFN_FIELDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    FfnKind.DENSE: (("intermediate",), ("gated", "bias_params")),
    FfnKind.MOE: (
        ("experts", "top_k", "intermediate"),
        ("gated", "shared_intermediate", "latent", "dense_parallel_intermediate", "expert_bias", "hash_routed_layers"),
    ),
    FfnKind.NONE: ((), ()),
}


class LayerSchema(RecordSchema):
    """Layers of one kind: the kind decides which fields there are."""

    by_kind: ClassVar[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {}

    @validates_schema(pass_original=True)
    def _of_its_kind(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        kind = data.get("kind")
        if kind is None or not isinstance(original, Mapping):
            return
        needed, optional = self.by_kind[kind]
        wrong: dict[str, list[Any]] = {name: [Issue(f"Required for {kind}.")] for name in needed if not data.get(name)}
        for name in original:
            if name not in {"kind", "count", *needed, *optional}:
                wrong[str(name)] = [Issue(f"{kind} has no such field.", limit=", ".join((*needed, *optional)))]
        if wrong:
            raise ValidationError(wrong)

    @post_dump
    def _only_its_kind(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        needed, optional = self.by_kind[data["kind"]]
        return {name: value for name, value in data.items() if name in {"kind", "count", *needed, *optional}}


class MixerSchema(LayerSchema):
    """Layers with the same token mixer."""

    record = Mixer
    by_kind = _MIXER_FIELDS

    kind = Choice("How these layers mix tokens.", MixerKind, required=True)
    count = Count("How many layers.", low=1, high=2048, required=True)
    heads = Count("Query heads, or heads of a recurrent mixer.", low=0, high=4096, load_default=0)
    kv_heads = Count("Key and value heads.", low=0, high=4096, load_default=0)
    head_dim = Count("Width of a head.", low=0, high=16_384, load_default=0)
    v_head_dim = Count("Width of a value head; head_dim when left out.", low=0, high=16_384, load_default=0)
    window = Count("Sliding window in tokens; null for full attention.", low=1, high=100_000_000, **_OPTIONAL)
    chunk = Count("Chunk in tokens outside which nothing is attended.", low=1, high=100_000_000, **_OPTIONAL)
    qkv_bias = Flag("Query, key and value projections have biases.", load_default=False)
    o_bias = Flag("The output projection has a bias.", load_default=False)
    output_gate = Flag("The output is gated, as wide as the heads.", load_default=False)
    head_gate = Flag("One gate per head.", load_default=False)
    k_eq_v = Flag("The key projection serves as value.", load_default=False)
    kv_shared = Flag("Keys and values of an earlier layer are used again.", load_default=False)
    indexer = fields.Nested(IndexerSchema, metadata={"description": "Sparse-attention indexer."}, **_OPTIONAL)
    q_lora_rank = Count("Rank of the compressed query; null for none.", low=1, high=65_536, **_OPTIONAL)
    kv_lora_rank = Count("Rank of the compressed keys and values.", low=0, high=65_536, load_default=0)
    qk_nope_head_dim = Count("Width of a query head without rotation.", low=0, high=16_384, load_default=0)
    qk_rope_head_dim = Count("Rotated width of a query head.", low=0, high=16_384, load_default=0)
    o_lora_rank = Count("Rank of the output projection.", low=0, high=65_536, load_default=0)
    o_groups = Count("Groups of the output projection.", low=0, high=4096, load_default=0)
    compress_ratio = Count(
        "Tokens per compressed cache entry; 0 for a window alone.", low=0, high=65_536, load_default=0
    )
    compressor_coff = Count("Width of the compressor in heads.", low=0, high=64, load_default=0)
    key_heads = Count("Key heads of linear attention.", low=0, high=4096, load_default=0)
    value_heads = Count("Value heads of linear attention.", low=0, high=4096, load_default=0)
    key_head_dim = Count("Width of a key head of linear attention.", low=0, high=16_384, load_default=0)
    value_head_dim = Count("Width of a value head of linear attention.", low=0, high=16_384, load_default=0)
    conv_kernel = Count("Taps of the short convolution.", low=0, high=64, load_default=0)
    full_rank_gate = Flag("The output gate has full rank.", load_default=False)
    state = Count("State per channel of a state-space layer.", low=0, high=65_536, load_default=0)
    groups = Count("Groups of a state-space layer.", low=0, high=4096, load_default=0)

    @validates_schema
    def _heads_divide(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("kind") is MixerKind.ATTENTION and data.get("heads") and data.get("kv_heads"):
            heads, kv_heads = data["heads"], data["kv_heads"]
            if heads % kv_heads:
                limit = f"a divisor of heads ({heads})"
                raise ValidationError({"kv_heads": [Issue(f"Must be {limit}.", value=kv_heads, limit=limit)]})
        layers = data["indexer"].layers if data.get("indexer") else None
        if layers is not None and layers > data.get("count", 0):
            raise ValidationError({"indexer": {"layers": [Issue("More than the layers of this mixer.", value=layers)]}})

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        if data["kind"] is MixerKind.ATTENTION and not data["v_head_dim"]:
            data["v_head_dim"] = data["head_dim"]
        if data["kind"] is MixerKind.DSV4:
            # Keys and values are one head by construction; it is nothing to be given.
            data["kv_heads"] = 1
        return Mixer(**data)


class FfnSchema(LayerSchema):
    """Layers with the same feed-forward part."""

    record = Ffn
    by_kind = _FFN_FIELDS

    kind = Choice("What follows the mixer.", FfnKind, required=True)
    count = Count("How many layers.", low=1, high=2048, required=True)
    intermediate = Count("Width of the FFN, or of one expert.", load_default=0, **_WIDTH)
    gated = Flag("Three matrices rather than two.", load_default=True)
    bias_params = Count("Biases of one layer.", low=0, high=16_777_216, load_default=0)
    experts = Count("Routed experts of one layer.", low=0, high=16_384, load_default=0)
    top_k = Count("Experts that a token is routed to.", low=0, high=1024, load_default=0)
    shared_intermediate = Count("Width of all shared experts together.", load_default=0, **_WIDTH)
    latent = Count("Width the experts work on; hidden when left out.", low=1, high=262_144, **_OPTIONAL)
    dense_parallel_intermediate = Count("Width of a dense FFN beside the experts.", low=1, high=1_048_576, **_OPTIONAL)
    expert_bias = Flag("Experts have biases.", load_default=False)
    hash_routed_layers = Count("Layers whose experts are chosen by token id.", low=0, high=2048, load_default=0)

    @validates_schema
    def _enough_experts(self, data: dict[str, Any], **_: Any) -> None:
        if data.get("top_k", 0) > data.get("experts", 0) and data.get("kind") is FfnKind.MOE:
            limit = f"at most experts ({data.get('experts')})"
            raise ValidationError({"top_k": [Issue(f"Must be {limit}.", value=data["top_k"], limit=limit)]})


class Layers(fields.List):  # type: ignore[type-arg]
    """Parts of an architecture; their number is checked before anything in them is read."""

    limit = "1 to 256 entries"

    def __init__(self, what: str, schema: type[LayerSchema], **kwargs: Any) -> None:
        extra = {"minItems": 1, "maxItems": 256}
        super().__init__(fields.Nested(schema), metadata={"description": what, **extra}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list) or not 1 <= len(value) <= 256:
            raise ValidationError(Issue(f"Must be a list of {self.limit}.", value=value, limit=self.limit))
        return list(super()._deserialize(value, attr, data, **kwargs))


class ArchitectureSchema(RecordSchema):
    """A neural network by its layers; mixers and ffns each cover all of them."""

    record = ModelArchitecture
    filled: ClassVar[Mapping[str, Any]] = {"id": INLINE_ID}

    layers = Count("Layers.", low=1, high=2048, required=True)
    hidden = Count("Width of the residual stream.", low=8, high=262_144, required=True)
    vocab = Count("Entries of the vocabulary.", low=2, high=16_777_216, required=True)
    max_context_tokens = Count("Longest context; null when unknown.", low=1, high=1_000_000_000, **_OPTIONAL)
    tie_embeddings = Flag("Input and output embedding are one table.", load_default=False)
    learned_positions = Count("Rows of a learned position table.", low=0, high=10_000_000, load_default=0)
    per_layer_embedding_dim = Count("Width of per-layer embeddings.", low=0, high=16_384, load_default=0)
    mtp_layers = Count("Next-token-prediction layers, for speculation.", low=0, high=64, load_default=0)
    encoder = Flag("Bidirectional: it embeds and does not generate.", load_default=False)
    expert_native_precision = NativePrecision("Format that the experts are published in.", **_OPTIONAL)
    mixers = Layers("Token mixers; their counts add up to layers.", MixerSchema, required=True)
    ffns = Layers("Feed-forward parts; their counts add up to layers.", FfnSchema, required=True)

    @validates_schema
    def _adds_up(self, data: dict[str, Any], **_: Any) -> None:
        wrong: dict[str, list[Any]] = {}
        for part in ("mixers", "ffns"):
            entries = data.get(part)
            if entries is None or "layers" not in data:
                continue
            if (total := sum(entry.count for entry in entries)) != data["layers"]:
                limit = f"layers ({data['layers']})"
                wrong[part] = [Issue(f"Counts add up to {total}, not to {limit}.", value=total, limit=limit)]
        if wrong:
            raise ValidationError(wrong)

    @post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Any:
        parts = {"mixers": tuple(data.pop("mixers")), "ffns": tuple(data.pop("ffns"))}
        architecture = ModelArchitecture(**{**self.filled, **data, **parts})
        total = count(architecture).total_params
        if total > _MOST_PARAMS:
            limit = f"at most {_MOST_PARAMS:g} parameters"
            message = f"These layers make {total:.3g} parameters."
            raise ValidationError(Issue(message, value=f"{total:.3g}", limit=limit))
        return architecture


_ARCHITECTURE = ArchitectureSchema()


def architecture_from_hf_config(config: Mapping[str, Any]) -> ModelArchitecture:
    """The architecture that a Hugging Face config.json describes. Raises ValidationError naming the field."""
    described = describe(config)
    try:
        architecture = _ARCHITECTURE.load(described)
    except ValidationError as error:
        raise ValidationError(as_published(language_model(config)[1], error.messages)) from error
    assert isinstance(architecture, ModelArchitecture)
    return architecture
