"""Hugging Face config.json -> the record that ArchitectureSchema loads, family by family."""

from collections.abc import Callable, Mapping
from typing import Any

from marshmallow import ValidationError

from service.schemas import hf_attention, hf_hybrid, hf_latent
from service.schemas.hf_fields import HfConfig
from service.schemas.issue import Issue, nearest

_FAMILIES: dict[str, Callable[[HfConfig], dict[str, Any]]] = {
    **hf_attention.FAMILIES,
    **hf_latent.FAMILIES,
    **hf_hybrid.FAMILIES,
}
# A model of several towers keeps its language model in here; the towers are not sized.
_NESTED = ("text_config", "llm_config", "language_config")
_TOO_DEEP = 3
# What publishers of other kinds of models call them: a list of language models would not help who asks for one.
_OTHER_KINDS: Mapping[str, str] = {
    **dict.fromkeys(
        ("whisper", "wav2vec2", "wav2vec2-bert", "hubert", "speecht5", "moonshine", "parakeet_ctc"), "speech"
    ),
    **dict.fromkeys(("clip", "siglip", "siglip2", "vit", "dinov2", "dinov3_vit", "sam", "swin", "detr"), "images"),
}


def describe(config: Mapping[str, Any]) -> dict[str, Any]:
    """The architecture record of a config. Raises ValidationError naming the field that is missing or unknown."""
    name, inner = language_model(config)
    family = _FAMILIES.get(name)
    if family is None and name in _OTHER_KINDS:
        message = (
            f"{name} is a model for {_OTHER_KINDS[name]}; Headroom sizes language models and the applications it lists."
        )
        raise ValidationError({"model_type": [Issue(message, value=name)]})
    if family is None:
        supported = sorted(_FAMILIES)
        near = nearest(name, supported)
        limit = ", ".join(supported)
        issue = Issue(
            f"This model_type is not supported; supported are {limit}.", value=name, limit=limit, did_you_mean=near
        )
        raise ValidationError({"model_type": [issue]})
    return family(HfConfig(inner))


def language_model(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """model_type and fields of the language model inside; what it does not say itself, its parent says."""
    name = config.get("model_type")
    if not isinstance(name, str):
        raise ValidationError({"model_type": [Issue("This field is required, as a text.", value=name)]})
    inner: Mapping[str, Any] = config
    for _ in range(_TOO_DEEP):
        nested = next((inner[key] for key in _NESTED if isinstance(inner.get(key), Mapping)), None)
        if nested is None:
            break
        outer = {key: value for key, value in inner.items() if key in {"tie_word_embeddings", "quantization_config"}}
        # A nested config without a model_type of its own is named by the outer one.
        name = nested["model_type"] if isinstance(nested.get("model_type"), str) else name
        inner = {**outer, **nested}
    return name, inner
