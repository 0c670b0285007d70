"""Bytes per GPU while training: weights, gradients, optimizer, activations, logits, gathered layers, reserve.

Sources: Korthikanti et al. 2022 (arXiv 2205.05198) for activations and pipelines; Rajbhandari et al. 2020
(arXiv 1910.02054) for ZeRO; Narayanan et al. 2021 (arXiv 2104.04473) for interleaving. Arrays or scalars.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray, IntArray
from service.sizing.training.layouts import Layouts
from service.sizing.training.recipe import Recipe
from service.sizing.training.shape import Shape

_BF16 = 2.0
_ZERO1, _ZERO2, _ZERO3 = 1, 2, 3
# ZeRO-3 holds the layer at work and the one that is fetched ahead.
_GATHERED_LAYERS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Memory:
    """Bytes per part on the fullest GPU; the sum is `total`."""

    weights: FloatArray
    gradients: FloatArray
    optimizer: FloatArray
    activations: FloatArray
    logits: FloatArray
    gathered: FloatArray
    loading: FloatArray
    correction: FloatArray
    fragmentation: FloatArray
    reserve: FloatArray

    def take(self, rows: IntArray) -> Self:
        """The candidates of these rows."""
        return type(self)(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def computed(self) -> FloatArray:
        """What the formulas of the parts come to [bytes]."""
        stepping = self.weights + self.gradients + self.optimizer + self.activations + self.logits + self.gathered
        return stepping + self.loading

    @property
    def allocated(self) -> FloatArray:
        """What tensors take at the peak [bytes]: the formulas, and by how much measured peaks differ in the median."""
        return self.computed + self.correction

    @property
    def reserved(self) -> FloatArray:
        """What the framework's allocator holds for them [bytes], the gaps between them included."""
        return self.allocated + self.fragmentation

    @property
    def total(self) -> FloatArray:
        """What the GPU must have [bytes]: context, libraries and collective buffers stand beside the allocator."""
        return self.reserved + self.reserve


def stage_layers_fraction(layouts: Layouts, layers: Numeric) -> FloatArray:
    """Share of the layers on the fullest pipeline stage: whole layers per chunk, one more where they do not divide.

    Embedding and head count as a layer each where that makes the split even, as Megatron-LM allows.
    """
    chunks = layouts.pp * layouts.vpp
    whole = np.ceil(layers / chunks) * layouts.vpp / layers
    even_with_ends = np.mod(layers + 2.0, chunks) == 0
    return np.where(even_with_ends, np.minimum(whole, (layers + 2.0) / layouts.pp / layers), whole)


def params_gpu(layouts: Layouts, shape: Shape) -> tuple[FloatArray, FloatArray]:
    """Parameters on the fullest GPU before ZeRO: those shared by all data ranks, and those of the routed experts."""
    share = stage_layers_fraction(layouts, shape.layers)
    dense = shape.dense_params * share / layouts.tp + table_params_gpu(layouts, shape)
    routed = shape.routed_params * share / layouts.ep
    return dense, routed


def table_params_gpu(layouts: Layouts, shape: Shape) -> FloatArray:
    """Parameters of embedding and head on the GPU that holds most of them: both without a pipeline, else the larger."""
    both = np.asarray(shape.embedding_params + shape.head_params)
    larger = np.maximum(shape.embedding_params, shape.head_params)
    return np.where(layouts.pp > 1, larger, both) / layouts.tp


def trained_params_gpu(layouts: Layouts, shape: Shape, recipe: Recipe) -> tuple[FloatArray, FloatArray]:
    """As `params_gpu`, of what is trained: everything, or the adapters."""
    dense, routed = params_gpu(layouts, shape)
    adapters, expert_adapters = adapter_params(shape, recipe)
    share = stage_layers_fraction(layouts, shape.layers)
    return (
        np.where(recipe.is_adapter, adapters * share / layouts.tp, dense),
        np.where(recipe.is_adapter, expert_adapters * share / layouts.ep, routed),
    )


