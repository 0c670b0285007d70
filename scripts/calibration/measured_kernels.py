"""Tables of measured kernels (Parquet, one per operation) -> the work of each point and the seconds it took."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from service.sizing.operation import ANY_ENGINE, Operation, Work
from service.sizing.table import BoolArray, FloatArray
from service.sizing.units import MS, US

_ELEMENT = {"bf16": 2.0, "fp8": 1.0, "fp8_block": 1.0, "fp4": 0.5625, "int4": 0.5625, "mxfp4": 0.5625}
_PRODUCT_FORMATS = {
    "bfloat16": "bf16",
    "fp8": "fp8",
    "fp8_block": "fp8_block",
    "nvfp4": "fp4",
    "int4_wo": "int4",
}
_EXPERT_FORMATS = _PRODUCT_FORMATS | {"w4a8_mxfp4_mxfp8": "mxfp4", "w4a16_mxfp4": "mxfp4"}
_CACHE_FORMATS = {"bfloat16": "bf16", "fp8": "fp8"}
# What serving never asks for would only bend the curves: slivers of matrices, contexts of a few tokens.
_LEAST_SIDE, _MOST_SIDE, _LEAST_ELEMENTS, _MOST_ROWS = 256, 20_000, 2**18, 16_384
_LEAST_CONTEXT, _MOST_CONTEXT_BATCH, _MOST_HEADS = 64, 65_536, 64
# Heads of each width have kernels of their own: under TensorRT-LLM on cards those of 64 and 256 elements run at less
# than half the rate of those of 128 in 8 bit, and one curve through all of them was wrong for each.
_CONTEXT_WIDTHS = {Operation.CONTEXT_ATTENTION: 128, Operation.CONTEXT_NARROW: 64, Operation.CONTEXT_WIDE: 256}
# Query heads that share one of the cache, at least. Those that share none, which hardly any model of today has, may be
# served by other kernels: by TensorRT-LLM on Hopper by such as take half as long again for the same bytes.
_LEAST_SHARED_HEADS = 2
_DISTRIBUTION = "power_law_1.01"
_LATENT, _ROPE, _NOPE, _VALUE = 512, 64, 128, 128
_STATE_BYTES = 4.0
# From a part of the residual stream of one token to that of the longest pass.
_HALF_BYTES, _LEAST_MESSAGE_BYTES, _MOST_MESSAGE_BYTES = 2.0, 5.0e2, 6.0e8
# Experts and how many of them a token takes, where they have no gate: Nemotron 3 Super and Ultra, and Nano.
_UNGATED_MANY, _UNGATED_FEW = (512, 22), (128, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Points of one operation on one GPU by one engine in one format, by one of the kernels that it has for it."""

    operation: Operation
    gpu: str
    engine: str
    precision: str
    work: Work
    took_s: FloatArray
    kernel: str = ""


Describe = Callable[[pd.DataFrame, str], Work]


def measured_kernels(folder: Path) -> Iterator[Measured]:
    """Every group of points that a curve is fitted on. Raises FileNotFoundError for a folder without the tables."""
    yield from _products(folder)
    yield from _attention(folder)
    yield from _latent(folder)
    yield from measured_experts(folder)
    yield from _recurrence(folder)
    yield from _all_reduce(folder)
    yield from _exchange(folder)


def _groups(
    operation: Operation, rows: pd.DataFrame, describe: Describe, *, unit: float = MS, pooled: bool = False
) -> Iterator[Measured]:
    rows = rows[rows["latency"] > 0.0]
    keys = ["gpu", "precision"] if pooled else ["gpu", "precision", "engine"]
    for found, points in rows.groupby(keys):
        gpu, precision = found[0], found[1]
        yield Measured(
            operation=operation,
            gpu=gpu,
            engine=ANY_ENGINE if pooled else found[2],
            precision=precision,
            work=describe(points, precision),
            took_s=points["latency"].to_numpy(dtype=np.float64) * unit,
        )


def _both(operation: Operation, rows: pd.DataFrame, describe: Describe, *, unit: float = MS) -> Iterator[Measured]:
    """By engine, and over all engines for those that did not measure a format."""
    yield from _groups(operation, rows, describe, unit=unit)
    yield from _groups(operation, rows, describe, unit=unit, pooled=True)


def _quickest(rows: pd.DataFrame, shape: list[str]) -> pd.DataFrame:
    """Of several kernels for one shape the quickest: an engine chooses it."""
    return rows.groupby(shape, as_index=False, dropna=False)["latency"].min()


