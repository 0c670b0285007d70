"""The form of training or tuning a language model."""

from service.schemas.training import TrainingTargetSchema, TrainingWorkloadSchema
from service.sizing.kind import Kind
from service.web.form.field import Alternative, Form, FormField, Group, fields_of

_WORKLOAD = TrainingWorkloadSchema()
_TARGET = TrainingTargetSchema()
_WORDS = {
    "model": "Model",
    "method": "Method",
    "tokens": "Tokens to train on",
    "deadline_days": "Done within",
    "gpus": "GPUs",
    "budget_usd": "Budget",
    "precision": "Arithmetic",
    "precision_recipe": "Scaling of narrow formats",
    "seq_len_tokens": "Tokens of a sequence",
    "global_batch_sequences": "Sequences per step",
    "checkpoint_interval_min": "Checkpoint every",
    "dataset_tb": "Data set",
    "storage_gb_s": "Storage sustains",
    "lora_rank": "LoRA rank",
    "lora_targets": "LoRA adapts",
    "optimizer": "Optimizer states",
    "expert_imbalance_factor": "Busiest expert over mean",
}
_TARGETS = (("deadline_days", "A deadline"), ("gpus", "Given GPUs"), ("budget_usd", "A budget"))
INITIAL = {
    "workload.model": "llama-3.1-8b",
    "workload.method": "sft",
    "workload.tokens": "2e9",
    "workload.target": "deadline_days",
    "workload.target.deadline_days": "2",
}
"""What the form opens with."""


def _of_workload(*names: str) -> tuple[FormField, ...]:
    return fields_of(_WORKLOAD, "workload", *names, words=_WORDS)


FORM = Form(
    kind=Kind.TRAINING.value,
    title="Train or tune a language model",
    lead="How many GPUs finish in time?",
    fixed=(("workload.kind", Kind.TRAINING.value),),
    groups=(
        Group(title="What is trained", fields=_of_workload("model", "method", "tokens")),
        Group(
            title="What it must meet",
            path="workload.target",
            alternatives=tuple(
                Alternative(name=name, label=words, fields=fields_of(_TARGET, "workload.target", name, words=_WORDS))
                for name, words in _TARGETS
            ),
        ),
        Group(
            title="How it is trained",
            folded=True,
            fields=_of_workload(
                "precision",
                "seq_len_tokens",
                "global_batch_sequences",
                "lora_rank",
                "lora_targets",
                "optimizer",
                "precision_recipe",
                "expert_imbalance_factor",
                "checkpoint_interval_min",
                "dataset_tb",
                "storage_gb_s",
            ),
        ),
    ),
)
