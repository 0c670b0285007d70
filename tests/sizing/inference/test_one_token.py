"""Answers of one token, as of a classifier: there is no time per output token, and a request takes its TTFT."""

from dataclasses import replace

import pytest

from service.quoting.indicative import weights
from service.sizing.estimate import estimate
from service.sizing.workload import Demand, Load, LoadKind, Slo, TokenLength
from tests.build import deployment, inference_workload
from tests.facts import own_book, own_catalog
from tests.sizing.inference.sizings import sized

CATALOG = own_catalog()
WEIGHT = weights(CATALOG.hardware, own_book())
MODEL = "llama-3.1-70b"
ARCHITECTURE = CATALOG.models[MODEL].architecture
WORKLOAD = inference_workload(
    model=MODEL,
    isl_tokens=TokenLength(mean=2048.0),
    osl_tokens=TokenLength(mean=1.0),
    slo=Slo(ttft_ms=2000.0, tpot_ms=40.0),
    demand=Demand(requests_s=200.0),
)


def test_a_bound_on_further_tokens_costs_nothing_where_there_are_none() -> None:
    bound = sized(CATALOG, WEIGHT, WORKLOAD)
    free = sized(CATALOG, WEIGHT, replace(WORKLOAD, slo=Slo(ttft_ms=2000.0)))
    gpus = [[(one.server, one.gpus, one.confidence_fraction) for one in found.options] for found in (bound, free)]
    assert gpus[0] == gpus[1] != []
    assert [one.value for one in bound.assumed if one.field == "workload.slo.tpot_ms"] == ["not held"]
    assert not [one for one in free.assumed if one.field == "workload.slo.tpot_ms"]


@pytest.mark.parametrize("osl_tokens", [1.0, 2.0, 300.0])
def test_no_request_is_done_before_its_first_token(osl_tokens: float) -> None:
    found = estimate(
        replace(WORKLOAD, osl_tokens=TokenLength(mean=osl_tokens), slo=None),
        deployment(tp=2, load=Load(kind=LoadKind.CONCURRENCY, value=16)),
        hardware=CATALOG.hardware,
        architecture=ARCHITECTURE,
        application=None,
        calibration=CATALOG.calibration,
    )
    metrics = {metric.name: metric.interval for metric in found.metrics}
    first, whole, each = (metrics[name] for name in ("ttft_ms", "request_latency_ms", "tpot_ms"))
    for end in ("p10", "p50", "p90"):
        expected = getattr(first, end) + (osl_tokens - 1.0) * getattr(each, end)
        assert getattr(whole, end) == pytest.approx(expected, rel=1e-3)
