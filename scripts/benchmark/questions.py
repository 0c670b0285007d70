"""What is measured: documented examples, one of each kind, and a fixed deployment."""

from dataclasses import dataclass
from typing import Any

import orjson

from config.environment import ROOT

_EXAMPLES = ROOT / "config" / "examples"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A file of config/examples and what it is an example of."""

    kind: str
    name: str

    def body(self) -> bytes:
        """The request, as it is posted."""
        return (_EXAMPLES / f"{self.name}.json").read_bytes()

    def document(self) -> dict[str, Any]:
        """The request, to be changed."""
        document: dict[str, Any] = orjson.loads(self.body())
        return document


DENSE = Example(kind="inference, dense (Llama 3.3 70B)", name="inference-chat-llama-3.3-70b")
# Of the examples the one with the longest answer, so that no figure of HTTP is flattered by a short one.
LONGEST = Example(kind="inference, MoE (gpt-oss 120B)", name="inference-agents-gpt-oss-120b")
SIZED = (
    DENSE,
    LONGEST,
    Example(kind="inference, MoE (DeepSeek V3)", name="inference-moe-deepseek-v3"),
    Example(kind="training, pre-training (Llama 3.1 8B)", name="training-pretrain-llama-3.1-8b"),
    Example(kind="training, LoRA (Llama 3.1 70B)", name="training-lora-llama-3.1-70b"),
    Example(kind="science, folding (Boltz-2)", name="science-folding-boltz-2"),
    Example(kind="science, dynamics (GROMACS)", name="science-dynamics-gromacs"),
    Example(kind="science, fluid dynamics (roofline)", name="science-fluid-dynamics-roofline"),
)


def estimate_body() -> bytes:
    """The dense example on eight GPUs; an estimate has no demand."""
    workload = {name: value for name, value in DENSE.document()["workload"].items() if name != "demand"}
    deployment = {"gpu": "b200-sxm", "gpus": 8, "tp": 8, "load": {"kind": "concurrency", "value": 64}}
    return orjson.dumps({"workload": workload, "deployment": deployment})
