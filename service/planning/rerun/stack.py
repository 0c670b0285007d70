"""Which software a training ran on: a vendor's fused stack, or layers as a framework brings them."""

import re

from service.planning.rerun.unpublished import TUNED, only_shards
from service.schemas.measured import MeasuredTraining

# Built on PyTorch's own layers and sharding, whatever else their names hold.
_PLAIN = re.compile(
    r"llm-foundry|composer|torchtitan|torchtune|torchao|litgpt|automodel|transformers|hugging ?face|accelerate|\btrl\b"
    r"|axolotl|llama-?factory|lightning|deepspeed|fsdp|colossal",
    re.IGNORECASE,
)
_FUSED = re.compile(r"nemo|megatron|transformer engine|nvidia|ngc|mxnet", re.IGNORECASE)


# Layers of AutoModel's own models take attention, norms and rotations of Transformer Engine wherever it is installed
# (its BackendConfig); what else PyTorch brings is the same.
_VENDOR_KERNELS = re.compile(r"automodel|transformer engine", re.IGNORECASE)


# Tools that compute the loss of tuning in chunks as they come, from the year of the release that does so first:
# torchtune 0.3 of September 2024; Unsloth and the kernels of Liger (arXiv 2410.10989) from August 2024 on.
_CHUNKED, _CHUNKED_SINCE_YEAR = re.compile(r"torchtune|unsloth|liger", re.IGNORECASE), 2024.66


def chunks_loss(run: MeasuredTraining, software_years: float) -> bool:
    """Whether the loss of a run's tuning is computed in chunks under software of a (fractional) year."""
    chunked = _CHUNKED.search(run.deployment.software or "")
    return chunked is not None and run.workload.method in TUNED and software_years >= _CHUNKED_SINCE_YEAR


def has_vendor_kernels(run: MeasuredTraining) -> bool:
    """Whether layers as a framework brings them have a vendor's kernels for attention, norms and rotations."""
    return is_plain_stack(run) and _VENDOR_KERNELS.search(run.deployment.software or "") is not None


def is_plain_stack(run: MeasuredTraining) -> bool:
    """Whether layers trained as their framework brings them; who names no stack and only shards did so too."""
    software = run.deployment.software or ""
    if _PLAIN.search(software):
        return True
    return not _FUSED.search(software) and only_shards(run)
