"""Measured modules of attention that gathers entries of a latent -> what is left of them beside their products."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from scripts.calibration.measured_kernels import Measured
from service.sizing.architecture import Mixer, ModelArchitecture
from service.sizing.inference.attention import AttentionFamily, AttentionGroup, attention_groups, gathered_work
from service.sizing.inference.products import Cut, Part, Phase, Product, products_of
from service.sizing.operation import ANY_ENGINE, CurveBook, Formats, Operation, Work, curves_of
from service.sizing.table import FloatArray, HardwareTable
from service.sizing.units import MS

# What was measured, by the name it was published under; of each model the mixers of one layer kind.
_MODELS = {
    "deepseek-ai/DeepSeek-V4-Pro": "deepseek-v4-pro",
    "sgl-project/DeepSeek-V4-Pro-FP8": "deepseek-v4-pro",
    "sgl-project/DeepSeek-V4-Flash-FP8": "deepseek-v4-flash",
    "deepseek-ai/DeepSeek-V3.2": "deepseek-v3.2",
    "zai-org/GLM-5": "glm-5",
    "zai-org/GLM-5-FP8": "glm-5",
    "zai-org/GLM-5.2": "glm-5.2",
    "zai-org/GLM-5.2-FP8": "glm-5.2",
    "nvidia/GLM-5.2-NVFP4": "glm-5.2",
}
_OPERATIONS = {
    AttentionFamily.SPARSE: Operation.CONTEXT_SPARSE,
    AttentionFamily.COMPRESSED: Operation.CONTEXT_COMPRESSED,
}
_TABLES = {"dsa_context_module": 0, "dsv4_csa_context_module": 4, "dsv4_hca_context_module": 128}
_PRODUCTS: dict[str, Formats] = {
    "bfloat16": (("bf16",),),
    "fp8_block": (("fp8", "fp8_block"), ("bf16",)),
    "nvfp4": (("fp4",), ("bf16",)),
}
_ELEMENT = {"bfloat16": 2.0, "fp8_block": 1.0, "nvfp4": 0.5625}
_CACHES = {"bfloat16": "bf16", "fp8": "fp8", "fp8_e4m3": "fp8"}
# There SGLang computes compressed attention without a kernel for it, a hundred times slower than others.
_WITHOUT_KERNELS = frozenset({"rtx-pro-6000-se"})
# Modules were launched kernel by kernel: what takes less than that on the host says nothing of the GPU.
_LEAST_TOKENS, _MOST_TOKENS = 4096, 65_536
# What the products are estimated to leave is no measurement where it is a small part of the whole.
_LEAST_LEFT = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the modules are taken apart with: architectures, hardware and curves of products."""

    models: Mapping[str, ModelArchitecture]
    table: HardwareTable
    curves: CurveBook


