"""Which number formats a model is served in: what was asked, or what the engine chooses and says why."""

from dataclasses import dataclass, field
from typing import Protocol

from service.sizing.architecture import ModelArchitecture
from service.sizing.hardware import GpuSpec
from service.sizing.inference.software import Software
from service.sizing.precision import BYTES_ELEMENT, Precision

_NARROW = frozenset({Precision.FP8, Precision.INT8, Precision.FP4})


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """Weights and KV cache; `why` is filled when the engine chose, and makes no difference."""

    weight: Precision
    kv: Precision
    why: str = field(default="", compare=False)

    @property
    def width(self) -> tuple[float, float]:
        """Bytes per element of weights and cache, by which formats are put in order."""
        return BYTES_ELEMENT[self.weight], BYTES_ELEMENT[self.kv]


class Asked(Protocol):
    """What of a workload says which formats it is served in."""

    @property
    def weight_precision(self) -> Precision:
        """Of the weights; `auto` leaves it to the engine."""

    @property
    def kv_precision(self) -> Precision:
        """Of the KV cache; `auto` leaves it to the engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFormats:
    """That alone: what workloads have in common that are served alike."""

    weight_precision: Precision
    kv_precision: Precision


def has_format(gpu: GpuSpec, precision: Precision) -> bool:
    """Whether the GPU multiplies this format; INT4 weights are unpacked to 16 bit."""
    return _dense_tflops(gpu, precision) is not None


def why_not(gpu: GpuSpec, precision: Precision) -> str:
    """Why nobody would serve in this format on the GPU; empty where it multiplies it no more slowly than 16 bit."""
    narrow, wide = _dense_tflops(gpu, precision), _dense_tflops(gpu, Precision.BF16)
    if narrow is None:
        return f"{gpu.id} does not multiply {precision}"
    if precision in _NARROW and wide is not None and narrow < wide:
        return f"{gpu.id} multiplies {precision} at {narrow:,g} TFLOPS, more slowly than 16 bit at {wide:,g}"
    return ""


def _dense_tflops(gpu: GpuSpec, precision: Precision) -> float | None:
    """The dense peak of what is multiplied; None where the GPU has none."""
    return {
        Precision.BF16: gpu.bf16_dense_tflops,
        Precision.FP16: gpu.fp16_dense_tflops or gpu.bf16_dense_tflops,
        Precision.FP8: gpu.fp8_dense_tflops,
        Precision.FP4: gpu.fp4_dense_tflops,
        Precision.INT8: gpu.int8_dense_tflops,
        Precision.INT4: gpu.bf16_dense_tflops or gpu.fp16_dense_tflops,
    }.get(precision)


def choose_formats(asked: Asked, architecture: ModelArchitecture, gpu: GpuSpec, *, software: Software) -> Formats:
    """The asked formats; for `auto`, the format the experts were published in, else FP8, else 16 bit."""
    weight, why = asked.weight_precision, ""
    if weight is Precision.AUTO:
        native = architecture.expert_native_precision
        if native in ("fp4", "mxfp4") and has_format(gpu, Precision.FP4):
            weight, why = Precision.FP4, f"the experts are published in {native} and the GPU multiplies FP4"
        elif has_format(gpu, Precision.FP8):
            weight, why = Precision.FP8, _WHY[Precision.FP8]
        else:
            weight, why = Precision.BF16, "the GPU has no FP8"
    return Formats(weight=weight, kv=_cache(weight, asked, architecture, software), why=why)


# Widest first; why a model may be served in it.
_WHY = {
    Precision.BF16: "16 bit keeps every digit of the weights",
    Precision.FP8: "the GPU multiplies FP8: half the bytes of 16 bit at little loss of quality",
    Precision.FP4: "a checkpoint in FP4 is published and the GPU multiplies FP4",
}


def formats_to_try(
    asked: Asked, architecture: ModelArchitecture, gpu: GpuSpec, *, software: Software, margin: float
) -> tuple[Formats, ...]:
    """What a sizing compares on this GPU: for `auto` every format of `_compared` that it multiplies; else the one
    format that `choose_formats` takes. `margin` is what a wider one may cost more, as a fraction: it is told.
    """
    compared = _compared(architecture)
    if asked.weight_precision is not Precision.AUTO or len(compared) < 2:
        return (choose_formats(asked, architecture, gpu, software=software),)
    rule = f"; of {', '.join(compared)} the widest that takes at most {margin:.0%} more than the one that takes least"
    return tuple(
        Formats(weight=weight, kv=_cache(weight, asked, architecture, software), why=_WHY[weight] + rule)
        for weight in compared
        if has_format(gpu, weight)
    )


def _compared(architecture: ModelArchitecture) -> tuple[Precision, ...]:
    """16 bit, FP8 and a published FP4, where it is known what is published; nothing wider than the experts are."""
    native, published = architecture.expert_native_precision, architecture.published_precisions
    if native in ("fp4", "mxfp4") or not published:
        return ()
    return tuple(
        weight
        for weight in _WHY
        if not (weight is Precision.BF16 and native == "fp8") and (weight is not Precision.FP4 or weight in published)
    )


def _cache(weight: Precision, asked: Asked, architecture: ModelArchitecture, software: Software) -> Precision:
    """As wide as the engine makes it by default: 8 bit only where checkpoints with narrow weights ask for it."""
    if asked.kv_precision is not Precision.AUTO:
        return asked.kv_precision
    narrow = weight in _NARROW and architecture.expert_native_precision != "mxfp4"
    return Precision.FP8 if narrow and software.narrow_cache else Precision.BF16
