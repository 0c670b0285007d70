"""Collective times on the real fabric: inside the scale-up domain and between servers; arrays or scalars.

Every function takes `sent_bytes` per GPU, the number of ranks, and the one-direction bandwidth per GPU that they share.
Source: Thakur, Rabenseifner, Gropp 2005, "Optimization of collective communication operations in MPICH".
"""

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.table import FloatArray


def span_bytes_s(
    *, ranks: Numeric, domain_gpus: Numeric, scale_up_bytes_s: Numeric, scale_out_bytes_s: Numeric
) -> FloatArray:
    """Bandwidth [bytes/s] per GPU that a group of neighbouring ranks sees: the scale-up link while it fits inside."""
    return np.where(ranks <= domain_gpus, scale_up_bytes_s, scale_out_bytes_s)


def span_latency_s(*, ranks: Numeric, domain_gpus: Numeric, scale_up_s: float, scale_out_s: float) -> FloatArray:
    """Latency [s] of one collective step of a group of neighbouring ranks."""
    return np.where(ranks <= domain_gpus, scale_up_s, scale_out_s)


def all_gather_s(*, sent_bytes: Numeric, ranks: Numeric, bytes_s: Numeric, latency_s: Numeric) -> FloatArray:
    """All-gather or reduce-scatter [s] of a buffer of `sent_bytes` in total: (n-1)/n of it crosses each link."""
    share = (ranks - 1) / ranks
    return np.where(ranks > 1, latency_s + share * sent_bytes / bytes_s, 0.0)


def all_to_all_s(*, sent_bytes: Numeric, ranks: Numeric, bytes_s: Numeric, latency_s: Numeric) -> FloatArray:
    """All-to-all [s]: each rank keeps 1/n of its `sent_bytes` and sends the rest."""
    share = (ranks - 1) / ranks
    return np.where(ranks > 1, latency_s + share * sent_bytes / bytes_s, 0.0)


def point_to_point_s(*, sent_bytes: Numeric, bytes_s: Numeric, latency_s: Numeric) -> FloatArray:
    """One message [s] to a neighbour: a pipeline hand-over, a KV-cache transfer."""
    return np.asarray(latency_s + sent_bytes / bytes_s, dtype=np.float64)


def reduced_share(peers: Numeric, *, spread: Numeric = 1.0) -> FloatArray:
    """What an all-reduce of a large buffer moves over a link, over the buffer itself: 2 (n-1) / n to a power.

    Rings move just that, the power is 1. Switches that sum spare a part of it to many ranks, and two alone do not fill
    their links: below 1. Cards share the way through the host, the more of them the less there is for each: above.
    """
    return np.asarray((2.0 * peers / (peers + 1.0)) ** spread, dtype=np.float64)


def direct_bytes(sent_bytes: Numeric, *, peers: Numeric, half_bytes: Numeric) -> FloatArray:
    """What a rank sends beyond its share of a buffer [bytes]: all of a small one to every peer, of large ones no more.

    One-shot all-reduces move n - 1 buffers in one go, two-shot ones 2 (n-1)/n of one; engines and libraries change from
    one to the other in steps, about `half_bytes`, which this smooths.
    """
    return np.asarray(peers * sent_bytes * half_bytes / (sent_bytes + half_bytes), dtype=np.float64)
