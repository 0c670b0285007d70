"""Bytes per GPU of one model instance while it serves: weights, KV cache, state, activations, reserve."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.sizing.architecture import MixerKind
from service.sizing.calibration import Calibration
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ACTIVATION_BYTES, STATE_BYTES, ModelLoad
from service.sizing.inference.software import Software
from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import GB


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InferenceMemory:
    """Per candidate, bytes on the fullest GPU. `sequence` is the KV cache and state of one sequence held there.

    `usable` is what could be filled at most, `pool` what the serving engine takes for itself; it schedules `scheduled`
    sequences per attention rank at most, whatever room there is.
    """

    weights: FloatArray
    activations: FloatArray
    reserve: FloatArray
    sequence: FloatArray
    usable: FloatArray
    pool: FloatArray
    scheduled: FloatArray

    @property
    def fixed(self) -> FloatArray:
        """Everything but the sequences."""
        return self.weights + self.activations + self.reserve

    @property
    def sequences_gpu(self) -> FloatArray:
        """How many sequences fit beside the fixed parts (may be below one, or negative)."""
        return (self.pool - self.fixed) / self.sequence

    @staticmethod
    def together(each: Sequence["InferenceMemory"]) -> "InferenceMemory":
        """All of them, one after another."""
        if len(each) == 1:
            return each[0]
        names = InferenceMemory.__dataclass_fields__
        return InferenceMemory(**{name: np.concatenate([getattr(one, name) for one in each]) for name in names})

    def take(self, rows: IntArray) -> "InferenceMemory":
        """The candidates of these rows, in their order."""
        return InferenceMemory(
            weights=self.weights[rows],
            activations=self.activations[rows],
            reserve=self.reserve[rows],
            sequence=self.sequence[rows],
            usable=self.usable[rows],
            pool=self.pool[rows],
            scheduled=self.scheduled[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reserves:
    """What software leaves of the memory, and takes of it beside weights and sequences: numbers, or one per candidate.

    `memory_fraction` is the engine's own share of the visible memory, `usable_fraction` what could be filled at most.
    Where its own share leaves less than `least_cache_fraction` for sequences, operators give it more of what there is.
    """

    reserve_gb: Numeric
    chunk_tokens: Numeric
    usable_fraction: Numeric
    memory_fraction: Numeric
    least_cache_fraction: Numeric


def reserves_of(software: Software, calibration: Calibration) -> Reserves:
    """As the assumptions have it."""
    of = calibration.assumption
    return Reserves(
        reserve_gb=of("inference.framework_reserve_gb") + of("inference.cuda_graph_reserve_gb"),
        chunk_tokens=of("inference.prefill_chunk_tokens"),
        usable_fraction=of("inference.memory_usable_fraction"),
        memory_fraction=software.memory_fraction,
        least_cache_fraction=of("inference.least_cache_fraction"),
    )


def weight_bytes(load: ModelLoad, layouts: InferenceLayouts) -> FloatArray:
    """Weights [bytes per GPU]: trunk over tp x pp, experts over all GPUs, 16-bit tables of the fuller end stage."""
    trunk = load.trunk_bytes / (layouts.tp * layouts.pp)
    experts = load.expert_params * load.weight_bytes / layouts.gpus_instance
    tables = load.head_params + load.embedding_params
    # Tied tables count once; with a pipeline the two tables sit on different stages.
    staged = np.where(layouts.pp > 1, max(load.head_params, load.embedding_params), tables)
    return np.asarray(trunk + experts + ACTIVATION_BYTES * staged / layouts.tp, dtype=np.float64)


def sequence_bytes(
    load: ModelLoad,
    layouts: InferenceLayouts,
    *,
    context_tokens: Numeric,
    state_copies: float = 1.0,
    windowed_fraction: float = 0.0,
) -> FloatArray:
    """KV cache and recurrent state [bytes per sequence and GPU] at `context_tokens`.

    Layers with a window hold no more than it, but `windowed_fraction` of the context at least.
    GQA heads split over at most kv_heads GPUs; an MLA latent is whole on every tp rank.
    """
    counts = load.counts
    kept = counts.kv_elements_per_token * context_tokens
    for windowed in counts.kv_windowed:
        seen = np.minimum(context_tokens, windowed.window)
        kept = kept + windowed.elements_per_token * np.maximum(seen, windowed_fraction * context_tokens)
    shards = np.minimum(layouts.tp, max(1, counts.max_kv_heads))
    state = (
        STATE_BYTES * counts.state_elements_per_sequence + ACTIVATION_BYTES * counts.conv_state_elements_per_sequence
    )
    held = kept * load.kv_bytes / shards + state_copies * state / layouts.tp
    return np.asarray(held / layouts.pp, dtype=np.float64)


def _windowed_fraction(load: ModelLoad, software: Software) -> float:
    """Memory is shared out between layers with a window and such without, not where all layers are compressed."""
    compressed = any(mixer.compress_ratio for mixer in load.architecture.mixers)
    return 0.0 if compressed else software.windowed_cache_fraction


def _state_copies(load: ModelLoad, software: Software) -> float:
    """Only delta rules are kept more than once: 250 requests of Nemotron 3 ran side by side where copies leave 130."""
    mamba = any(mixer.kind is MixerKind.MAMBA2 for mixer in load.architecture.mixers)
    return 1.0 if mamba else software.state_copies


def activation_bytes(load: ModelLoad, layouts: InferenceLayouts, *, chunk_tokens: Numeric) -> FloatArray:
    """Working buffers [bytes per GPU] of one prefill chunk: residual stream, mixer and FFN inputs and outputs."""
    hidden = 6.0 * load.architecture.hidden
    wide = 2.0 * max(1.0, load.top_k) * load.widest_ffn / layouts.tp
    return np.asarray(ACTIVATION_BYTES * chunk_tokens * (hidden + wide), dtype=np.float64)


def inference_memory(
    load: ModelLoad,
    layouts: InferenceLayouts,
    *,
    table: HardwareTable,
    isl_tokens: float,
    osl_tokens: float,
    software: Software,
    reserves: Reserves,
) -> InferenceMemory:
    """All parts for every candidate, a sequence as large as it is in the mean while it runs."""
    visible = table.memory_bytes[layouts.server]
    sequence = sequence_bytes(
        load,
        layouts,
        context_tokens=isl_tokens + software.held_output_fraction * osl_tokens,
        state_copies=_state_copies(load, software),
        windowed_fraction=_windowed_fraction(load, software),
    )
    weights = weight_bytes(load, layouts)
    activations = activation_bytes(load, layouts, chunk_tokens=reserves.chunk_tokens)
    reserve = np.broadcast_to(np.asarray(reserves.reserve_gb * GB), visible.shape)
    usable = np.asarray(visible * reserves.usable_fraction)
    least = np.minimum(usable, weights + activations + reserve + reserves.least_cache_fraction * visible)
    return InferenceMemory(
        weights=weights,
        activations=activations,
        reserve=reserve,
        sequence=np.maximum(1.0, sequence),
        usable=usable,
        pool=np.maximum(visible * reserves.memory_fraction, least),
        scheduled=np.where(
            visible < software.small_memory_bytes, software.small_sequences, software.scheduled_sequences
        ),
    )