def adapter_params(shape: Shape, recipe: Recipe) -> tuple[FloatArray, FloatArray]:
    """Parameters of the adapters of the whole model: those that all data ranks share, and those of routed experts."""
    of_ffn = np.asarray(recipe.adapts_ffn, dtype=np.float64) * recipe.adapter_rank
    dense = shape.mixer_adapter_params_per_rank * recipe.adapter_rank + shape.ffn_adapter_params_per_rank * of_ffn
    return np.asarray(dense, dtype=np.float64), np.asarray(shape.routed_adapter_params_per_rank * of_ffn)


def expert_data_ranks(layouts: Layouts) -> FloatArray:
    """Copies of each expert: the GPUs of a stage divided by ep."""
    return np.maximum(1.0, layouts.tp * layouts.cp * layouts.dp / layouts.ep)


def _sharded(layouts: Layouts, stage: int, parts: tuple[FloatArray, FloatArray]) -> FloatArray:
    """Parameters per GPU after ZeRO of at least `stage`; context-parallel ranks share the shards too."""
    dense, routed = parts
    ranks = layouts.dp * layouts.cp
    return np.where(layouts.sharding >= stage, dense / ranks + routed / expert_data_ranks(layouts), dense + routed)


def activation_bytes(layouts: Layouts, shape: Shape, *, recipe: Recipe, micro_batches: IntArray) -> FloatArray:
    """Stored activations [bytes] of the first stage, which holds pp micro-batches (arXiv 2205.05198, eq. 2, 5, 6).

    Sequence parallelism divides everything by tp; interleaving holds 1 + (pp-1)/(pp vpp) times as much.
    """
    tokens = layouts.micro_batch * shape.seq_len_tokens / layouts.cp / layouts.tp
    # Frozen weights need no gradient, so the inputs of products without an adapter are not kept.
    unkept = shape.ffn_input_bytes_token * (1.0 - np.asarray(recipe.keeps_inputs, dtype=np.float64))
    saved = (shape.gemm_input_bytes_token - unkept) * (1.0 - recipe.stored_input_factor)
    # Stacks that split no layer are those whose norms and activations are plain ones.
    plain = recipe.unfused & (layouts.tp * layouts.pp * layouts.cp == 1)
    unfused = np.where(plain, shape.unfused_bytes_token, 0.0)
    none = shape.stored_bytes_token + unfused - unkept - saved
    lightest = shape.stored_selective_bytes_token - np.minimum(saved, shape.stored_selective_bytes_token / 4.0)
    some = none - recipe.selective_fraction * np.maximum(0.0, none - lightest)
    # Stacks as frameworks bring them recompute by operation, a layer at a time.
    by_operation = (layouts.recompute == 1) & np.asarray(recipe.plain_stack)
    selective = np.where(by_operation, np.minimum(some, shape.stored_listed_bytes_token), some)
    full = _BF16 * shape.stream_elements * shape.layers
    again = layouts.made_again
    kept = np.where(layouts.recompute == 1, selective, none)
    kept = kept + _adapter_input_bytes(layouts, shape, recipe=recipe)
    per_token = kept - again * (kept - full)
    share = stage_layers_fraction(layouts, shape.layers)
    in_flight = np.minimum(micro_batches, layouts.pp) * np.where(
        layouts.vpp > 1, 1.0 + (layouts.pp - 1) / (layouts.pp * layouts.vpp), 1.0
    )
    # Under full recompute, or one by operation, one layer at a time is rebuilt in full.
    rebuilt = np.where((again > 0.0) | by_operation, none / shape.layers, 0.0)
    return np.asarray(tokens * (per_token * share * in_flight + rebuilt), dtype=np.float64)


