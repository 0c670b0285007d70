"""Nothing is faster than the data sheet: the law of every scientific job whose FLOP or bytes are known."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.errors import PlannerError
from service.sizing.precision import Precision
from service.sizing.science.arithmetic import product_fraction
from service.sizing.science.describe import describe
from service.sizing.science.performance import Rows, job_rates, performance
from service.sizing.science.workload import LatticeWorkload, SequenceTrainingWorkload
from service.sizing.table import table_of
from tests.sizing.science.jobs import estimated, roofline, sized

RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FORMATS = ("fp64", "fp32", "tf32", "bf16", "fp16", "fp8", "fp4", "int8")
GPUS = ("b200-sxm", "b300-sxm", "gb300", "h200-nvl", "h100-sxm", "l40s", "rtx-pro-6000-se", "rtx-4090", "gb10", "l4")
ROUNDED = 1.0 + 1e-9


def _spec(catalog, gpu):
    return next(one for one in catalog.hardware.gpus if one.id == gpu)


def _peak_flop_s(spec, precision):
    figures = [getattr(spec, f"{precision}_dense_tflops")]
    if precision == "fp64":
        figures.append(spec.fp64_tensor_dense_tflops)
    known = [one for one in figures if one]
    return max(known) * 1e12 if known else None


def _intervals(estimate):
    return {metric.name: metric.interval for metric in estimate.metrics}


@RELAXED
@given(
    application=st.sampled_from(["gemm", "roofline"]),
    precision=st.sampled_from(FORMATS),
    gpu=st.sampled_from(GPUS),
    gpus=st.sampled_from([1, 2, 8, 64]),
    work=st.tuples(st.floats(1e9, 1e18), st.floats(1.0, 1e15), st.sampled_from([0.0, 1e9])),
)
def test_arithmetic_and_traffic_stay_under_the_data_sheet(  # noqa: PLR0917 - what is drawn
    application, precision, gpu, gpus, work, catalog
):
    (flop, moved, halo), spec = work, _spec(catalog, gpu)
    peak = _peak_flop_s(spec, precision)
    if peak is None:
        return
    asked = roofline(application=application, precision=Precision(precision), step_flop=flop, step_bytes=moved)
    found = _intervals(
        estimated(replace(asked, halo_bytes=halo, resident_gb=1.0, steps=1e6), catalog, gpu=gpu, gpus=gpus)
    )

    for value in (found["tflops"].p10, found["tflops"].p50, found["tflops"].p90):
        assert value * 1e12 <= gpus * peak * ROUNDED
    for value in (found["steps_s"].p10, found["steps_s"].p50, found["steps_s"].p90):
        assert value * moved <= gpus * spec.memory_bandwidth_tb_s * 1e12 * ROUNDED
    assert found["elapsed_s"].p10 <= found["elapsed_s"].p50 <= found["elapsed_s"].p90


@pytest.mark.parametrize("precision", FORMATS)
def test_the_middle_of_a_matrix_product_lies_under_the_peak(precision, catalog):
    variant = catalog.applications["gemm"].variant(precision)

    for gpu in catalog.hardware.gpus:
        assert 0.3 < product_fraction(variant, gpu, catalog.calibration.curves) < 0.99, gpu.id


def test_products_of_a_gpu_whose_kernels_reach_less_are_slower(catalog):
    """Per peak: an RTX PRO 6000 sustains more of its own than a B200, which power binds."""
    variant = catalog.applications["gemm"].variant("bf16")
    card, module = (
        product_fraction(variant, _spec(catalog, gpu), catalog.calibration.curves)
        for gpu in ("rtx-pro-6000-se", "b200-sxm")
    )
    assert module < card


def test_what_is_moved_for_the_inputs_of_a_product_takes_its_time_here_too(catalog):
    variant, book = catalog.applications["gemm"].variant("bf16"), catalog.calibration.curves
    weighed = {key: replace(curve, input_weight=curve.input_weight + 2.0) for key, curve in book.curves.items()}

    before, after = (
        product_fraction(variant, _spec(catalog, "b200-sxm"), one) for one in (book, replace(book, curves=weighed))
    )

    assert after < before


@pytest.mark.parametrize("gpu", ["b200-sxm", "h100-sxm", "l40s"])
@pytest.mark.parametrize(
    ("flop", "moved", "name"), [(1e3, 9e14, "bandwidth"), (1e18, 1.0, "flop")], ids=["traffic", "arithmetic"]
)
def test_one_gpu_stays_between_the_ends_of_what_is_assumed(gpu, flop, moved, name, catalog):
    asked = roofline(precision=Precision.FP32, step_flop=flop, step_bytes=moved, resident_gb=1.0, steps=1e6)
    seconds = _intervals(estimated(asked, catalog, gpu=gpu))["elapsed_s"]
    entry, spec = catalog.calibration.assumptions[f"science.{name}_efficiency_fraction"], _spec(catalog, gpu)
    whole_s = 1e6 * max(flop / (spec.fp32_dense_tflops * 1e12), moved / (spec.memory_bandwidth_tb_s * 1e12))

    assert whole_s / seconds.p10 == pytest.approx(entry.high)
    assert whole_s / seconds.p50 == pytest.approx(entry.value)
    assert whole_s / seconds.p90 == pytest.approx(entry.low)


@RELAXED
@given(method=st.sampled_from(["fp32", "fp16s", "fp16c"]), gpus=st.sampled_from([1, 2, 8]))
def test_a_lattice_moves_no_more_than_the_memory_does(method, gpus, catalog):
    numbers = 4.0 if method == "fp32" else 2.0
    asked = LatticeWorkload(application="fluidx3d", cells=1e9, steps=1e5, method=method)

    for gpu in catalog.hardware.gpus:
        try:
            found = _intervals(estimated(asked, catalog, gpu=gpu.id, gpus=gpus))["mlups"]
        except PlannerError:
            continue
        # D3Q19: 19 numbers in, 19 out, a byte of flags.
        most = gpus * gpu.memory_bandwidth_tb_s * 1e12 / (38.0 * numbers + 1.0) / 1e6
        assert found.p10 <= found.p50 <= found.p90 <= most * ROUNDED, gpu.id


@pytest.mark.parametrize(("application", "parameters"), [("esm-2", 15e9), ("evo-2", 7e9)])
@pytest.mark.parametrize("precision", [Precision.BF16, Precision.FP8, Precision.FP4])
def test_a_training_computes_no_more_than_the_peak(application, parameters, precision, catalog):
    asked = SequenceTrainingWorkload(application=application, parameters=parameters, tokens=1e12, precision=precision)

    for gpu in GPUS:
        try:
            found = _intervals(estimated(asked, catalog, gpu=gpu, gpus=8))["model_tflops_gpu"]
        except PlannerError:
            continue
        assert found.p90 * 1e12 <= _peak_flop_s(_spec(catalog, gpu), str(precision)) * ROUNDED, gpu


@pytest.mark.parametrize(
    "workload",
    [
        roofline(application="gemm", precision=Precision.BF16, step_bytes=1.0),
        LatticeWorkload(application="fluidx3d", cells=1e9, steps=1e5, method="fp16c"),
    ],
    ids=lambda w: w.application,
)
def test_no_quantile_is_under_the_least_and_no_confidence_is_there(workload, catalog):
    table = table_of(catalog.hardware)
    job = describe(workload, catalog.applications[workload.application], catalog.calibration)
    rates = job_rates(job, table, hardware=catalog.hardware, calibration=catalog.calibration)
    rows = np.arange(len(table.servers))
    ones = np.ones(rows.size)
    found = performance(
        job,
        Rows(server=rows, gpus_instance=ones, instances=ones),
        table=table,
        rates=rates,
        calibration=catalog.calibration,
    )
    known = np.isfinite(found.item_s)

    assert np.all(found.least_s[known] > 0.0)
    for fraction in (0.001, 0.1, 0.5, 0.9):
        assert np.all(found.quantile_s(fraction)[known] >= found.least_s[known] * (1.0 - 1e-12))
    assert not found.confidence(found.least_s * 0.999, row=slice(None)).any()


def test_a_sizing_holds_the_law_too(catalog, weight):
    asked = roofline(application="gemm", precision=Precision.BF16, step_flop=1e17, step_bytes=1.0)
    result = sized(replace(asked, resident_gb=10.0), catalog, weight)

    assert result.options
    for option in result.options:
        tflops = next(m.interval for m in option.metrics if m.name == "tflops")
        assert tflops.p50 < tflops.p90 <= option.gpus * _spec(catalog, option.gpu).bf16_dense_tflops * ROUNDED


def test_where_the_bound_cuts_the_interval_it_is_said(catalog, weight):
    asked = roofline(application="gemm", precision=Precision.BF16, step_flop=1e17, step_bytes=1.0, resident_gb=10.0)
    found = estimated(asked, catalog, gpu="b200-sxm", gpus=8)
    options = sized(asked, catalog, weight, allowed_gpus=("b200-sxm",)).options

    assert "interval" not in {one.field for one in estimated(roofline(), catalog, gpu="b200-sxm", gpus=8).assumed}
    lattice = LatticeWorkload(application="fluidx3d", cells=1e9, steps=1e5, method="fp16c")
    cut = estimated(lattice, catalog, gpu="l4")
    assert any(one.field == "interval" and "data sheet" in one.why for one in cut.assumed)
    assert any(step.name == "least seconds of one item" for step in found.working)
    assert all(any(step.name == "least seconds of one item" for step in one.working) for one in options)
