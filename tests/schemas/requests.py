"""Bodies to change in one place: one of each kind, as callers write them."""

import copy
from typing import Any

CHAT: dict[str, Any] = {
    "name": "support-chat",
    "labels": {"team": "care"},
    "workload": {
        "kind": "inference",
        "model": "llama-3.3-70b",
        "weight_precision": "fp8",
        "kv_precision": "fp8",
        "isl_tokens": {"mean": 2048, "p95": 6000},
        "osl_tokens": {"mean": 300, "p95": 800},
        "demand": {"users": 5000, "requests_user_hour": 6, "peak_factor": 3},
        "slo": {"ttft_ms": 1000, "tpot_ms": 40, "percentile": 95},
        "prefix_cache_hit_fraction": 0.3,
        "serving": "auto",
        "speculative_decoding": {"draft_tokens": 3, "acceptance_fraction": 0.7},
        "availability": "n+1",
        "growth_fraction_year": 0.5,
        "horizon_months": 36,
    },
    "constraints": {
        "allowed_servers": ["poweredge-xe9780", "poweredge-xe7745"],
        "cooling": "air",
        "max_rack_kw": 40,
        "max_budget_usd": "6000000",
        "destination_country": "DE",
        "deliver_by": "2027-03-01",
        "min_confidence_fraction": 0.8,
    },
}
SMALL_CHAT: dict[str, Any] = {
    "workload": {
        "kind": "inference",
        "model": "llama-3.1-8b",
        "isl_tokens": 1000,
        "osl_tokens": 200,
        "demand": {"concurrency": 16},
    }
}
PRETRAIN: dict[str, Any] = {
    "workload": {
        "kind": "training",
        "model": "llama-3.1-8b",
        "method": "pretrain",
        "tokens": 2e12,
        "target": {"deadline_days": 30},
    }
}
FOLDING: dict[str, Any] = {
    "workload": {
        "kind": "science",
        "application": "boltz-2",
        "targets_day": 2000,
        "tokens": {"mean": 900, "p95": 1800},
        "seeds": 5,
        "msa": {"route": "mmseqs2-gpu", "unique_chains_per_target": 2},
    }
}
DYNAMICS: dict[str, Any] = {
    "workload": {"kind": "science", "application": "gromacs", "atoms": 1067000, "ns_day": 400, "replicas": 20}
}
FLUIDS: dict[str, Any] = {
    "workload": {
        "kind": "science",
        "application": "roofline",
        "precision": "fp64",
        "step_flop": 4e15,
        "step_bytes": 9e14,
        "resident_gb": 900,
        "steps": 2e6,
        "target": {"deadline_days": 3},
    }
}
ALL = {
    "chat": CHAT,
    "small chat": SMALL_CHAT,
    "pretrain": PRETRAIN,
    "folding": FOLDING,
    "dynamics": DYNAMICS,
    "fluids": FLUIDS,
}
ABSENT = object()


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy of the body with one field set, or taken out when the value is ABSENT."""
    copied = copy.deepcopy(body)
    node: Any = copied
    *parents, last = path.split(".")
    for parent in parents:
        node = node.setdefault(parent, {})
    if value is ABSENT:
        del node[last]
    else:
        node[last] = value
    return copied


def layered(layers: int, *, hidden: int = 512) -> dict[str, Any]:
    """A chat with a model of its own, written layer by layer: about 80 bytes each."""
    mixer = {"kind": "attention", "count": 1, "heads": 8, "kv_heads": 2, "head_dim": 64}
    model = {
        "layers": layers,
        "hidden": hidden,
        "vocab": 32000,
        # Alternating windows, so that no two neighbours are one.
        "mixers": [{**mixer, "window": 128 * (1 + place % 2)} for place in range(layers)],
        "ffns": [{"kind": "dense", "count": layers, "intermediate": 2048}],
    }
    return changed(SMALL_CHAT, "workload.model", model)