def gathered_kernels(folder: Path, sources: Sources) -> Iterator[Measured]:
    """Every group of points that a curve of gathering is fitted on."""
    known = {gpu.id for gpu in sources.table.gpus} - _WITHOUT_KERNELS
    found: list[Measured] = []
    for name, ratio in _TABLES.items():
        rows = pd.read_parquet(folder / f"{name}.parquet")
        tokens = rows["batch_size"] * rows["isl"]
        rows = rows[(rows["step"] == 0) & (rows["latency"] > 0.0) & tokens.between(_LEAST_TOKENS, _MOST_TOKENS)]
        rows = rows[rows["gpu"].isin(known) & ~rows["kernel_source"].str.contains("skip_indexer")]
        shape = ["gpu", "engine", "kv_cache_dtype", "model", "gemm_type", "num_heads"]
        for (gpu, engine, cache, model, gemm, heads), points in rows.groupby(shape):
            module = _Module(gpu=gpu, engine=engine, cache=cache, model=model, gemm=gemm, heads=heads, ratio=ratio)
            found += _left(module, points, sources)
    for operation, gpu, precision in sorted({(m.operation, m.gpu, m.precision) for m in found}):
        own = [m for m in found if (m.operation, m.gpu, m.precision) == (operation, gpu, precision)]
        for engine in sorted({m.engine for m in own}):
            yield _together([m for m in own if m.engine == engine], engine)
        yield _together(own, ANY_ENGINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Module:
    gpu: str
    engine: str
    cache: str
    model: str
    gemm: str
    heads: int
    ratio: int


def _left(module: _Module, points: pd.DataFrame, sources: Sources) -> list[Measured]:
    """What a module takes beside its products; nothing of prompts that have no entries to choose from."""
    architecture = sources.models[_MODELS[module.model]]
    mixer = next(m for m in architecture.mixers if m.compress_ratio == module.ratio)
    one = replace(architecture, mixers=(_single(mixer),), ffns=())
    (group,) = attention_groups(one)
    tp = float(mixer.heads) / module.heads
    length = points["isl"].to_numpy(dtype=np.float64)
    tokens = points["batch_size"].to_numpy(dtype=np.float64) * length
    took = points["latency"].to_numpy(dtype=np.float64) * MS
    left = took - sum(_product_s(product, module, tokens, tp=tp, sources=sources) for product in _products(one))
    kept = (left > _LEAST_LEFT * took) & ((length > group.cap) | (group.family is AttentionFamily.COMPRESSED))
    if not kept.any():
        return []
    return [
        Measured(
            operation=_OPERATIONS[group.family],
            gpu=module.gpu,
            engine=module.engine,
            precision=_CACHES[module.cache],
            work=_work(group, length[kept], tokens[kept], tp=tp),
            took_s=left[kept],
        )
    ]


def _single(mixer: Mixer) -> Mixer:
    indexer = None if mixer.indexer is None else replace(mixer.indexer, layers=1)
    return replace(mixer, count=1, indexer=indexer)


def _products(one: ModelArchitecture) -> list[Product]:
    return [p for p in products_of(one) if p.part is not Part.HEAD and p.phase is not Phase.DECODE]


def _product_s(product: Product, module: _Module, tokens: FloatArray, *, tp: float, sources: Sources) -> FloatArray:
    columns = product.columns / (tp if product.cut is Cut.COLUMNS else 1.0)
    inner = product.inner / (tp if product.cut is Cut.ROWS else 1.0)
    row = next(i for i, gpu in enumerate(sources.table.gpus) if gpu.id == module.gpu)
    curves = curves_of(
        sources.curves,
        Operation.PRODUCT,
        table=sources.table,
        server=np.array([row]),
        engine=module.engine,
        formats=_PRODUCTS[module.gemm],
        peak_bytes_s=sources.table.bandwidth_bytes_s[[row]],
    )
    work = Work(
        flop=2.0 * tokens * columns * inner,
        main_bytes=columns * inner * _ELEMENT[module.gemm],
        side_bytes=2.0 * tokens * columns,
        depth=inner,
        input_bytes=2.0 * tokens * inner,
    )
    return np.asarray(curves.work_s(work)[0], dtype=np.float64)


def _work(group: AttentionGroup, length: FloatArray, tokens: FloatArray, *, tp: float) -> Work:
    each = gathered_work(group, context_tokens=0.5 * length, tp=tp)
    entries = np.minimum(0.5 * length / group.stride, group.cap) + np.minimum(0.5 * length, group.window)
    return Work(
        flop=tokens * each.flop, main_bytes=tokens * each.main_bytes, side_bytes=tokens * each.side_bytes, depth=entries
    )


def _together(these: list[Measured], engine: str) -> Measured:
    def joined(name: str) -> FloatArray:
        return np.concatenate([np.broadcast_to(getattr(m.work, name), m.took_s.shape) for m in these])

    return replace(
        these[0],
        engine=engine,
        work=Work(**{name: joined(name) for name in ("flop", "main_bytes", "side_bytes", "depth")}),
        took_s=np.concatenate([m.took_s for m in these]),
    )
