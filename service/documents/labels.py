"""What people call quantities, fields and assumptions, by their names: the same on pages and on paper."""

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


def unit(name: str) -> str:
    """The unit that the name of a quantity ends in; empty for a pure number."""
    padded = f"_{name}"
    return next((word for ending, word in UNITS if padded.endswith(f"_{ending.lstrip('_')}")), "")


def label(name: str) -> str:
    """The name of a quantity or field in words, without its unit: memory_used_gb_gpu is "Memory used"."""
    plain = name
    for ending, _ in UNITS:
        tail = ending if ending.startswith("_") else f"_{ending}"
        if plain.endswith(tail) and plain != ending:
            plain = plain.removesuffix(tail)
            break
    words = [_SPELLED.get(word, word) for word in plain.replace("-", "_").split("_")]
    text = " ".join(words)
    return text[:1].upper() + text[1:]


def assumption_name(place: str) -> str:
    """What an assumption or a field is called: inference.memory_fraction.vllm is "Memory fraction, vllm"."""
    parts = [part for part in place.split(".") if part not in _AREAS]
    if not parts:
        return label(place)
    first, *others = parts
    return ", ".join([label(first), *(label(other).lower() if other.isalpha() else other for other in others)])
