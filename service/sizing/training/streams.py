"""What a residual stream of several widths costs: hyper-connections, as DeepSeek-V4 has them.

Each mixer and each feed-forward part reads all streams to norm and project them, again to sum them up into its input,
and again, with its output, to mix and write them: (3n + 1) widths read and (n + 1) written by fused kernels (Xie et al.
2025, arXiv 2512.24880, section 4.3), where a plain connection reads two and writes one. The backward pass moves twice
as much.
"""

from service.sizing.architecture import MixerKind, ModelArchitecture

# hc_mult of the published configurations of DeepSeek-V4.
_STREAMS = {MixerKind.DSV4: 4}
_BF16 = 2.0
_PASSES = 3.0
_PLAIN_WIDTHS = 3.0


def streams(architecture: ModelArchitecture) -> int:
    """Widths of the residual stream; one of all but models with hyper-connections."""
    return max((_STREAMS.get(mixer.kind, 1) for mixer in architecture.mixers), default=1)


def stream_stored_bytes_token(architecture: ModelArchitecture) -> float:
    """Bytes of one token that all layers keep of further streams: the input of each mixer and feed-forward part."""
    return _BF16 * (streams(architecture) - 1) * architecture.hidden * _connections(architecture)


def stream_moved_bytes_token(architecture: ModelArchitecture) -> float:
    """Bytes of one token that all layers move for further streams, forward and backward."""
    wide = streams(architecture)
    if wide == 1:
        return 0.0
    widths = (3.0 * wide + 1.0) + (wide + 1.0) - _PLAIN_WIDTHS
    return _BF16 * _PASSES * widths * architecture.hidden * _connections(architecture)


def _connections(architecture: ModelArchitecture) -> int:
    mixers = sum(mixer.count for mixer in architecture.mixers if mixer.kind is not MixerKind.NONE)
    return mixers + architecture.layers
