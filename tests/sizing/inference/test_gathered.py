"""Attention that gathers entries of a latent: what a token of a prompt has to do, and by which curve it is timed."""

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.inference.attention import AttentionFamily, attention_groups, gathered_work
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.lines import Lengths, lines_of
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.machine import Machine, machine_of
from service.sizing.inference.software import software_of
from service.sizing.operation import Operation
from service.sizing.precision import Precision
from service.sizing.table import table_of


def test_heads_are_cut_down_to_those_that_a_kernel_holds_and_the_indexer_not_at_all(catalog: Catalog) -> None:
    """DeepSeek-V3.2: 128 heads over a latent of 576 and 512 elements, 64 heads of 128 that score, 2,048 entries."""
    (group,) = attention_groups(catalog.models["deepseek-v3.2"].architecture)
    assert group.family is AttentionFamily.SPARSE
    scored = 2.0 * 64 * 128 * 4096
    attended = 2.0 * (576 + 512) * 2048
    for tp, heads in ((1, 128), (2, 64), (8, 64)):
        each = gathered_work(group, context_tokens=4096.0, tp=tp)
        assert each.flop == pytest.approx(heads * attended + scored)
        assert each.side_bytes == pytest.approx(2.0 * heads * (576 + 512))
        assert each.main_bytes == pytest.approx(4.0 * 4096)


def test_a_compressed_cache_without_an_indexer_writes_no_scores(catalog: Catalog) -> None:
    groups = attention_groups(catalog.models["deepseek-v4-flash"].architecture)
    assert {group.family for group in groups} == {AttentionFamily.COMPRESSED}
    scored = {group.stride: gathered_work(group, context_tokens=4096.0, tp=1).main_bytes for group in groups}
    assert scored[4.0] == pytest.approx(4.0 * 1024)
    assert scored[128.0] == 0.0


def on_one_server(catalog: Catalog, model: str) -> tuple[ModelLoad, Machine]:
    """A model in FP8 on eight B200."""
    table = table_of(catalog.hardware)
    load = model_load(catalog.models[model].architecture, weight=Precision.FP8, kv=Precision.FP8)
    server = np.array([next(row for row, gpu in enumerate(table.gpus) if gpu.id == "b200-sxm")])
    one = np.array([1])
    layouts = InferenceLayouts(server=server, tp=np.array([8]), pp=one, attention_dp=one, ep=one)
    software = software_of(None, None, catalog.calibration)
    return load, machine_of(load, layouts, software=software, table=table, calibration=catalog.calibration)


@pytest.mark.parametrize(("prompt", "family"), [(2048.0, "latent"), (2049.0, "sparse")])
def test_a_prompt_without_entries_to_choose_from_attends_to_all(catalog: Catalog, prompt: float, family: str) -> None:
    load, machine = on_one_server(catalog, "deepseek-v3.2")
    lengths = Lengths(query_tokens=1.0, context_tokens=prompt, prompt_tokens=prompt)
    ((_, line),) = lines_of(load, machine, lengths).context
    curves = machine.context[AttentionFamily(family)]
    assert line.unhidden.tolist() == np.broadcast_to(curves.unhidden, line.unhidden.shape).tolist()


def test_where_nobody_measured_gathering_it_takes_the_efficiency_of_attention_to_all(catalog: Catalog) -> None:
    book = catalog.calibration.curves
    found = book.curve(Operation.CONTEXT_COMPRESSED, "rtx-pro-6000-se", "sglang", (("fp8",), ("bf16",)))
    assert found.operation is Operation.CONTEXT_MLA
    measured = book.curve(Operation.CONTEXT_COMPRESSED, "b200-sxm", "sglang", (("fp8",), ("bf16",)))
    assert measured.operation is Operation.CONTEXT_COMPRESSED


@pytest.mark.parametrize(
    ("model", "family", "operation"),
    [
        ("gpt-oss-120b", AttentionFamily.NARROW, Operation.CONTEXT_NARROW),
        ("llama-3.1-8b", AttentionFamily.SOFTMAX, Operation.CONTEXT_ATTENTION),
        ("gemma-2-9b", AttentionFamily.WIDE, Operation.CONTEXT_WIDE),
    ],
)
def test_prompts_are_timed_by_the_kernels_for_the_width_of_a_head(
    catalog: Catalog, model: str, family: AttentionFamily, operation: Operation
) -> None:
    assert {group.family for group in attention_groups(catalog.models[model].architecture)} == {family}
    found = catalog.calibration.curves.curve(operation, "rtx-pro-6000-se", "tensorrt-llm", (("fp8",),))
    assert found.operation is operation
    assert found.median_error_fraction < 0.1
