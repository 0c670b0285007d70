"""Time of all matrix products of one pass: each is two straight lines in its tokens, arithmetic and traffic."""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.load import ACTIVATION_BYTES, ModelLoad
from service.sizing.inference.products import Cut, Part, Phase, Product
from service.sizing.operation import Curves
from service.sizing.table import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassTokens:
    """Tokens that multiply the weights of one pass, by what they are there for; (candidates, batches)."""

    decode: FloatArray
    prefill: FloatArray
    sampled: FloatArray

    def stacked(self) -> FloatArray:
        """Those of each phase, in the order of `_tokens_of`."""
        return np.stack(np.broadcast_arrays(self.decode + self.prefill, self.decode, self.prefill, self.sampled))


def _tokens_of(product: Product) -> int:
    """The head multiplies sampled tokens only."""
    if product.part is Part.HEAD:
        return 3
    return {None: 0, Phase.DECODE: 1, Phase.PREFILL: 2}[product.phase]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProductTimes:
    """Every product on every candidate, stacked (products, candidates, 1), in seconds and seconds per token.

    A product takes launch + the longer of arithmetic (`depth_s` + tokens x `token_s`) and traffic (`weights_s` + tokens
    x `moved_s`) + the unhidden share of the shorter, as its curve says; there are `layers` of it.
    """

    layers: tuple[int, ...]
    tokens: IntArray
    launch_s: FloatArray
    token_s: FloatArray
    depth_s: FloatArray
    moved_s: FloatArray
    weights_s: FloatArray
    unhidden: FloatArray

    def take(self, rows: IntArray) -> "ProductTimes":
        """The candidates of these rows, in their order."""
        return ProductTimes(
            layers=self.layers,
            tokens=self.tokens,
            launch_s=self.launch_s[:, rows],
            token_s=self.token_s[:, rows],
            depth_s=self.depth_s[:, rows],
            moved_s=self.moved_s[:, rows],
            weights_s=self.weights_s[:, rows],
            unhidden=self.unhidden[:, rows],
        )

    def time_s(self, carried: PassTokens) -> FloatArray:
        """Time [s] of all of them; a product without tokens is not launched."""
        tokens = carried.stacked()[self.tokens]
        arithmetic = self.depth_s + tokens * self.token_s
        traffic = self.weights_s + tokens * self.moved_s
        took = self.launch_s + np.maximum(arithmetic, traffic) + self.unhidden * np.minimum(arithmetic, traffic)
        took = np.where(tokens > 0.0, took, 0.0)
        # One after another: the order of a reduction may depend on the shape.
        total = self.layers[0] * took[0]
        for layers, one in zip(self.layers[1:], took[1:], strict=True):
            total = total + layers * one
        return np.asarray(total, dtype=np.float64)


def product_times(load: ModelLoad, *, tp: IntArray, mixer: Curves, ffn: Curves, head: Curves) -> ProductTimes:
    """The products of a model as tensor parallelism cuts them; `tp` is shaped (candidates, 1) as the curves are."""
    products = load.products
    curves = [{Part.MIXER: mixer, Part.FFN: ffn}.get(one.part, head) for one in products]
    width = {Part.MIXER: load.mixer_bytes, Part.FFN: load.weight_bytes}

    def column(values: list[float]) -> FloatArray:
        return np.array(values, dtype=np.float64)[:, None, None]

    def stacked(name: str) -> FloatArray:
        return np.stack([getattr(curve, name) for curve in curves])

    columns = column([one.columns for one in products]) / np.where(_cut(products, Cut.COLUMNS), tp, 1)
    inner = column([one.inner for one in products]) / np.where(_cut(products, Cut.ROWS), tp, 1)
    bytes_s = stacked("bytes_s")
    return ProductTimes(
        layers=tuple(one.layers for one in products),
        tokens=np.array([_tokens_of(one) for one in products], dtype=np.int64),
        launch_s=stacked("launch_s"),
        token_s=2.0 * columns * inner / stacked("flop_s"),
        depth_s=stacked("depth_s") * inner,
        moved_s=stacked("side_weight") * ACTIVATION_BYTES * (columns + inner) / bytes_s,
        weights_s=columns * inner * column([width.get(one.part, ACTIVATION_BYTES) for one in products]) / bytes_s,
        unhidden=stacked("unhidden"),
    )


def _cut(products: tuple[Product, ...], cut: Cut) -> FloatArray:
    return np.array([one.cut is cut for one in products])[:, None, None]
