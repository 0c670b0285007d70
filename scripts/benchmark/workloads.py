"""Workloads for a batch: as many as wanted, no two alike, 60 % inference, 20 % training, 20 % science."""

import copy
from typing import Any

from scripts.benchmark.questions import DENSE, LONGEST, SIZED, Example

_Base = tuple[Example, dict[str, Any]]
_BY_NAME = {example.name: example for example in SIZED}
_DEEPSEEK = _BY_NAME["inference-moe-deepseek-v3"]
# Three dense models to two of experts.
_INFERENCE: tuple[_Base, ...] = (
    (DENSE, {}),
    (DENSE, {"model": "llama-3.1-8b"}),
    (LONGEST, {}),
    (DENSE, {"model": "mistral-small-3-24b"}),
    (_DEEPSEEK, {}),
)
_TRAINING: tuple[_Base, ...] = tuple(
    (_BY_NAME[f"training-{name}"], {}) for name in ("pretrain-llama-3.1-8b", "lora-llama-3.1-70b")
)
_SCIENCE: tuple[_Base, ...] = tuple(
    (_BY_NAME[f"science-{name}"], {}) for name in ("folding-boltz-2", "dynamics-gromacs", "fluid-dynamics-roofline")
)
# Of ten in a row, so that every part of a batch has all kinds.
_TEN = "iitiisiits"
_KINDS = {"i": _INFERENCE, "t": _TRAINING, "s": _SCIENCE}
_READ = {example.name: example.document() for example in SIZED}


def workloads(count: int) -> list[dict[str, Any]]:
    """Requests that all ask something else; each has a name."""
    made, seen = [], dict.fromkeys(_KINDS, 0)
    for number in range(count):
        kind = _TEN[number % len(_TEN)]
        bases = _KINDS[kind]
        made.append(_varied(number, *bases[seen[kind] % len(bases)]))
        seen[kind] += 1
    return made


def _varied(number: int, example: Example, changes: dict[str, Any]) -> dict[str, Any]:
    """The example with other sizes: each differs a little from all others of its base."""
    document = copy.deepcopy(_READ[example.name])
    workload = document["workload"]
    workload.update(changes)
    factor = 0.5 + (number * 0.6180339887498949) % 1.0
    if workload["kind"] == "inference":
        workload["isl_tokens"] = round(500 + 3000 * factor) + number % 7
        workload["osl_tokens"] = 100 + number % 900
        workload["demand"] = {"requests_s": round(5 + 40 * factor + number / 1e5, 5)}
    elif workload["kind"] == "training":
        workload["tokens"] = round(workload["tokens"] * factor) + number
        # Trainings of one model, sequence and batch share their steps; nobody's batches have all of them in common.
        workload["seq_len_tokens"] = (4096, 8192)[number % 2]
        workload["global_batch_sequences"] *= (1, 2, 4, 8)[number // 10 % 4]
    else:
        for name in ("targets_day", "ns_day", "steps"):
            if name in workload:
                workload[name] = round(workload[name] * factor + number / 1e4, 4)
    document["name"] = f"workload {number}"
    return document
