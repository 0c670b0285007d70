"""All requests sent at once: the last wait for all others' prompts, and for places where there are too few."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.sizing.estimate import estimate
from service.sizing.result import Estimate
from service.sizing.workload import Arrival, Deployment, Load, LoadKind, TokenLength
from tests.build import inference_workload
from tests.sizing.inference.test_one_number import CATALOG, shown

CLIENTS = st.integers(2, 3_000)


def sent(clients: int, arrival: Arrival, *, gpus: int = 8, isl: float = 2_000.0) -> Estimate:
    return estimate(
        inference_workload(isl_tokens=TokenLength(mean=isl), osl_tokens=TokenLength(mean=300.0), slo=None),
        Deployment(
            gpu="b200-sxm",
            gpus=gpus,
            tp=8,
            load=Load(kind=LoadKind.CONCURRENCY, value=clients, arrival=arrival),
        ),
        hardware=CATALOG.hardware,
        architecture=CATALOG.models["llama-3.1-70b"].architecture,
        application=None,
        calibration=CATALOG.calibration,
    )


def ttft_ms(clients: int, arrival: Arrival) -> float:
    return shown(sent(clients, arrival), "ttft_ms").p50


@settings(max_examples=20, deadline=None)
@given(clients=st.integers(2, 400))
def test_requests_sent_at_once_wait_for_each_others_prompts(clients: int) -> None:
    """While all find a place; the queue before a full instance ends, that of a closed loop does not."""
    assert ttft_ms(clients, Arrival.BURST) > ttft_ms(clients, Arrival.STEADY)


@settings(max_examples=20, deadline=None)
@given(clients=CLIENTS, more=st.integers(1, 1_000))
def test_more_requests_at_once_never_wait_less(clients: int, more: int) -> None:
    assert ttft_ms(clients + more, Arrival.BURST) >= ttft_ms(clients, Arrival.BURST)


@settings(max_examples=20, deadline=None)
@given(clients=CLIENTS)
def test_the_last_of_a_burst_waits_longer_than_the_mean(clients: int) -> None:
    found = sent(clients, Arrival.BURST)
    assert shown(found, "ttft_p95_ms").p50 > shown(found, "ttft_ms").p50


@pytest.mark.parametrize("clients", [1, 50, 20_000])
def test_a_burst_is_carried_as_fast_as_a_closed_loop(clients: int) -> None:
    """As many prompts and steps, in another order."""
    burst, steady = (shown(sent(clients, a), "output_tokens_s").p50 for a in (Arrival.BURST, Arrival.STEADY))
    assert burst == pytest.approx(steady, rel=0.25)


def test_one_request_is_no_burst() -> None:
    burst, steady = (shown(sent(1, a), "ttft_ms").p50 for a in (Arrival.BURST, Arrival.STEADY))
    assert burst == pytest.approx(steady, rel=0.02)


def test_requests_without_a_place_wait_for_half_the_others_in_the_mean() -> None:
    """In a closed loop every request waits behind all that have no place; of a burst the first wait for nobody."""
    burst, steady = (ttft_ms(40_000, a) for a in (Arrival.BURST, Arrival.STEADY))
    assert burst == pytest.approx(0.5 * steady, rel=0.2)