def _columns(points: pd.DataFrame, *names: str) -> list[FloatArray]:
    return [points[name].to_numpy(dtype=np.float64) for name in names]


def _products(folder: Path) -> Iterator[Measured]:
    rows = pd.read_parquet(folder / "gemm.parquet")
    rows = rows.assign(precision=rows["gemm_dtype"].map(_PRODUCT_FORMATS)).dropna(subset=["precision"])
    sides = rows[["n", "k"]]
    usual = (sides.min(axis=1) >= _LEAST_SIDE) & (sides.max(axis=1) <= _MOST_SIDE) & (rows["m"] <= _MOST_ROWS)
    rows = rows[usual & (rows["n"] * rows["k"] >= _LEAST_ELEMENTS)]

    def work(points: pd.DataFrame, precision: str) -> Work:
        m, n, k = _columns(points, "m", "n", "k")
        return Work(
            flop=2.0 * m * n * k,
            main_bytes=n * k * _ELEMENT[precision],
            side_bytes=2.0 * m * n,
            depth=k,
            input_bytes=2.0 * m * k,
        )

    yield from _both(Operation.PRODUCT, rows, work)


def _window(points: pd.DataFrame, tokens: FloatArray) -> FloatArray:
    window = points["window_size"].to_numpy(dtype=np.float64)
    return np.where(window > 0.0, np.minimum(window, tokens), tokens)


def _attention(folder: Path) -> Iterator[Measured]:
    rows = pd.read_parquet(folder / "context_attention.parquet")
    rows = rows[(rows["isl"] >= _LEAST_CONTEXT) & (rows["batch_size"] * rows["isl"] <= _MOST_CONTEXT_BATCH)]
    # A narrow cache goes with narrow arithmetic where an engine has it.
    mixed = (rows["kv_cache_dtype"] == "fp8") & (rows["attn_dtype"] == "bfloat16") & (rows["engine"] != "vllm")
    rows = _usual_heads(rows[~mixed])
    for operation, width in _CONTEXT_WIDTHS.items():
        yield from _both(operation, rows[rows["head_dim"] == width], _context_work)
    rows = pd.read_parquet(folder / "generation_attention.parquet")
    shared = rows["num_heads"] >= _LEAST_SHARED_HEADS * rows["num_key_value_heads"]
    rows = rows[shared & (rows["step"] >= _LEAST_CONTEXT - 1)]
    yield from _both(Operation.GENERATION_ATTENTION, _usual_heads(rows), _generation_work)


