"""What is asked: the examples, every body that the document shows, and a stated sample of models, loads and limits."""

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_EXAMPLES = (".", "document/workloads")
_SERVED = ("llama-3.1-8b", "llama-3.3-70b", "qwen3-32b", "gpt-oss-120b", "deepseek-v3")
_LOADS = ({"requests_s": 1}, {"requests_s": 50}, {"concurrency": 256}, {"output_tokens_s": 200_000})
_SHAPES = ((512, 128), (4000, 500), (1000, 4000))
_SLOS = (None, {"ttft_ms": 1000, "tpot_ms": 30})
_TUNED = ("llama-3.1-8b", "llama-3.3-70b", "qwen3-32b")
_METHODS = (("pretrain", 1e12), ("sft", 1e9), ("lora", 1e8))
_TARGETS = ({"gpus": 64}, {"deadline_days": 30})
_LIMITS: tuple[dict[str, Any], ...] = ({}, {"cooling": "air", "max_rack_kw": 20}, {"max_racks": 1})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A body of POST /v1/workloads under a name that says where it is from."""

    name: str
    body: dict[str, Any]


def questions(examples: Path) -> Iterator[Question]:
    """Everything that is asked, in an order that stays."""
    for folder in _EXAMPLES:
        for path in sorted((examples / folder).glob("*.json")):
            yield Question(name=f"example/{path.stem}", body=json.loads(path.read_bytes()))
    yield from _served()
    yield from _trained()


def _served() -> Iterator[Question]:
    grid = itertools.product(_SERVED, enumerate(_LOADS), enumerate(_SHAPES), enumerate(_SLOS))
    for number, (model, (load, demand), (shape, (isl, osl)), (bound, slo)) in enumerate(grid):
        workload = {"kind": "inference", "model": model, "isl_tokens": isl, "osl_tokens": osl, "demand": demand}
        limits = _LIMITS[number % len(_LIMITS)]
        body = {"workload": workload | ({} if slo is None else {"slo": slo}), "constraints": limits}
        yield Question(name=f"inference/{model}/load {load}, shape {shape}, slo {bound}", body=body)


def _trained() -> Iterator[Question]:
    for model, (method, tokens), (place, target) in itertools.product(_TUNED, _METHODS, enumerate(_TARGETS)):
        workload = {"kind": "training", "model": model, "method": method, "tokens": tokens, "target": target}
        yield Question(name=f"training/{model}/{method}, target {place}", body={"workload": workload})
