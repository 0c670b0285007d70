"""Time of all matrix products of one pass, stacked by the tokens that they multiply."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from service.sizing.inference.load import ACTIVATION_BYTES, ModelLoad
from service.sizing.inference.products import Cut, Part, Phase, Product
from service.sizing.numeric import EVERYWHERE, Present
from service.sizing.operation import Curves, Line
from service.sizing.table import FloatArray, IntArray

_FEW_NUMBERS = 1000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassTokens:
    """Tokens that multiply the weights of one pass, by what they are there for; (candidates, batches)."""

    decode: FloatArray
    prefill: FloatArray
    both: FloatArray
    sampled: FloatArray
    decoding: Present
    prompted: Present

    def of(self, phase: Phase | None, *, head: bool) -> FloatArray:
        """Those that a product sees: the head multiplies sampled tokens only."""
        if head:
            return self.sampled
        return {Phase.DECODE: self.decode, Phase.PREFILL: self.prefill, None: self.both}[phase]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairedTokens:
    """Tokens of a pass without prompts and of one with them; `both` and `sampled` hold the two side by side."""

    decode: FloatArray
    prefill: FloatArray
    both: FloatArray
    sampled: FloatArray
    decoding: Present
    prompted: Present


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Stack:
    """Products that see the same tokens, (products, candidates, 1), each counted as often as there are layers of it."""

    phase: Phase | None
    head: bool
    line: Line
    # All of them one after another, (candidates, 1): launches, and kernels that scale inputs, with theirs and by token.
    launch_s: FloatArray
    inputs_launch_s: FloatArray
    inputs_each_s: FloatArray

    each: tuple[Line, ...]

    def take(self, rows: IntArray) -> "_Stack":
        line = self.line.take(rows)
        return replace(
            self,
            line=line,
            launch_s=self.launch_s[rows],
            inputs_launch_s=self.inputs_launch_s[rows],
            inputs_each_s=self.inputs_each_s[rows],
            each=line.apart(),
        )

    def each_work_s(self, number: FloatArray) -> Iterator[FloatArray]:
        """The work of each product, one after another.

        Many numbers take a third of the time in two dimensions; for few, three dimensions take fewer calls.
        """
        if number.size < _FEW_NUMBERS:
            yield from self.line.work_s(number)
            return
        for line in self.each:
            yield line.work_s(number)

    def times_s(self, carried: PassTokens) -> Iterator[FloatArray]:
        there = self._there(decoding=carried.decoding, prompted=carried.prompted)
        for took in self.each_work_s(carried.of(self.phase, head=self.head)):
            yield there.only(took)

    def inputs_s(self, carried: PassTokens) -> FloatArray:
        there = self._there(decoding=carried.decoding, prompted=carried.prompted)
        return there.only(self.inputs_launch_s + carried.of(self.phase, head=self.head) * self.inputs_each_s)

    def launches_s(self, *, decoding: Present, prompted: Present) -> FloatArray:
        return self._there(decoding=decoding, prompted=prompted).only(self.launch_s)

    def _there(self, *, decoding: Present, prompted: Present) -> Present:
        """A product of a phase that the pass does not have is not launched."""
        if self.phase is None:
            return EVERYWHERE
        return decoding if self.phase is Phase.DECODE else prompted

    def add_paired_s(self, total: FloatArray, carried: PairedTokens) -> None:
        """Adds its products to two passes that lie side by side: prompts are in the second alone."""
        if self.phase is None:
            for took in self.each_work_s(carried.sampled if self.head else carried.both):
                total += took
            return
        middle = carried.decode.shape[1]
        tokens = carried.decode if self.phase is Phase.DECODE else carried.prefill
        there = self._there(decoding=carried.decoding, prompted=carried.prompted)
        for each in self.each_work_s(tokens):
            took = there.only(each)
            total[:, middle:] += took
            if self.phase is Phase.DECODE:
                total[:, :middle] += took


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProductTimes:
    """Every product of a model on every candidate."""

    stacks: tuple[_Stack, ...]

    def take(self, rows: IntArray) -> "ProductTimes":
        """The candidates of these rows, in their order."""
        return ProductTimes(stacks=tuple(stack.take(rows) for stack in self.stacks))

    def time_s(self, carried: PassTokens) -> FloatArray:
        """Time [s] of all of them, once they are launched."""
        # One after another: the order of a reduction may depend on the shape.
        each = [took for stack in self.stacks for took in stack.times_s(carried)]
        total: FloatArray = each[0].copy()
        for took in each[1:]:
            total += took
        return total

    def inputs_s(self, carried: PassTokens) -> FloatArray:
        """Time [s] of what is done to all inputs before they are multiplied: 8 and 4 bit are scaled.

        What launching a product takes longer than one in 16 bit is the launch of that.
        """
        total = self.stacks[0].inputs_s(carried)
        for stack in self.stacks[1:]:
            total = total + stack.inputs_s(carried)
        return total

    def launches_s(self, *, decoding: Present, prompted: Present) -> FloatArray:
        """Time [s] of all launches."""
        total: FloatArray = np.zeros((1, 1))
        for stack in self.stacks:
            total = total + stack.launches_s(decoding=decoding, prompted=prompted)
        return total

    def paired_s(self, carried: PairedTokens) -> FloatArray:
        """Time [s] of all of them in two passes side by side, summed in the order of `time_s`."""
        total = np.zeros(carried.both.shape)
        for stack in self.stacks:
            stack.add_paired_s(total, carried)
        return total


def product_times(load: ModelLoad, *, tp: IntArray, mixer: Curves, ffn: Curves, head: Curves) -> ProductTimes:
    """The products of a model as tensor parallelism cuts them; `tp` is shaped (candidates, 1) as the curves are."""
    curves = {Part.MIXER: mixer, Part.FFN: ffn}
    width = {Part.MIXER: load.mixer_bytes, Part.FFN: load.weight_bytes}
    alike: dict[tuple[Phase | None, bool], list[Product]] = {}
    for one in load.products:
        alike.setdefault((one.phase, one.part is Part.HEAD), []).append(one)
    return ProductTimes(
        stacks=tuple(
            _stack(
                products,
                [curves.get(one.part, head) for one in products],
                plain=head,
                phase=phase,
                head=is_head,
                width=[width.get(one.part, ACTIVATION_BYTES) for one in products],
                tp=tp,
            )
            for (phase, is_head), products in alike.items()
        )
    )


def _stack(
    products: list[Product],
    curves: list[Curves],
    *,
    plain: Curves,
    phase: Phase | None,
    head: bool,
    width: list[float],
    tp: IntArray,
) -> _Stack:
    columns, inner = _sides(products, tp)
    layers = np.array([float(one.layers) for one in products])[:, None, None]
    bytes_element = np.array(width)[:, None, None]
    launch_s, flop_s, bytes_s, unhidden, depth_s, side_weight, input_weight = (
        np.stack([getattr(curve, name) for curve in curves])
        for name in ("launch_s", "flop_s", "bytes_s", "unhidden", "depth_s", "side_weight", "input_weight")
    )
    alike_weight = np.stack([curve.alike_weight() for curve in curves])
    own_launch_s = np.minimum(launch_s, plain.launch_s)
    line = Line(
        launch_s=layers * own_launch_s,
        arithmetic_s=layers * depth_s * inner,
        arithmetic_each_s=layers * 2.0 * columns * inner / flop_s,
        traffic_s=layers * columns * inner * bytes_element / bytes_s,
        traffic_each_s=layers * ACTIVATION_BYTES * (side_weight * columns + alike_weight * inner) / bytes_s,
        unhidden=unhidden,
    )
    return _Stack(
        phase=phase,
        head=head,
        line=line,
        launch_s=_summed(line.launch_s),
        inputs_launch_s=_summed(layers * (launch_s - own_launch_s)),
        inputs_each_s=_summed(layers * input_weight * ACTIVATION_BYTES * inner / bytes_s),
        each=line.apart(),
    )


def _summed(each: FloatArray) -> FloatArray:
    """One after another: the order of a reduction may depend on the shape."""
    total: FloatArray = each[0]
    for one in each[1:]:
        total = total + one
    return total


def _sides(products: list[Product], tp: IntArray) -> tuple[FloatArray, FloatArray]:
    """Columns and inner sides as they are cut, (products, candidates, 1)."""
    columns, inner = np.array([[one.columns, one.inner] for one in products]).T[:, :, None, None]
    return (
        columns / np.where(_cut(products, Cut.COLUMNS), tp, 1),
        inner / np.where(_cut(products, Cut.ROWS), tp, 1),
    )


def _cut(products: list[Product], cut: Cut) -> FloatArray:
    return np.array([one.cut is cut for one in products])[:, None, None]
