"""Reading fields of a config.json: typed, with the defaults that the publisher's config class has."""

from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

from marshmallow import ValidationError

from service.schemas.issue import Issue

_MOST_LAYERS = 2048


class HfConfig:
    """A config with typed access; every refusal names the field."""

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.raw = raw

    def has(self, *names: str) -> bool:
        """Whether one of the names is there and not null."""
        return any(self.raw.get(name) is not None for name in names)

    def count(self, *names: str, default: int | None = None) -> int:
        """The first of these fields that is there, as a whole number; the default otherwise."""
        for name in names:
            value = self.raw.get(name)
            if value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value or value % 1:  # noqa: PLR0124
                raise ValidationError({name: [Issue("Must be a whole number.", value=value)]})
            return int(value)
        if default is None:
            raise ValidationError({names[0]: [Issue("This field is required.")]})
        return default

    def optional(self, *names: str) -> int | None:
        """A whole number, or None where every one of the names is absent or null."""
        return self.count(*names) if self.has(*names) else None

    def flag(self, name: str, *, default: bool) -> bool:
        """A field that is true or false."""
        value = self.raw.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise ValidationError({name: [Issue("Must be true or false.", value=value)]})
        return value

    def inner(self, name: str) -> "HfConfig":
        """A nested object; empty when absent."""
        value = self.raw.get(name)
        if value is not None and not isinstance(value, Mapping):
            raise ValidationError({name: [Issue("Must be an object.", value=value)]})
        return HfConfig(value or {})

    def items(self, name: str, *, length: int) -> list[Any] | None:
        """A list with an entry for each layer (further ones belong to prediction layers); None when absent."""
        value = self.raw.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) < length:
            raise ValidationError({name: [Issue(f"Must be a list with an entry for each of {length} layers.")]})
        return value[:length]

    def numbers(self, name: str) -> set[int] | None:
        """Layer numbers, as a list or as text with commas; None when absent."""
        raw = self.raw.get(name)
        if raw is None:
            return None
        parts = raw.split(",") if isinstance(raw, str) else raw
        if not isinstance(parts, list) or not all(str(part).strip().isdecimal() for part in parts[:_MOST_LAYERS]):
            raise ValidationError({name: [Issue("Must list the numbers of layers.")]})
        return {int(part) for part in parts[:_MOST_LAYERS]}

    @property
    def layers(self) -> int:
        """Number of layers, small enough to make lists of."""
        for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers"):
            if self.has(name):
                layers = self.count(name)
                if not 1 <= layers <= _MOST_LAYERS:
                    limit = f"1 to {_MOST_LAYERS}"
                    raise ValidationError({name: [Issue(f"Must be {limit}.", value=layers, limit=limit)]})
                return layers
        raise ValidationError({"num_hidden_layers": [Issue("This field is required.")]})


SLIDING = "sliding_attention"
FULL = "full_attention"
LINEAR = "linear_attention"


def layer_types(
    config: HfConfig, otherwise: Callable[[int], str], *, known: tuple[str, ...] = (SLIDING, FULL)
) -> list[str]:
    """The kind of every layer: as listed, or by a rule."""
    listed = config.items("layer_types", length=config.layers)
    if listed is None:
        return [otherwise(layer) for layer in range(config.layers)]
    for entry in listed:
        if entry not in known:
            limit = ", ".join(known)
            raise ValidationError({"layer_types": [Issue(f"Must be of {limit}.", value=entry, limit=limit)]})
    return listed


def grouped(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Layers of the same kind together with their count, in the order of their first appearance."""
    found: list[tuple[dict[str, Any], int]] = []
    for entry, run in groupby(entries):
        size = len(list(run))
        for place, (known, number) in enumerate(found):
            if known == entry:
                found[place] = (known, number + size)
                break
        else:
            found.append((entry, size))
    return [{**entry, "count": number} for entry, number in found]


def whole(config: HfConfig, *, tie: bool, context: tuple[str, ...] = ("max_position_embeddings",)) -> dict[str, Any]:
    """What every architecture has; `tie` is the default of the publisher's config class."""
    return {
        "layers": config.layers,
        "hidden": config.count("hidden_size", "n_embd", "d_model"),
        "vocab": config.count("vocab_size"),
        "max_context_tokens": config.optional(*context),
        "tie_embeddings": config.flag("tie_word_embeddings", default=tie),
        "mtp_layers": config.count("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules", default=0),
    }


def attention(config: HfConfig, *, head_dim: int | None = None, **extra: Any) -> dict[str, Any]:
    """Grouped-query attention of the usual fields."""
    heads = config.count("num_attention_heads", "n_head", "n_heads")
    width = head_dim or config.optional("head_dim")
    return {
        "kind": "attention",
        "heads": heads,
        "kv_heads": config.count("num_key_value_heads", default=heads),
        "head_dim": width or config.count("hidden_size", "n_embd", "d_model") // max(heads, 1),
        **extra,
    }


def dense(config: HfConfig, *, gated: bool = True, biases: bool = False, width: int | None = None) -> dict[str, Any]:
    """A dense FFN; with biases, one per output of each matrix."""
    intermediate = width if width is not None else config.count("intermediate_size", "ffn_hidden_size")
    hidden = config.count("hidden_size", "n_embd", "d_model")
    bias_params = ((2 if gated else 1) * intermediate + hidden) if biases else 0
    return {"kind": "dense", "intermediate": intermediate, "gated": gated, "bias_params": bias_params}


def moe(config: HfConfig, *, width: int, shared: int = 0, **extra: Any) -> dict[str, Any]:
    """Routed experts `width` wide, with shared experts of `shared` together."""
    return {
        "kind": "moe",
        "experts": config.count("n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts"),
        "top_k": config.count("num_experts_per_tok", "top_k_experts", "moe_top_k", "experts_per_token"),
        "intermediate": width,
        "shared_intermediate": shared,
        "gated": True,
        **extra,
    }
