"""The least time of a pass by the data sheet: no curve of measured kernels makes memory or tensor cores faster.

Kernels are measured on one matrix after another, some of which stay in the cache, on clocks of the day; a curve through
them may move weights faster than the memory does. A pass reads every weight that it multiplies from memory once.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.inference.load import ACTIVATION_BYTES, ModelLoad
from service.sizing.inference.machine import Machine
from service.sizing.inference.products import Cut, Part, Phase, Product
from service.sizing.numeric import Numeric
from service.sizing.operation import Work
from service.sizing.precision import Precision
from service.sizing.table import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PassLeast:
    """Seconds of one pass on the data sheet: of all that is multiplied with weights, and of attention."""

    multiplied: FloatArray
    attended: FloatArray

    @property
    def total(self) -> FloatArray:
        """One after the other [s]: attention needs what was multiplied before it."""
        return np.asarray(self.multiplied + self.attended, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpertsLeast:
    """Seconds on the data sheet of the routed experts of one pass: of their weights and of their FLOP."""

    read_s: Numeric = 0.0
    arithmetic_s: Numeric = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Least:
    """Seconds on the data sheet, (candidates, 1): of the weights, of the FLOP of a token by what it is there for, and
    of attention of one decoding sequence and of one token of a prompt.
    """

    weights_s: FloatArray
    token_s: FloatArray
    decode_token_s: FloatArray
    prefill_token_s: FloatArray
    sampled_token_s: FloatArray
    sequence_s: FloatArray
    prompt_token_s: FloatArray

    def pass_of(
        self, *, sequences: Numeric, decode: Numeric, prefill: Numeric, sampled: Numeric, experts: ExpertsLeast
    ) -> PassLeast:
        """As if reading hid multiplying whole, or the other way round; no weight is read twice."""
        read = self.weights_s + experts.read_s
        arithmetic = decode * (self.token_s + self.decode_token_s) + sampled * self.sampled_token_s
        arithmetic = arithmetic + prefill * (self.token_s + self.prefill_token_s) + experts.arithmetic_s
        return PassLeast(
            multiplied=np.maximum(read, arithmetic),
            attended=np.asarray(sequences * self.sequence_s + prefill * self.prompt_token_s, dtype=np.float64),
        )

    def pair_of(
        self,
        *,
        sequences: FloatArray,
        decode: FloatArray,
        prefill: FloatArray,
        sampled: FloatArray,
        experts: ExpertsLeast,
    ) -> tuple[PassLeast, PassLeast]:
        """The same of a pass without prompts and of one with them, whose `experts` lie side by side."""
        middle = decode.shape[1]
        decoded = decode * (self.token_s + self.decode_token_s)
        alone = decoded + decode * self.sampled_token_s
        mixed = decoded + sampled * self.sampled_token_s
        mixed += prefill * (self.token_s + self.prefill_token_s)
        attended = sequences * self.sequence_s
        read_alone = read_mixed = self.weights_s
        if isinstance(experts.read_s, np.ndarray) and isinstance(experts.arithmetic_s, np.ndarray):
            alone += experts.arithmetic_s[:, :middle]
            mixed += experts.arithmetic_s[:, middle:]
            read = self.weights_s + experts.read_s
            read_alone, read_mixed = read[:, :middle], read[:, middle:]
        return (
            PassLeast(multiplied=np.maximum(read_alone, alone), attended=attended),
            PassLeast(multiplied=np.maximum(read_mixed, mixed), attended=attended + prefill * self.prompt_token_s),
        )


def least_of(load: ModelLoad, machine: Machine, *, sequence: Work, prompt_token: Work) -> Least:
    """`sequence` and `prompt_token` are the attention of all layers for one of each."""
    attention = machine.peak_flop_s[load.kv_precision]
    products = load.products
    return Least(
        # What the absorbed products of MLA read in decode is what the others read in prefill.
        weights_s=_read_s(load, machine, [one for one in products if one.phase is not Phase.PREFILL]),
        token_s=_arithmetic_s(load, machine, [p for p in products if p.phase is None and p.part is not Part.HEAD]),
        decode_token_s=_arithmetic_s(load, machine, [p for p in products if p.phase is Phase.DECODE]),
        prefill_token_s=_arithmetic_s(load, machine, [p for p in products if p.phase is Phase.PREFILL]),
        sampled_token_s=_arithmetic_s(load, machine, [p for p in products if p.part is Part.HEAD]),
        sequence_s=np.maximum(sequence.main_bytes / machine.stream_bytes_s, sequence.flop / attention),
        prompt_token_s=np.asarray(prompt_token.flop / attention, dtype=np.float64),
    )


def part_precision(load: ModelLoad, part: Part) -> Precision:
    """The format of the weights of this part."""
    return {Part.MIXER: load.mixer_precision, Part.FFN: load.multiplied_precision}.get(part, Precision.BF16)


def _elements(machine: Machine, one: Product) -> FloatArray:
    return np.asarray(one.layers * one.columns * one.inner / np.where(one.cut is Cut.WHOLE, 1, machine.tp))


def _read_s(load: ModelLoad, machine: Machine, products: list[Product]) -> FloatArray:
    width = {Part.MIXER: load.mixer_bytes, Part.FFN: load.weight_bytes}
    moved = sum(_elements(machine, one) * width.get(one.part, ACTIVATION_BYTES) for one in products)
    return np.asarray(moved / machine.stream_bytes_s, dtype=np.float64)


def _arithmetic_s(load: ModelLoad, machine: Machine, products: list[Product]) -> FloatArray:
    took = np.zeros(machine.tp.shape)
    for one in products:
        took = took + 2.0 * _elements(machine, one) / machine.peak_flop_s[part_precision(load, one.part)]
    return took
