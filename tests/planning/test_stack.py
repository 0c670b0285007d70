"""Which software a training ran on decides whose kernels it is predicted with."""

import pytest

from service.planning.rerun.stack import chunks_loss, has_vendor_kernels, is_plain_stack
from service.planning.rerun.training import evaluate_training, training_metrics
from service.sizing.interval import Interval
from service.sizing.workload import Method, Sharding
from tests.planning.test_unpublished import CATALOG, run


@pytest.mark.parametrize(
    ("software", "sharding", "plain"),
    [
        ("Composer/llm-foundry (torch<2 tables as stated)", Sharding.ZERO3, True),
        ("torchtitan", None, True),
        ("NGC PyTorch Release 24.01 Deepspeed N1", None, True),
        # A name that holds a vendor's, and vendors' stacks that only shard.
        ("NeMo Automodel", None, True),
        ("NeMo 26.06 / Megatron-Bridge", Sharding.ZERO3, False),
        ("PyTorch NVIDIA Release 23.09", None, False),
        # Who names nothing and only shards trains as PyTorch does it.
        (None, Sharding.ZERO3, True),
        (None, None, False),
    ],
)
def test_software_that_is_named_or_only_shards_tells_the_stack(
    software: str | None, sharding: Sharding | None, plain: bool
) -> None:
    assert is_plain_stack(run(workload={}, deployment={"software": software, "sharding": sharding})) is plain


@pytest.mark.parametrize(("software", "vendors"), [("NeMo Automodel", True), ("torchtitan", False), ("NeMo", False)])
def test_a_framework_may_bring_a_vendor_s_kernels(software: str, *, vendors: bool) -> None:
    assert has_vendor_kernels(run(workload={}, deployment={"software": software})) is vendors


@pytest.mark.parametrize(
    ("software", "method", "year", "chunked"),
    [
        ("torchtune", Method.LORA, 2025.0, True),
        ("torchtune", Method.SFT, 2024.5, False),
        ("torchtune", Method.PRETRAIN, 2025.0, False),
        ("TRL with Liger kernels", Method.SFT, 2025.0, True),
        ("litgpt", Method.LORA, 2025.0, False),
        (None, Method.LORA, 2025.0, False),
    ],
)
def test_tools_that_tune_compute_their_loss_in_chunks_from_a_release_on(
    software: str | None, method: Method, year: float, *, chunked: bool
) -> None:
    one = run(workload={"method": method}, deployment={"software": software})
    assert chunks_loss(one, year) is chunked


def pace_of(software: str) -> Interval:
    lengths = {"seq_len_tokens": 8192, "global_batch_sequences": 64}
    deployment = {"gpus": 8, "tp": 1, "pp": 1, "dp": 8, "sharding": Sharding.ZERO3, "software": software}
    one = run(workload=lengths, deployment=deployment)
    return training_metrics(one, evaluate_training(CATALOG, one))["tokens_s_gpu"].interval


def test_a_framework_s_own_layers_are_slower_and_less_certain() -> None:
    plain, fused = pace_of("torchtitan"), pace_of("NeMo")
    assert plain.p50 < 0.95 * fused.p50
    assert plain.p90 / plain.p10 > fused.p90 / fused.p10
