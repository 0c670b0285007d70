"""Which software a training ran on: a vendor's fused stack, or layers as a framework brings them."""

import re

from service.planning.rerun.unpublished import only_shards
from service.schemas.measured import MeasuredTraining

# Built on PyTorch's own layers and sharding, whatever else their names hold.
_PLAIN = re.compile(
    r"llm-foundry|composer|torchtitan|torchtune|torchao|litgpt|automodel|transformers|hugging ?face|accelerate|\btrl\b"
    r"|axolotl|llama-?factory|lightning|deepspeed|fsdp|colossal",
    re.IGNORECASE,
)
_FUSED = re.compile(r"nemo|megatron|transformer engine|nvidia|ngc|mxnet", re.IGNORECASE)


def is_plain_stack(run: MeasuredTraining) -> bool:
    """Whether layers trained as their framework brings them; who names no stack and only shards did so too."""
    software = run.deployment.software or ""
    if _PLAIN.search(software):
        return True
    return not _FUSED.search(software) and only_shards(run)
