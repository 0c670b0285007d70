"""`size` is a search over `estimate`: on one server, for one model, trying everything finds what it finds."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.errors import InvalidRequestError
from service.sizing.estimate import estimate
from service.sizing.inference.layout import legal_layouts
from service.sizing.inference.load import model_load
from service.sizing.precision import Precision
from service.sizing.result import Estimate
from service.sizing.table import table_of
from service.sizing.workload import Demand, Deployment, InferenceWorkload, Load, LoadKind, Serving, Slo, TokenLength
from tests.build import inference_workload
from tests.sizing.inference.test_laws import B200, CATALOG, sized

SERVER = CATALOG.hardware.server(B200)
# A batch is found on a grid: near a bound a search may miss what a finer one would find.
GRID = 0.03


def layouts(workload: InferenceWorkload) -> list[tuple[int, int, int]]:
    load = model_load(CATALOG.models[str(workload.model)].architecture, weight=Precision.FP8, kv=Precision.FP8)
    row = next(i for i, server in enumerate(CATALOG.hardware.servers) if server.id == B200)
    legal = legal_layouts(load, table_of(CATALOG.hardware), np.array([row]))
    return list(zip(legal.tp.tolist(), legal.pp.tolist(), legal.attention_dp.tolist(), strict=True))


def served(
    workload: InferenceWorkload, layout: tuple[int, int, int], copies: int, requests_s: float
) -> Estimate | None:
    """The deployment at this rate; None where it does not carry it."""
    tp, pp, attention_dp = layout
    try:
        return estimate(
            workload,
            Deployment(
                gpu=SERVER.gpu,
                gpus=copies * tp * pp * attention_dp,
                server=B200,
                tp=tp,
                pp=pp,
                attention_dp=attention_dp,
                load=Load(kind=LoadKind.RATE, requests_s=requests_s),
            ),
            hardware=CATALOG.hardware,
            architecture=CATALOG.models[str(workload.model)].architecture,
            application=None,
            calibration=CATALOG.calibration,
        )
    except InvalidRequestError:
        return None


def fewest_by_trying(workload: InferenceWorkload, requests_s: float, most: int) -> float:
    """Servers of the first number of copies, of any layout, that carries the rate within the SLO."""
    found = math.inf
    for layout in layouts(workload):
        instance = math.prod(layout)
        for copies in range(1, int(most * SERVER.gpus / instance) + 1):
            servers = math.ceil(copies / (SERVER.gpus // instance)) if instance <= SERVER.gpus else math.inf
            if servers >= found:
                break
            one = served(workload, layout, copies, requests_s)
            if one is not None and one.fits and one.meets_slo:
                found = servers
                break
    return found


@pytest.mark.parametrize("model", ["llama-3.1-8b", "llama-3.1-70b", "gpt-oss-120b"])
@settings(max_examples=4, deadline=None)
@given(
    workload=st.builds(
        lambda isl, osl, rate, ttft, tpot: inference_workload(
            isl_tokens=TokenLength(mean=float(isl)),
            osl_tokens=TokenLength(mean=float(osl)),
            demand=Demand(requests_s=rate),
            slo=Slo(ttft_ms=ttft, tpot_ms=tpot),
            serving=Serving.AGGREGATED,
        ),
        isl=st.integers(100, 6_000),
        osl=st.integers(20, 800),
        rate=st.floats(0.5, 60.0),
        ttft=st.floats(200.0, 4_000.0),
        tpot=st.floats(5.0, 50.0),
    )
)
def test_size_finds_the_fewest_servers_that_estimate_says_carry_a_demand(
    model: str, workload: InferenceWorkload
) -> None:
    workload = replace(workload, model=model)
    rate = workload.demand.requests_s or 0.0
    options = sized(workload, allowed_servers=(B200,), min_confidence_fraction=0.5).options
    found = min((option.servers for option in options), default=math.inf)
    if found > 6.0 and math.isfinite(found):
        return
    strict, loose = (fewest_by_trying(workload, rate * times, 7) for times in (1.0 + GRID, 1.0 - GRID))
    assert loose <= found <= strict


@settings(max_examples=12, deadline=None)
@given(
    model=st.sampled_from(("llama-3.1-8b", "gpt-oss-120b", "deepseek-v3")),
    isl=st.integers(50, 8_000),
    osl=st.integers(10, 1_500),
    gpus=st.integers(1, 40),
    more=st.integers(1, 24),
)
def test_more_given_gpus_never_carry_less(model: str, isl: int, osl: int, gpus: int, more: int) -> None:
    def carried(given_gpus: int) -> float:
        workload = inference_workload(
            model=model,
            isl_tokens=TokenLength(mean=float(isl)),
            osl_tokens=TokenLength(mean=float(osl)),
            demand=Demand(saturate_gpus=given_gpus),
            slo=None,
            serving=Serving.AGGREGATED,
        )
        options = sized(workload, allowed_servers=(B200,)).options
        return max((m.interval.p50 for o in options for m in o.metrics if m.name == "output_tokens_s"), default=0.0)

    assert carried(gpus + more) >= carried(gpus) * (1.0 - 1e-5)


@settings(max_examples=12, deadline=None)
@given(
    model=st.sampled_from(("llama-3.1-70b", "gpt-oss-120b", "deepseek-v3", "gemma-3-27b", "qwen3.5-397b-a17b")),
    isl=st.integers(100, 20_000),
    batch=st.integers(1, 64),
)
def test_memory_per_gpu_never_rises_with_tp_for_any_model(model: str, isl: int, batch: int) -> None:
    workload = inference_workload(model=model, isl_tokens=TokenLength(mean=float(isl)), slo=None)
    heads = [tp for tp in (1, 2, 4, 8) if (tp, 1, 1) in layouts(workload)]
    used = []
    for tp in heads:
        one = estimate(
            workload,
            Deployment(gpu="b200-sxm", gpus=tp, tp=tp, load=Load(kind=LoadKind.CONCURRENCY, value=batch)),
            hardware=CATALOG.hardware,
            architecture=CATALOG.models[model].architecture,
            application=None,
            calibration=CATALOG.calibration,
        )
        parts = {part.part: part.gb for part in one.memory_gb_gpu}
        used.append(parts["weights"] + parts["activations"] + parts["kv_cache"] / max(1.0, one.batch or 0.0))
    assert used == sorted(used, reverse=True)


@settings(max_examples=10, deadline=None)
@given(rate=st.floats(0.1, 300.0), serving=st.sampled_from(Serving), confidence=st.floats(0.5, 0.99))
def test_quantiles_of_options_are_ordered_and_finite(rate: float, serving: Serving, confidence: float) -> None:
    workload = inference_workload(demand=Demand(requests_s=rate), serving=serving)
    for option in sized(workload, min_confidence_fraction=confidence).options:
        for m in option.metrics:
            assert 0.0 < m.interval.p10 <= m.interval.p50 <= m.interval.p90 < math.inf, m.name
