"""Tails of lengths: a longer 95th percentile is felt, at every percentile that a bound may name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.quoting.indicative import weights
from service.sizing.inference.traffic import quantile_tokens
from service.sizing.result import SizingOption
from service.sizing.size import size
from service.sizing.workload import Demand, Slo, TokenLength
from tests.build import inference_workload, question
from tests.facts import own_book, own_catalog

CATALOG = own_catalog()
WEIGHT = weights(CATALOG.hardware, own_book())


@given(
    mean=st.floats(1.0, 1e5),
    ratios=st.tuples(st.floats(1.0, 20.0), st.floats(1.0, 20.0)),
    percentile=st.floats(50.0, 99.99),
)
def test_a_longer_p95_never_shortens_a_tail(mean: float, ratios: tuple[float, float], percentile: float) -> None:
    short, long = (
        quantile_tokens(TokenLength(mean=mean, p95=mean * ratio), percentile / 100.0) for ratio in sorted(ratios)
    )
    assert short <= long * (1.0 + 1e-9)
    assert short >= mean * (1.0 - 1e-9)


@pytest.mark.parametrize("p95", [3000.0, 7900.0, 8000.0, 16_000.0, 40_000.0])
def test_the_stated_p95_is_the_p95(p95: float) -> None:
    assert quantile_tokens(TokenLength(mean=2048.0, p95=p95), 0.95) == pytest.approx(p95, rel=1e-9)
    assert quantile_tokens(TokenLength(mean=2048.0, p95=p95), 0.99) >= p95


def best(p95: float) -> SizingOption:
    asked = inference_workload(
        model="llama-3.1-8b",
        isl_tokens=TokenLength(mean=2048.0, p95=p95),
        demand=Demand(requests_s=60.0),
        slo=Slo(ttft_ms=60_000.0, tpot_ms=60.0),
    )
    return size(
        question(asked, allowed_servers=("poweredge-r770-rtx-pro-6000-se",)),
        hardware=CATALOG.hardware,
        architecture=CATALOG.models["llama-3.1-8b"].architecture,
        application=None,
        calibration=CATALOG.calibration,
        weight=WEIGHT,
    ).options[0]


def test_a_longer_p95_never_needs_fewer_servers_and_beyond_the_log_normal_too() -> None:
    found = [best(p95) for p95 in (4000.0, 8000.0, 16_000.0, 40_000.0)]
    servers = [option.servers for option in found]
    assert servers == sorted(servers)
    tails = [next(m.interval.p50 for m in option.metrics if m.name == "ttft_p95_ms") for option in found]
    assert tails[0] < tails[1] < tails[2] < tails[3]
