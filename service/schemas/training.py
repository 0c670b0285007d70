"""A training workload on the wire."""

from typing import Any

from marshmallow import fields, post_dump, validates_schema

from service.schemas.inference import MODEL_PRECISIONS
from service.schemas.model import ModelField
from service.schemas.strict import Amount, Choice, Count, Money, RecordSchema, drop_absent, require_exactly_one, some_of
from service.sizing.kind import Kind
from service.sizing.precision import Precision
from service.sizing.workload import (
    LoraTargets,
    Method,
    Optimizer,
    PrecisionRecipe,
    TrainingTarget,
    TrainingWorkload,
)

_TARGETS = ("deadline_days", "gpus", "budget_usd")
_OPTIONAL: dict[str, Any] = {"load_default": None, "allow_none": True}


class TrainingTargetSchema(RecordSchema):
    """What the training must meet: exactly one."""

    record = TrainingTarget
    conditions = some_of("oneOf", _TARGETS)

    deadline_days = Amount("Be done within so many days.", low=0.01, high=3650, **_OPTIONAL)
    gpus = Count("Use so many GPUs; the answer is the time.", low=1, high=200_000, **_OPTIONAL)
    budget_usd = Money("Spend at most so much; the answer is the time.", **_OPTIONAL)

    @validates_schema(pass_original=True)
    def _one(self, data: dict[str, Any], original: Any, **_: Any) -> None:
        require_exactly_one(original, _TARGETS)

    @post_dump
    def _chosen(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return drop_absent(data)


class TrainingWorkloadSchema(RecordSchema):
    """Training or tuning one language model."""

    record = TrainingWorkload

    kind = Choice("What kind of workload this is.", (Kind.TRAINING,), required=True)
    model = ModelField("An id or alias of the zoo, an inline architecture, or hf_config.", required=True)
    method = Choice("How the model is trained.", Method, required=True)
    tokens = Amount("Tokens to train on, over all epochs.", low=1e3, high=1e16, required=True)
    target = fields.Nested(TrainingTargetSchema, required=True, metadata={"description": "Exactly one kind of target."})
    precision = Choice("Number format of the matrix products.", MODEL_PRECISIONS, load_default=Precision.BF16)
    precision_recipe = Choice(
        "How a narrow format is scaled; auto is what most runs of the precision do.",
        PrecisionRecipe,
        load_default=PrecisionRecipe.AUTO,
    )
    seq_len_tokens = Count("Tokens of one training sequence.", low=1, high=10_000_000, load_default=4096)
    global_batch_sequences = Count(
        "Sequences per optimizer step. Left out: 1024, or the nearest number that given GPUs divide.",
        low=1,
        high=1_000_000,
        **_OPTIONAL,
    )
    checkpoint_interval_min = Amount("Minutes between checkpoints.", low=1, high=10_080, load_default=60.0)
    dataset_tb = Amount("Size of the data set.", low=1e-6, high=1e6, **_OPTIONAL)
    storage_gb_s = Amount(
        "What the storage sustains when checkpoints are written and read; left out, it is sized for them.",
        low=0.01,
        high=100_000,
        **_OPTIONAL,
    )
    lora_rank = Count("Rank of the adapters of lora and qlora.", low=1, high=4096, load_default=16)
    lora_targets = Choice(
        "Which matrices have adapters: all, experts included, or those of attention and other mixers alone.",
        LoraTargets,
        load_default=LoraTargets.ALL,
    )
    optimizer = Choice(
        "What AdamW keeps: FP32 master and moments, BF16 moments, BF16 or 8-bit moments without a master, or, with "
        "gradients applied layer by layer, 8-bit moments that are paged to host memory or states that lie there; auto "
        "is FP32, BF16 moments for mixture-of-experts models.",
        Optimizer,
        load_default=Optimizer.AUTO,
    )
    expert_imbalance_factor = Amount(
        "Tokens of the busiest expert rank over the mean: 1 is balance by force; a usual one where it is left out.",
        low=1.0,
        high=100.0,
        **_OPTIONAL,
    )
