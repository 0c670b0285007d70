"""Memory of inference against numbers worked out by hand."""

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import ModelLoad, model_load
from service.sizing.inference.memory import inference_memory, reserves_of, sequence_bytes, weight_bytes
from service.sizing.inference.software import software_of
from service.sizing.precision import BYTES_ELEMENT, Precision
from service.sizing.table import build_table
from service.sizing.workload import ServingEngine


def layouts(tp: int = 1, pp: int = 1, attention_dp: int = 1) -> InferenceLayouts:
    one = np.array
    ep = tp * attention_dp if attention_dp > 1 else 1
    return InferenceLayouts(server=one([0]), tp=one([tp]), pp=one([pp]), attention_dp=one([attention_dp]), ep=one([ep]))


def test_llama_8b_in_bf16_weighs_two_bytes_per_parameter(catalog: Catalog) -> None:
    load = model_load(catalog.models["llama-3.1-8b"].architecture, weight=Precision.BF16, kv=Precision.BF16)
    assert weight_bytes(load, layouts())[0] == pytest.approx(2 * 8.0303e9, rel=1e-4)


@pytest.mark.parametrize(
    ("model", "weight", "mixer"),
    [
        ("llama-3.1-70b", Precision.FP4, Precision.FP4),
        ("qwen3-235b-a22b", Precision.FP4, Precision.FP4),
        ("gpt-oss-120b", Precision.FP4, Precision.BF16),
        ("deepseek-v3", Precision.FP4, Precision.BF16),
        ("deepseek-v3", Precision.FP8, Precision.FP8),
        ("deepseek-v4-pro", Precision.FP4, Precision.FP8),
        ("kimi-k2.5", Precision.INT4, Precision.BF16),
        ("minimax-m2.5", Precision.FP4, Precision.BF16),
        ("gemma-4-31b", Precision.FP4, Precision.BF16),
        ("qwen3.6-35b-a3b", Precision.FP4, Precision.FP8),
        ("qwen3.6-35b-a3b", Precision.BF16, Precision.BF16),
    ],
)
def test_four_bit_checkpoints_of_experts_keep_wider_projections(catalog: Catalog, model, weight, mixer) -> None:
    load = model_load(catalog.models[model].architecture, weight=weight, kv=Precision.FP8)
    assert load.mixer_precision is mixer
    narrow = load.counts.mixer_params * BYTES_ELEMENT[mixer]
    ffns = (load.counts.dense_ffn_params + load.counts.shared_expert_params) * BYTES_ELEMENT[weight]
    rest = load.counts.router_params + load.counts.per_layer_params + load.counts.norm_params
    assert load.trunk_bytes == pytest.approx(narrow + ffns + 2 * rest)


@pytest.mark.parametrize(
    ("model", "weight", "multiplied"),
    [
        ("qwen3.6-35b-a3b", Precision.FP4, Precision.INT4),
        ("qwen3.6-35b-a3b", Precision.FP8, Precision.FP8),
        ("qwen3-235b-a22b", Precision.FP4, Precision.FP4),
    ],
)
def test_four_bit_weights_beside_16_bit_activations_are_unpacked(catalog: Catalog, model, weight, multiplied) -> None:
    load = model_load(catalog.models[model].architecture, weight=weight, kv=Precision.FP8)
    assert load.weight_precision is weight
    assert load.multiplied_precision is multiplied


