"""Seconds of the rollouts of one reinforcement-learning step: every token of the longest answer reads the policy again.

Before it trains, each group of GPUs holds the policy and decodes its part of the sequences, all at once; the step waits
for the longest. Decoding is bound by what a token reads (policy and cache) and by the gaps of the layers.
"""

import numpy as np

from service.sizing.table import FloatArray, IntArray
from service.sizing.training.coefficients import StepCoefficients
from service.sizing.training.layouts import Layouts
from service.sizing.training.rates import Rates
from service.sizing.training.recipe import Recipe
from service.sizing.training.shape import Shape

_BF16 = 2.0
# The policy takes at most this share of the memory of the GPUs that decode together; the cache needs the rest.
_POLICY_FRACTION = 0.5


def rollout_s(
    layouts: Layouts, shape: Shape, *, recipe: Recipe, rates: Rates, rounds: IntArray, k: StepCoefficients
) -> FloatArray:
    """Decoding of the whole batch [s]: length x (layer gaps + bytes of a token / bandwidth) x a fitted factor."""
    policy = shape.total_params * recipe.multiplied_bytes
    alone = np.maximum(1.0, policy / (_POLICY_FRACTION * rates.memory_bytes))
    together = np.minimum(np.exp2(np.ceil(np.log2(alone))), layouts.gpus)
    sequences = layouts.dp * layouts.micro_batch * rounds * together / layouts.gpus
    chosen = np.maximum(shape.top_k, 1.0) / np.maximum(shape.experts, 1.0)
    touched = 1.0 - (1.0 - np.minimum(chosen, 1.0)) ** np.maximum(sequences, 1.0)
    routed = shape.routed_params * recipe.multiplied_bytes
    # On average half of the answer stands in the cache.
    cached = sequences * shape.seq_len_tokens / 2.0 * shape.attention_kv_elements_token * _BF16
    read = (policy - routed * (1.0 - touched) + cached) / together
    token_s = shape.layers * k.rollout_gap_s + read / rates.bandwidth_bytes_s
    return np.asarray(k.rollout_factor * shape.seq_len_tokens * token_s, dtype=np.float64)
