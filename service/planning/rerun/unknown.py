"""A trained model that the catalog does not list and of which a run says how large it is: a dense one as most are."""

import math
import re

from service.schemas.measured import MeasuredTraining
from service.sizing.architecture import Ffn, FfnKind, Mixer, MixerKind, ModelArchitecture
from service.sizing.units import BILLION

# Llama 3.2 3B, 3.1 8B, 70B and 405B have 110, 128, 102 and 130 elements of width a layer, Qwen3 14B and 32B 128 and 80.
_WIDTH_LAYER = 112.0
_HEAD, _KV_HEADS, _VOCAB = 128, 8, 128_256
# Parameters of a layer in squares of its width: queries and outputs, and a gated part three and a half times as wide.
_SQUARES_LAYER = 2.0 + 3.0 * 3.5
_LEAST_LAYERS = 2
# Names that tell active parameters or how many experts there are: 30b-a3b, 8x7b.
_ROUTED = re.compile(r"moe|\d+x\d|(?<![a-z])a\d+(\.\d+)?b", re.IGNORECASE)
# Smaller ones have one table for both ends, as Llama 3.2 1B has.
_UNTIED_PARAMS = 2e9


def is_unlisted(run: MeasuredTraining) -> bool:
    """Whether the size of the model is all that is known of it, and nothing says that it has experts."""
    routed = (run.deployment.ep or 1) > 1 or _ROUTED.search(run.workload.model or "") is not None
    return run.workload.params_b is not None and not routed


def architecture_of_size(model: str, params_b: float) -> ModelArchitecture:
    """A dense decoder of `params_b` billion parameters: grouped queries and gated feed-forward parts.

    Its layers grow with its width, and what rounding leaves goes into the feed-forward parts.
    """
    params = params_b * BILLION
    tables = 2.0 if params >= _UNTIED_PARAMS else 1.0
    layers = max(_LEAST_LAYERS, round(_layers(params, tables=tables)))
    hidden = max(_HEAD, _HEAD * round(layers * _WIDTH_LAYER / _HEAD))
    heads = hidden // _HEAD
    kv_heads = min(_KV_HEADS, heads)
    mixer = layers * hidden * _HEAD * 2 * (heads + kv_heads)
    left = params - mixer - tables * _VOCAB * hidden
    intermediate = max(_HEAD, round(left / (3.0 * layers * hidden)))
    return ModelArchitecture(
        id=model,
        layers=layers,
        hidden=hidden,
        vocab=_VOCAB,
        mixers=(
            Mixer(
                kind=MixerKind.ATTENTION,
                count=layers,
                heads=heads,
                kv_heads=kv_heads,
                head_dim=_HEAD,
                v_head_dim=_HEAD,
            ),
        ),
        ffns=(Ffn(kind=FfnKind.DENSE, count=layers, intermediate=intermediate, gated=True),),
        max_context_tokens=None,
        tie_embeddings=tables == 1.0,
    )


def _layers(params: float, *, tables: float) -> float:
    """Layers at which layers and tables, each as wide as their number says, come to `params`; by bisection."""
    low, high = 1.0, math.cbrt(params) + 1.0
    for _ in range(60):
        middle = (low + high) / 2.0
        width = middle * _WIDTH_LAYER
        more = middle * _SQUARES_LAYER * width**2 + tables * _VOCAB * width > params
        low, high = (low, middle) if more else (middle, high)
    return low