def test_recurrent_state_is_held_as_often_as_the_engine_holds_it(catalog: Catalog) -> None:
    load = model_load(catalog.models["qwen3.5-397b-a17b"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    once, eight = (sequence_bytes(load, layouts(), context_tokens=1.0, state_copies=n)[0] for n in (1.0, 8.0))
    state = 4 * load.counts.state_elements_per_sequence + 2 * load.counts.conv_state_elements_per_sequence
    assert eight - once == pytest.approx(7 * state)


def test_experts_published_in_mxfp4_take_a_quarter_bit_less_than_other_four_bit_weights(catalog: Catalog) -> None:
    """One 8-bit scale for 32 values, against one for 16."""
    bits = {
        model: 8 * model_load(catalog.models[model].architecture, weight=Precision.FP4, kv=Precision.FP8).weight_bytes
        for model in ("gpt-oss-120b", "qwen3-235b-a22b")
    }
    assert bits == {"gpt-oss-120b": 4.25, "qwen3-235b-a22b": 4.5}


def test_sglang_keeps_most_of_the_cache_of_windowed_layers(catalog: Catalog) -> None:
    load = model_load(catalog.models["gemma-4-12b"].architecture, weight=Precision.BF16, kv=Precision.BF16)
    freed, shared = (
        sequence_bytes(load, layouts(), context_tokens=10_000.0, windowed_fraction=fraction)[0]
        for fraction in (0.0, 0.8)
    )
    elements = [(one.elements_per_token, one.window) for one in load.counts.kv_windowed]
    assert elements
    assert shared - freed == pytest.approx(2 * sum(each * (8000 - window) for each, window in elements))


def held_by_engine(catalog: Catalog, engine: ServingEngine, load: ModelLoad, *, isl_tokens: float) -> float:
    """Bytes that one sequence holds on a B200 server by this engine."""
    software = software_of(engine, None, catalog.calibration)
    server = next(server for server in catalog.hardware.servers if server.gpu == "b200-sxm")
    gpu = next(gpu for gpu in catalog.hardware.gpus if gpu.id == server.gpu)
    memory = inference_memory(
        load,
        layouts(),
        table=build_table((server,), (gpu,)),
        isl_tokens=isl_tokens,
        osl_tokens=0.0,
        software=software,
        reserves=reserves_of(software, catalog.calibration),
    )
    return float(memory.sequence[0])


@pytest.mark.parametrize(
    ("engine", "model", "fraction"),
    [
        (ServingEngine.SGLANG, "gemma-4-12b", 0.8),
        (ServingEngine.VLLM, "gemma-4-12b", 0.0),
        (ServingEngine.TENSORRT_LLM, "gpt-oss-120b", 1.0),
        # All of its layers are compressed, there is nothing to share out.
        (ServingEngine.SGLANG, "deepseek-v4-flash", 0.0),
    ],
)
def test_memory_holds_windows_as_the_engine_does(
    catalog: Catalog, engine: ServingEngine, model: str, fraction: float
) -> None:
    load = model_load(catalog.models[model].architecture, weight=Precision.BF16, kv=Precision.BF16)
    held = sequence_bytes(load, layouts(), context_tokens=10_000.0, windowed_fraction=fraction)
    assert held_by_engine(catalog, engine, load, isl_tokens=10_000.0) == pytest.approx(held[0])


@pytest.mark.parametrize(("model", "copies"), [("qwen3.6-27b", 12.0), ("nemotron-3-nano-30b-a3b", 1.0)])
def test_sglang_holds_copies_of_the_state_of_delta_rules_alone(catalog: Catalog, model: str, copies: float) -> None:
    load = model_load(catalog.models[model].architecture, weight=Precision.BF16, kv=Precision.BF16)
    held = sequence_bytes(load, layouts(), context_tokens=1000.0, state_copies=copies)
    assert held_by_engine(catalog, ServingEngine.SGLANG, load, isl_tokens=1000.0) == pytest.approx(held[0])


def test_kv_cache_of_llama_70b_is_160_kib_elements_per_token(catalog: Catalog) -> None:
    load = model_load(catalog.models["llama-3.1-70b"].architecture, weight=Precision.FP8, kv=Precision.BF16)
    # 80 layers x 2 x 8 KV heads x 128 = 163,840 elements of 2 bytes.
    assert sequence_bytes(load, layouts(), context_tokens=np.float64(1000))[0] == 163_840 * 2 * 1000
    assert sequence_bytes(load, layouts(tp=8), context_tokens=np.float64(1000))[0] == 163_840 * 2 * 1000 / 8


def test_kv_heads_are_copied_beyond_their_number(catalog: Catalog) -> None:
    load = model_load(catalog.models["llama-3.1-405b"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    eight = sequence_bytes(load, layouts(tp=8), context_tokens=np.float64(1000))[0]
    assert sequence_bytes(load, layouts(tp=16), context_tokens=np.float64(1000))[0] == eight


def test_a_latent_cache_is_whole_on_every_tensor_parallel_rank(catalog: Catalog) -> None:
    load = model_load(catalog.models["deepseek-v3"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    # 61 layers x (512 + 64) elements.
    assert sequence_bytes(load, layouts(tp=8), context_tokens=np.float64(1))[0] == 61 * 576


def test_experts_divide_over_attention_dp_and_the_trunk_does_not(catalog: Catalog) -> None:
    load = model_load(catalog.models["deepseek-v3"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    tables = 2 * (load.head_params + load.embedding_params)
    wide = weight_bytes(load, layouts(attention_dp=8))[0]
    assert wide == pytest.approx(load.trunk_bytes + load.expert_params / 8 + tables)


def test_a_window_bounds_the_cache(catalog: Catalog) -> None:
    load = model_load(catalog.models["gpt-oss-120b"].architecture, weight=Precision.FP4, kv=Precision.FP8)
    short, long = (sequence_bytes(load, layouts(), context_tokens=np.float64(n))[0] for n in (10_000, 20_000))
    assert long - short == load.counts.kv_elements_per_token * 10_000


def test_who_fills_gpus_with_weights_gives_the_engine_more_of_the_memory(catalog: Catalog) -> None:
    """DeepSeek in FP8 on four B200: the share that SGLang takes by default leaves nothing beside 168 GB of weights."""
    load = model_load(catalog.models["deepseek-v3"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    server = next(s for s in catalog.hardware.servers if s.gpu == "b200-sxm")
    table = build_table((server,), tuple(g for g in catalog.hardware.gpus if g.id == "b200-sxm"))
    software = software_of(ServingEngine.SGLANG, None, catalog.calibration)
    narrow, wide = (
        inference_memory(
            load,
            layouts(tp=tp),
            table=table,
            isl_tokens=8192,
            osl_tokens=1024,
            software=software,
            reserves=reserves_of(software, catalog.calibration),
        )
        for tp in (4, 8)
    )
    visible = table.memory_bytes[0]
    assert narrow.fixed[0] > visible * (software.memory_fraction - 0.05)
    assert 16.0 < narrow.sequences_gpu[0] < 64.0
    assert narrow.pool[0] <= narrow.usable[0]
    # Where it leaves enough it is what it is.
    assert wide.pool[0] == pytest.approx(visible * software.memory_fraction)


@pytest.mark.parametrize(
    ("engine", "gpu", "most"),
    [
        (ServingEngine.VLLM, "l40s", 256),
        (ServingEngine.VLLM, "h100-sxm", 1024),
        (ServingEngine.TENSORRT_LLM, "l40s", 2048),
    ],
)
def test_vllm_schedules_fewer_sequences_on_a_gpu_of_little_memory(
    catalog: Catalog, engine: ServingEngine, gpu: str, most: int
) -> None:
    server = next(server for server in catalog.hardware.servers if server.gpu == gpu)
    load = model_load(catalog.models["llama-3.1-8b"].architecture, weight=Precision.FP8, kv=Precision.FP8)
    software = software_of(engine, None, catalog.calibration)
    memory = inference_memory(
        load,
        layouts(),
        table=build_table((server,), (catalog.hardware.gpu(gpu),)),
        isl_tokens=128.0,
        osl_tokens=128.0,
        software=software,
        reserves=reserves_of(software, catalog.calibration),
    )
    assert memory.scheduled[0] == most