def _adapter_input_bytes(layouts: Layouts, shape: Shape, *, recipe: Recipe) -> FloatArray:
    """Inputs of adapters [bytes a token of the shard]: sequence parallelism gathers them, and they are kept whole.

    Those of a mixer and of a dense feed-forward part; what experts take is not split over the sequence.
    """
    adapted = shape.mixer_layers + shape.dense_ffn_layers * np.asarray(recipe.adapts_ffn, dtype=np.float64)
    gathered = _BF16 * shape.hidden * adapted * layouts.tp
    return np.where(recipe.is_adapter & (layouts.tp > 1), gathered, 0.0)


def logit_bytes(layouts: Layouts, shape: Shape, *, recipe: Recipe) -> FloatArray:
    """Logits and their gradient [bytes] of one micro-batch on the last stage, split over tp."""
    tokens = layouts.micro_batch * shape.seq_len_tokens / layouts.cp
    return np.asarray(
        tokens * shape.head_matmul_params / shape.hidden * recipe.logit_bytes / layouts.tp, dtype=np.float64
    )


def training_memory(
    layouts: Layouts,
    shape: Shape,
    *,
    recipe: Recipe,
    micro_batches: IntArray,
    measured_factor: float,
    reserve_bytes: float,
    collective_bytes: float,
    fragmentation_fraction: float,
    loads_whole: bool,
) -> Memory:
    """Bytes per part on the fullest GPU [bytes]; `measured_factor` is the median of measured over computed peaks.

    `loads_whole`: every GPU holds all of a stage's weights beside its shard and the layers in flight while they are
    loaded, and `loading` is what that takes beyond the peak of a step.
    """
    parts = params_gpu(layouts, shape)
    trained = trained_params_gpu(layouts, shape, recipe)
    zero3 = layouts.sharding >= _ZERO3
    # Narrow formats of frozen weights spare the vocabulary's tables.
    tables = _sharded(layouts, _ZERO3, (table_params_gpu(layouts, shape), np.zeros_like(parts[1])))
    frozen = _sharded(layouts, _ZERO3, parts) * recipe.frozen_bytes + tables * (_BF16 - recipe.frozen_bytes)
    frozen = frozen * recipe.frozen_copies
    activations = activation_bytes(layouts, shape, recipe=recipe, micro_batches=micro_batches)
    # The last stage holds one micro-batch and the logits, the first one all in flight: the larger counts.
    last = activations / np.maximum(1.0, np.minimum(micro_batches, layouts.pp))
    all_logits = logit_bytes(layouts, shape, recipe=recipe)
    logits = np.where(layouts.pp > 1, np.maximum(0.0, last + all_logits - activations), all_logits)
    routed = np.asarray(shape.routed_params) > 0
    layer_bytes = shape.largest_layer_params / layouts.tp * np.where(routed, 1.0 / layouts.ep, 1.0)
    gathered_bytes = np.where(recipe.is_adapter, recipe.frozen_bytes, recipe.weight_bytes)
    gathered = np.where(zero3 & (layouts.dp > 1), _GATHERED_LAYERS * layer_bytes * gathered_bytes, 0.0)
    weights = _sharded(layouts, _ZERO3, trained) * recipe.weight_bytes + frozen
    weights = np.where(zero3 & (layouts.dp > 1) & recipe.host_weights, 0.0, weights)
    gradients = _sharded(layouts, _ZERO2, trained) * recipe.gradient_bytes
    optimizer = _sharded(layouts, _ZERO1, trained) * recipe.optimizer_bytes
    stepping = weights + gradients + optimizer + activations + logits + gathered
    whole = (parts[0] + parts[1]) * gathered_bytes + weights + gathered
    loading = np.where(zero3 & (layouts.dp > 1) & loads_whole, np.maximum(0.0, whole - stepping), 0.0)
    used = stepping + loading
    return Memory(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        activations=activations,
        logits=logits,
        gathered=gathered,
        loading=loading,
        correction=np.asarray((measured_factor - 1.0) * used, dtype=np.float64),
        fragmentation=np.asarray(fragmentation_fraction * measured_factor * used, dtype=np.float64),
        reserve=reserve_bytes + np.where(layouts.gpus > 1, collective_bytes, 0.0),
    )
