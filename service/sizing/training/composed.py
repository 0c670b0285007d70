"""What layers move whose norms, rotations and gates are composed of many small kernels, as PyTorch runs them unasked.

A root-mean-square norm is cast to 32 bits, squared, averaged, scaled, cast back and weighed in kernels apart: 36 bytes
an element forward and 72 backward (read and written, by counting kernels). A rotation of queries and keys in 32-bit
complex numbers takes 20 each way, a gate 10 and 18. Layers as a compiler or a vendor fuses them move what is stored
about three times, which is counted beside; here stands the rest. Norms came in one kernel with PyTorch 2.9 (October
2025, github.com/pytorch/pytorch/pull/153666). torchtitan, torchtune, TRL and llm-foundry compile nothing unless asked.
"""

from service.sizing.architecture import Ffn, FfnKind, Mixer, MixerKind, ModelArchitecture

# Beyond what a fused layer moves of the same element, forward and backward [bytes].
_NORM, _ROTATION, _GATE = 95.0, 33.0, 8.0
_NORMS_LAYER = 2.0
FORWARD_FRACTION = 1.0 / 3.0
"""Share of it that a forward pass moves, and so one that is made again."""


def norm_bytes_token(architecture: ModelArchitecture) -> float:
    """Bytes of one token that norms of all layers move when they are composed; layer norms are one kernel everywhere.

    Architectures with gates have root-mean-square norms, those without layer norms.
    """
    gated = sum(f.count for f in architecture.ffns if f.gated and f.kind is not FfnKind.NONE)
    return _NORMS_LAYER * _NORM * architecture.hidden * gated


def composed_bytes_token(architecture: ModelArchitecture) -> float:
    """Bytes of one token that rotations and gates of all layers move when they are composed."""
    if not any(f.gated and f.kind is not FfnKind.NONE for f in architecture.ffns):
        return 0.0
    rotated = sum(m.count * _rotated(m) for m in architecture.mixers)
    return _ROTATION * rotated + _GATE * sum(f.count * _gates(f) for f in architecture.ffns)


def _rotated(mixer: Mixer) -> float:
    """Elements of queries and keys of one layer that are rotated; of a latent its rotary part alone."""
    if mixer.kind is MixerKind.MLA:
        return float((mixer.heads + 1) * mixer.qk_rope_head_dim)
    if mixer.kind is MixerKind.ATTENTION:
        return float((mixer.heads + mixer.kv_heads) * mixer.head_dim)
    return 0.0


def _gates(ffn: Ffn) -> float:
    """Gates of one token in one layer."""
    if not ffn.gated or ffn.kind is FfnKind.NONE:
        return 0.0
    if ffn.kind is FfnKind.DENSE:
        return float(ffn.intermediate)
    return float(ffn.top_k * ffn.intermediate + ffn.shared_intermediate + (ffn.dense_parallel_intermediate or 0))
