"""What is wrong with an architecture that was read from a config.json, told by the names that stand in that file."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from service.schemas.issue import Issue

# Our fields -> the names that they are read from, the usual one first.
_PUBLISHED: Mapping[str, tuple[str, ...]] = {
    "experts": ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"),
    "head_dim": ("head_dim", "hidden_size", "n_embd", "d_model"),
    "heads": ("num_attention_heads", "n_head", "n_heads"),
    "hidden": ("hidden_size", "n_embd", "d_model"),
    "intermediate": ("intermediate_size", "moe_intermediate_size", "ffn_hidden_size"),
    "kv_heads": ("num_key_value_heads",),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "max_context_tokens": ("max_position_embeddings",),
    "mtp_layers": ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules"),
    "top_k": ("num_experts_per_tok", "top_k_experts", "moe_top_k", "experts_per_token"),
    "vocab": ("vocab_size",),
    "window": ("sliding_window",),
}
_WORD = re.compile(r"[a-z_]+")


def as_published(config: Mapping[str, Any], messages: Any) -> dict[str, list[Any]]:
    """The messages under the fields of the config; what is read from none of them keeps its own place."""
    found: dict[str, list[Any]] = {}
    for place, message in _leaves(messages, ()):
        last = place[-1] if place else ""
        name = _name(config, last) if last in _PUBLISHED else ".".join(place)
        told = _told(config, message)
        if told not in found.setdefault(name, []):
            found[name].append(told)
    return found


def _leaves(messages: Any, place: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            yield from _leaves(inner, (*place, str(key)))
    else:
        yield from ((place, one) for one in messages)


def _name(config: Mapping[str, Any], field: str) -> str:
    names = _PUBLISHED[field]
    return next((name for name in names if name in config), names[0])


def _told(config: Mapping[str, Any], message: Any) -> Any:
    """Only the fields that a sentence names as ours alone: `layers` and `hidden` are plain words too."""
    if not isinstance(message, Issue):
        return message
    ours = {"heads", "kv_heads", "experts", "top_k"}

    def told(text: str) -> str:
        return _WORD.sub(lambda found: _name(config, found[0]) if found[0] in ours else found[0], text)

    limit = told(message.limit) if isinstance(message.limit, str) else message.limit
    return Issue(told(message), value=message.value, limit=limit, did_you_mean=message.did_you_mean)
