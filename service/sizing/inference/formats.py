"""Which number formats a model is served in: what was asked, or what the engine chooses and says why."""

from dataclasses import dataclass

from service.sizing.architecture import ModelArchitecture
from service.sizing.hardware import GpuSpec
from service.sizing.inference.software import Software
from service.sizing.precision import Precision
from service.sizing.workload import InferenceWorkload

_NARROW = frozenset({Precision.FP8, Precision.INT8, Precision.FP4})


@dataclass(frozen=True, slots=True, kw_only=True)
class Formats:
    """Weights and KV cache; `why` is filled when the engine chose."""

    weight: Precision
    kv: Precision
    why: str = ""


def has_format(gpu: GpuSpec, precision: Precision) -> bool:
    """Whether the GPU multiplies this format; INT4 weights are unpacked to 16 bit."""
    peak = {
        Precision.BF16: gpu.bf16_dense_tflops,
        Precision.FP16: gpu.fp16_dense_tflops or gpu.bf16_dense_tflops,
        Precision.FP8: gpu.fp8_dense_tflops,
        Precision.FP4: gpu.fp4_dense_tflops,
        Precision.INT8: gpu.int8_dense_tflops,
        Precision.INT4: gpu.bf16_dense_tflops or gpu.fp16_dense_tflops,
    }.get(precision)
    return peak is not None


def choose_formats(
    workload: InferenceWorkload, architecture: ModelArchitecture, gpu: GpuSpec, *, software: Software
) -> Formats:
    """The asked formats; for `auto`, the format the experts were published in, else FP8, else 16 bit.

    A cache is as wide as the engine makes it by default: 8 bit only where checkpoints with narrow weights ask for it.
    """
    weight, why = workload.weight_precision, ""
    if weight is Precision.AUTO:
        native = architecture.expert_native_precision
        if native in ("fp4", "mxfp4") and has_format(gpu, Precision.FP4):
            weight, why = Precision.FP4, f"the experts are published in {native} and the GPU multiplies FP4"
        elif has_format(gpu, Precision.FP8):
            weight, why = Precision.FP8, "the GPU multiplies FP8: half the bytes of 16 bit at little loss of quality"
        else:
            weight, why = Precision.BF16, "the GPU has no FP8"
    kv = workload.kv_precision
    if kv is Precision.AUTO:
        narrow = weight in _NARROW and architecture.expert_native_precision != "mxfp4"
        kv = Precision.FP8 if narrow and software.narrow_cache else Precision.BF16
    return Formats(weight=weight, kv=kv, why=why)
