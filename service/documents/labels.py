"""What people call quantities, fields and assumptions, by their names: the same on pages and on paper."""

import re

from service.documents.names import ASSUMPTIONS, LIMITS, NAMES, OWN_UNITS, PER_ENGINE

# How a quantity's name ends -> how its unit is written; longer endings first.
UNITS: tuple[tuple[str, str], ...] = (
    ("_tokens_s_gpu", "tokens/s per GPU"),
    ("_tokens_s_user", "tokens/s per user"),
    ("tokens_s_gpu", "tokens/s per GPU"),
    ("tokens_s_user", "tokens/s per user"),
    ("tokens_s", "tokens/s"),
    ("requests_s", "requests/s"),
    ("samples_s", "samples/s"),
    ("ns_day", "ns/day"),
    ("gb_s_gpu", "GB/s per GPU"),
    ("gb_s", "GB/s"),
    ("gbit_s", "Gbit/s"),
    ("tb_s", "TB/s"),
    ("gb_gpu", "GB per GPU"),
    ("_ms", "ms"),
    ("_days", "days"),
    ("_months", "months"),
    ("_fraction", "%"),
    ("_day", "per day"),
    ("_gb", "GB"),
    ("_tb", "TB"),
    ("_kwh_year", "kWh per year"),
    ("_kg_year", "kg per year"),
    ("_kwh", "kWh"),
    ("_kw", "kW"),
    ("_kg", "kg"),
    ("_w", "W"),
    ("_usd", "US$"),
    ("_min", "min"),
    ("_h", "h"),
    ("_s", "s"),
)

# What capital letters make of a word; all others are written as they stand.
_SPELLED = {
    "ttft": "TTFT", "tpot": "TPOT", "itl": "ITL", "mfu": "MFU", "gpu": "GPU", "gpus": "GPUs", "kv": "KV",
    "slo": "SLO", "isl": "ISL", "osl": "OSL", "pue": "PUE", "hbm": "HBM", "nvlink": "NVLink", "cpu": "CPU",
    "tflops": "TFLOPS", "fp4": "FP4", "fp8": "FP8", "fp16": "FP16", "fp32": "FP32", "fp64": "FP64", "tf32": "TF32",
    "bf16": "BF16", "int8": "INT8", "pcie": "PCIe", "tdp": "TDP", "mig": "MIG", "gib": "GiB", "hf": "HF", "co2": "CO2",
    "msa": "MSA", "lora": "LoRA", "nic": "NIC", "it": "IT", "moe": "MoE", "usd": "US$", "sku": "SKU", "id": "id",
    "orderable": "SKU known",
}  # fmt: skip
# Words of an id that are the area it belongs to, and no part of what it is called.
_AREAS = ("workload", "constraints", "deployment", "inference", "training", "science", "network", "facility", "storage")
_TAIL = re.compile(r"(ttft|tpot)_p(\d+(?:\.\d+)?)_(ms)")
# A space stands in no id.
_WORDS = re.compile(r"\s")


def unit(name: str) -> str:
    """The unit that the name of a quantity ends in; empty for a pure number."""
    if name in OWN_UNITS:
        return OWN_UNITS[name]
    padded = f"_{name}"
    return next((word for ending, word in UNITS if padded.endswith(f"_{ending.lstrip('_')}")), "")


def own_name(name: str) -> str | None:
    """What people call a quantity of an answer; None where nobody gave it a name of its own.

    A tail such as that of ttft_p95_ms is told as what it is of; words that the engine wrote as such stay.
    """
    if name in NAMES:
        return NAMES[name]
    if tail := _TAIL.fullmatch(name):
        known = NAMES.get(f"{tail[1]}_{tail[3]}")
        return None if known is None else f"{known.removesuffix(', mean')}, {tail[2]} of 100 requests"
    return f"{name[:1].upper()}{name[1:]}" if _WORDS.search(name) else None


def label(name: str) -> str:
    """The name of a quantity or field in words, without its unit: memory_used_gb_gpu is "Memory used"."""
    return own_name(name) or _taken_apart(name)


def limit_name(name: str) -> str:
    """What a limit is called, which has the name of the field that sets it."""
    return LIMITS.get(name) or label(name)


def _taken_apart(name: str) -> str:
    plain = name
    for ending, _ in UNITS:
        tail = ending if ending.startswith("_") else f"_{ending}"
        if plain.endswith(tail) and plain != ending:
            plain = plain.removesuffix(tail)
            break
    words = [_SPELLED.get(word, word) for word in plain.replace("-", "_").split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def own_assumption_name(place: str) -> str | None:
    """What people call an assumption, by its id; None where nobody gave it a name of its own."""
    first, *others = _parts(place)
    if first in PER_ENGINE and others:
        return ", ".join([ASSUMPTIONS[first], *others])
    return ASSUMPTIONS.get(".".join([first, *others]))


def _parts(place: str) -> list[str]:
    return [part for part in place.split(".") if part not in _AREAS] or [place]


def assumption_name(place: str) -> str:
    """What an assumption or a field is called: inference.memory_fraction.vllm is "Memory fraction, vllm"."""
    if own := own_assumption_name(place):
        return own
    first, *others = _parts(place)
    return ", ".join([label(first), *(label(other).lower() if other.isalpha() else other for other in others)])
