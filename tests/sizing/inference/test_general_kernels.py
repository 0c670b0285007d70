"""Experts of an engine that had no kernels of its own for the GPU yet: by its general ones, which take longer."""

import numpy as np
import pytest

from service.catalog.catalog import Catalog
from service.sizing.inference.layout import InferenceLayouts
from service.sizing.inference.load import model_load
from service.sizing.inference.machine import Machine, machine_of
from service.sizing.inference.software import software_of
from service.sizing.place import placed_server
from service.sizing.precision import Precision
from service.sizing.table import build_table
from service.sizing.workload import Deployment, ServingEngine

OLD, NEW = "2026-01", "2026-07"


def machine(
    catalog: Catalog,
    month: str,
    *,
    model: str,
    weight: Precision,
    gpu: str = "b200-sxm",
    engine: ServingEngine = ServingEngine.SGLANG,
) -> Machine:
    """One rank of tensor parallelism over eight GPUs."""
    server, placed, _ = placed_server(Deployment(gpu=gpu, gpus=8), catalog.hardware)
    one = np.ones(1, dtype=np.int64)
    return machine_of(
        model_load(catalog.models[model].architecture, weight=weight, kv=Precision.BF16),
        InferenceLayouts(server=0 * one, tp=8 * one, pp=one, attention_dp=one, ep=one),
        software=software_of(engine, month, catalog.calibration),
        table=build_table((server,), (placed,)),
        calibration=catalog.calibration,
    )


def launch_s(found: Machine) -> float:
    assert found.experts is not None
    return float(found.experts.launch_s[0, 0])


@pytest.mark.parametrize(("model", "weight"), [("qwen3-235b-a22b", Precision.BF16), ("qwen3-235b-a22b", Precision.FP8)])
def test_experts_of_an_older_release_take_longer_on_blackwell(catalog: Catalog, model: str, weight: Precision) -> None:
    old, new = (launch_s(machine(catalog, month, model=model, weight=weight)) for month in (OLD, NEW))
    curves, general = catalog.calibration.curves.curves, "sglang/general"
    precision = "bf16" if weight is Precision.BF16 else "fp8_block"
    assert old == pytest.approx(curves["experts", "b200-sxm", general, precision].launch_us * 1e-6)
    assert new == pytest.approx(curves["experts", "b200-sxm", "sglang", precision].launch_us * 1e-6)
    assert old > 1.3 * new


@pytest.mark.parametrize(
    ("model", "weight", "gpu", "engine"),
    [
        # Kernels for them came first.
        ("deepseek-v3", Precision.FP8, "b200-sxm", ServingEngine.SGLANG),
        ("qwen3-235b-a22b", Precision.FP4, "b200-sxm", ServingEngine.SGLANG),
        # On Hopper the general ones are still what SGLang has.
        ("qwen3-235b-a22b", Precision.BF16, "h200-sxm", ServingEngine.SGLANG),
        ("qwen3-235b-a22b", Precision.BF16, "b200-sxm", ServingEngine.VLLM),
    ],
)
def test_elsewhere_the_month_chooses_no_kernel(
    catalog: Catalog, model: str, weight: Precision, gpu: str, engine: ServingEngine
) -> None:
    old, new = (
        launch_s(machine(catalog, month, model=model, weight=weight, gpu=gpu, engine=engine)) for month in (OLD, NEW)
    )
    assert old == new