def _usual_heads(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows.assign(
        precision=rows["kv_cache_dtype"].map(_CACHE_FORMATS), window_size=rows["window_size"].fillna(0.0)
    )
    rows = rows[rows["head_dim"].isin(_CONTEXT_WIDTHS.values()) & (rows["num_heads"] <= _MOST_HEADS)]
    shape = ["batch_size", "isl", "step", "num_heads", "num_key_value_heads", "head_dim", "window_size"]
    return _quickest(rows, ["gpu", "engine", "precision", *shape])


def _context_work(points: pd.DataFrame, precision: str) -> Work:
    batch, heads, kv_heads, width, tokens = _columns(
        points, "batch_size", "num_heads", "num_key_value_heads", "head_dim", "isl"
    )
    window = _window(points, tokens)
    pairs = window * (window + 1.0) / 2.0 + (tokens - window) * window
    return Work(
        flop=4.0 * batch * heads * width * pairs,
        main_bytes=2.0 * batch * kv_heads * width * tokens * _ELEMENT[precision],
        side_bytes=4.0 * batch * heads * width * tokens,
        depth=pairs / tokens,
    )


def _generation_work(points: pd.DataFrame, precision: str) -> Work:
    batch, heads, kv_heads, width, cached = _columns(
        points, "batch_size", "num_heads", "num_key_value_heads", "head_dim", "step"
    )
    context = _window(points, cached + 1.0)
    return Work(
        flop=4.0 * batch * heads * width * context,
        main_bytes=2.0 * batch * kv_heads * width * context * _ELEMENT[precision],
        side_bytes=4.0 * batch * heads * width,
        depth=context,
    )


def _latent(folder: Path) -> Iterator[Measured]:
    prefill = pd.read_parquet(folder / "context_mla.parquet")
    prefill = prefill[
        (prefill["isl"] >= _LEAST_CONTEXT) & (prefill["batch_size"] * prefill["isl"] <= _MOST_CONTEXT_BATCH)
    ]
    decode = pd.read_parquet(folder / "generation_mla.parquet")
    cached = _LATENT + _ROPE

    def prefill_work(points: pd.DataFrame, precision: str) -> Work:
        batch, heads, tokens = _columns(points, "batch_size", "num_heads", "isl")
        pairs, width = tokens * (tokens + 1.0) / 2.0, _NOPE + _ROPE + _VALUE
        return Work(
            flop=2.0 * batch * heads * width * pairs,
            main_bytes=batch * cached * tokens * _ELEMENT[precision],
            side_bytes=4.0 * batch * heads * width * tokens,
            depth=pairs / tokens,
        )

    def decode_work(points: pd.DataFrame, precision: str) -> Work:
        batch, heads, step = _columns(points, "batch_size", "num_heads", "step")
        context, width = step + 1.0, cached + _LATENT
        return Work(
            flop=2.0 * batch * heads * width * context,
            main_bytes=batch * cached * context * _ELEMENT[precision],
            side_bytes=2.0 * batch * heads * width,
            depth=context,
        )

    for operation, rows, work in (
        (Operation.CONTEXT_MLA, prefill, prefill_work),
        (Operation.GENERATION_MLA, decode, decode_work),
    ):
        named = rows.assign(precision=rows["kv_cache_dtype"].map(_CACHE_FORMATS))
        shape = ["gpu", "engine", "precision", "batch_size", "num_heads", "isl", "step"]
        yield from _both(operation, _quickest(named, shape), work)


def measured_experts(folder: Path) -> Iterator[Measured]:
    """Every kernel apart: models of one width bring different ones, and a curve through several fits none of them."""
    names = ["num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"]
    rows = pd.read_parquet(folder / "moe.parquet")
    # Whole on one rank or cut: what the busiest of several ranks took tells of the routing, not of the kernel.
    rows = rows[(rows["distribution"] == _DISTRIBUTION) & (rows["moe_ep_size"] == 1)]
    rows = rows.assign(precision=rows["moe_dtype"].map(_EXPERT_FORMATS)).dropna(subset=["precision"])
    gated = pd.Series(_gated(*_columns(rows, "topk", "num_experts")), index=rows.index)
    # Kernels without a gate stand for those with one only where an engine measured no other.
    rows = rows[gated | ~gated.groupby([rows["gpu"], rows["engine"], rows["precision"]]).transform("any")]
    rows = rows.assign(kernel=rows["kernel_source"].astype(str) + " " + rows["moe_dtype"].astype(str))
    rows = _quickest(rows, ["gpu", "engine", "precision", "kernel", *names])

    def work(points: pd.DataFrame, precision: str) -> Work:
        tokens, hidden, width, top_k, experts, cut, ranks = _columns(points, *names)
        routed = tokens * top_k / ranks
        touched = experts / ranks * _touched_fraction(tokens * top_k / experts)
        matrices = np.where(_gated(top_k, experts), 3.0, 2.0)
        matrix = matrices * hidden * width / cut
        return Work(
            flop=2.0 * matrix * routed,
            main_bytes=touched * matrix * _ELEMENT[precision],
            side_bytes=2.0 * routed * (2.0 * hidden + matrices * width / cut),
            padding_flop=2.0 * matrix * touched,
        )

    for kernel, points in rows.groupby("kernel"):
        for measured in _groups(Operation.EXPERTS, points, work):
            yield replace(measured, kernel=str(kernel))


def _touched_fraction(draws: FloatArray) -> FloatArray:
    """Share of experts that some token chose under the power law that routes here: popularities as an exponential's."""
    return np.asarray(draws / (1.0 + draws), dtype=np.float64)


def _gated(top_k: FloatArray, experts: FloatArray) -> BoolArray:
    """Whether an expert has a gate beside its two matrices: only those of Nemotron, known by their number, do not."""
    many = (experts == _UNGATED_MANY[0]) & (top_k == _UNGATED_MANY[1])
    few = (experts == _UNGATED_FEW[0]) & (top_k == _UNGATED_FEW[1])
    return np.asarray(~(many | few), dtype=np.bool_)


def _recurrence(folder: Path) -> Iterator[Measured]:
    """The short convolution and the delta rule together; of several kernels for one rule the quickest."""
    rows = pd.read_parquet(folder / "gdn.parquet")
    shape = ["phase", "batch_size", "seq_len", "num_k_heads", "head_k_dim", "num_v_heads", "head_v_dim"]
    key = ["gpu", "engine", *shape]
    convolution = rows["kernel_source"].str.contains("conv1d")
    quickest = [rows[part].groupby(key)["latency"].min() for part in (convolution, ~convolution)]
    whole = (quickest[0] + quickest[1]).dropna().rename("latency").reset_index().assign(precision="bf16")

    def work(points: pd.DataFrame, _precision: str) -> Work:
        batch, length, key_heads, key_width, heads, width = _columns(points, *shape[1:])
        tokens = np.where(points["phase"] == "generation", 1.0, length)
        state = heads * key_width * width
        return Work(
            flop=6.0 * state * batch * tokens,
            main_bytes=2.0 * _STATE_BYTES * state * batch,
            side_bytes=4.0 * batch * tokens * (key_heads * key_width + heads * width),
            depth=tokens,
        )

    for phase, operation in (
        ("context", Operation.CONTEXT_RECURRENCE),
        ("generation", Operation.GENERATION_RECURRENCE),
    ):
        yield from _both(operation, whole[whole["phase"] == phase], work)


def _all_reduce(folder: Path) -> Iterator[Measured]:
    custom = pd.read_parquet(folder / "custom_allreduce.parquet")
    custom = custom[~custom["kernel_source"].str.contains("eager")]
    library = pd.read_parquet(folder / "nccl.parquet")
    library = library[(library["op_name"] == "all_reduce") & (library["nccl_dtype"] == "half")]
    names = ["gpu", "engine", "num_gpus", "message_size", "latency"]
    # What engines measured goes first; the library's figures stand for GPUs that they did not measure.
    alone = library[~library["gpu"].isin(custom["gpu"].unique())]
    rows = pd.concat([custom[names], alone[names]]).assign(precision="bf16")
    rows = rows[(_HALF_BYTES * rows["message_size"]).between(_LEAST_MESSAGE_BYTES, _MOST_MESSAGE_BYTES)]

    def work(points: pd.DataFrame, _precision: str) -> Work:
        ranks, elements = _columns(points, "num_gpus", "message_size")
        return Work(
            flop=np.zeros_like(ranks),
            # The buffer; what of it moves is the curve's own (`Curves.reduce_work`).
            main_bytes=_HALF_BYTES * elements,
            depth=ranks - 1.0,
        )

    yield from _both(Operation.ALL_REDUCE, rows, work)


def _exchange(folder: Path) -> Iterator[Measured]:
    """One way of an all-to-all between expert ranks, the mean of dispatch and combine."""
    low = pd.read_parquet(folder / "wideep_deepep_ll.parquet")
    both_ways = (low["combine_avg_t_us"] + low["dispatch_avg_t_us"]) / 2.0
    peers = 8.0
    low = low.assign(tokens=low["num_token"], topk=low["num_topk"], ranks=peers, latency=both_ways * US / MS)
    wide = pd.read_parquet(folder / "trtllm_alltoall.parquet")
    wide = wide[wide["op_name"].isin(["alltoall_combine", "alltoall_dispatch"])]
    wide = wide.assign(tokens=wide["num_tokens"], ranks=wide["moe_ep_size"])
    names = ["gpu", "engine", "tokens", "topk", "ranks", "hidden_size", "latency"]
    rows = pd.concat([low[names], wide[names]]).assign(precision="bf16")

    def work(points: pd.DataFrame, _precision: str) -> Work:
        tokens, top_k, ranks, hidden = _columns(points, "tokens", "topk", "ranks", "hidden_size")
        copies = np.minimum(top_k, ranks)
        sent = 2.0 * tokens * hidden * copies * (ranks - 1.0) / ranks
        return Work(flop=np.zeros_like(sent), main_bytes=sent, depth=ranks - 1.0)

    yield from _groups(Operation.EXCHANGE, rows, work, pooled=True)
    # Cards without NVLink have no such kernel: the library's all-to-all over PCIe stands in.
    library = pd.read_parquet(folder / "nccl.parquet")
    library = library[(library["op_name"] == "alltoall") & (library["nccl_dtype"] == "half")]
    library = library[~library["gpu"].isin(rows["gpu"].unique())].assign(precision="bf16")

    def library_work(points: pd.DataFrame, _precision: str) -> Work:
        ranks, elements = _columns(points, "num_gpus", "message_size")
        return Work(flop=np.zeros_like(ranks), main_bytes=2.0 * (ranks - 1.0) / ranks * elements, depth=ranks - 1.0)

    yield from _groups(Operation.EXCHANGE, library, library_work, pooled=True)
