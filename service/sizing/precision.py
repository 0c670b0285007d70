"""Number formats, and how many bytes an element takes in memory."""

from enum import StrEnum


class Precision(StrEnum):
    """Number format of weights, KV cache or arithmetic. `auto` lets the engine choose and say why."""

    BF16 = "bf16"
    FP16 = "fp16"
    FP8 = "fp8"
    INT8 = "int8"
    FP4 = "fp4"
    INT4 = "int4"
    AUTO = "auto"
    FP64 = "fp64"
    FP32 = "fp32"
    TF32 = "tf32"


# FP4 and INT4 carry one FP8 scale for 16 values (NVFP4) or its like: 4.5 bits an element.
BYTES_ELEMENT: dict[Precision, float] = {
    Precision.BF16: 2.0,
    Precision.FP16: 2.0,
    Precision.FP8: 1.0,
    Precision.INT8: 1.0,
    Precision.FP4: 0.5625,
    Precision.INT4: 0.5625,
    Precision.FP64: 8.0,
    Precision.FP32: 4.0,
    Precision.TF32: 4.0,
}
