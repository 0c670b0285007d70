"""Published runs as tests write them: one full line of each kind, and how to change it."""

import copy
from typing import Any

SERVED: dict[str, Any] = {
    "id": "test-0001",
    "kind": "inference",
    "scope": "timing",
    "split": "validation",
    "source": "test-tables",
    "published": "2026-03",
    "reference": "a page",
    "notes": "as fast as it gets",
    "system_as_published": "DGX B200",
    "latency_statistic": "mean",
    "workload": {
        "model": "llama-3.1-70b",
        "model_as_published": "Llama 3.1 70B",
        "weight_precision": "fp8",
        "kv_precision": "fp8",
        "isl_tokens": 1024.0,
        "osl_tokens": 1024.0,
        "speculative_decoding": False,
    },
    "deployment": {
        "gpu": "b200-sxm",
        "gpus": 8,
        "mode": "aggregated",
        "engine": "tensorrt-llm",
        "software": "TensorRT-LLM 1.2",
        "tp": 4,
        "pp": 1,
        "attention_dp": 1,
        "load": {"kind": "concurrency", "value": 64},
    },
    "measured": {"tpot_ms": 12.0, "ttft_ms": 300.0},
}
TRAINED: dict[str, Any] = {
    "id": "test-0002",
    "kind": "training",
    "scope": "timing",
    "split": "calibration",
    "source": "test-tables",
    "published": "2025-10",
    "reference": "a page",
    "notes": "mock data",
    "flop_convention": "causal_halved",
    "memory_statistic": "allocated",
    "workload": {
        "model": "llama-3.1-8b",
        "method": "pretrain",
        "precision": "bf16",
        "precision_as_published": "BF16",
        "seq_len_tokens": 8192,
        "global_batch_sequences": 128,
        "samples_to_target": 100_000.4,
    },
    "deployment": {
        "gpu": "h100-sxm",
        "gpu_as_published": "H100",
        "gpus": 8,
        "micro_batch": 1,
        "tp": 1,
        "pp": 1,
        "vpp": 1,
        "cp": 1,
        "ep": 1,
        "dp": 8,
        "sharding": "zero1",
        "recompute": "full",
    },
    "measured": {"tokens_s_gpu": 11000.0, "peak_memory_gb": 70.0},
}
FOLDED: dict[str, Any] = {
    "id": "test-0003",
    "kind": "science",
    "scope": "timing",
    "split": "validation",
    "source": "test-pages",
    "basis": "seen",
    "notes": "",
    "workload": {
        "application": "alphafold-3",
        "application_as_published": "AlphaFold 3",
        "model": "AF3",
        "stage": "inference",
        "tokens": 1024.0,
        "settings": "1 seed; defaults",
        "precision": "bf16 mixed",
    },
    "deployment": {"gpu": "h100-sxm", "gpu_as_published": "H100 80GB", "gpus": 1},
    "measured": {"elapsed_s": 34.0},
}
ABSENT = object()


def line(of: dict[str, Any] = SERVED, **changes: Any) -> dict[str, Any]:
    """A copy with changes; `deployment__load__value=4` reaches into it, ABSENT takes a field away."""
    changed = copy.deepcopy(of)
    for name, value in changes.items():
        *path, last = name.split("__")
        place = changed
        for part in path:
            place = place[part]
        if value is ABSENT:
            place.pop(last, None)
        else:
            place[last] = value
    return changed
