"""The curve of latency against load: it rises, passes through the point of the option, and ends where that does."""

import pytest

from service.planning.load_curve import load_curve
from service.planning.preview import preview
from tests.planning.conftest import chat


def test_it_rises_and_meets_the_option_at_its_own_load(runtime, caller):
    found = preview(runtime, caller, chat(demand={"users": 5000}), request_id="r")
    option = found.priced.result.options[0]
    points = load_curve(runtime, found.question, option)
    assert len(points) >= 5
    rates = [point.requests_s for point in points]
    paces = [point.metrics["tpot_p95_ms"].p50 for point in points]
    assert rates == sorted(rates)
    assert paces == sorted(paces)
    asked = {metric.name: metric.interval.p50 for metric in option.metrics}
    below = max(point.metrics["tpot_p95_ms"].p50 for point in points if point.requests_s <= asked["requests_s"])
    above = min(point.metrics["tpot_p95_ms"].p50 for point in points if point.requests_s >= asked["requests_s"])
    assert below <= asked["tpot_p95_ms"] * 1.01
    assert above >= asked["tpot_p95_ms"] * 0.99


@pytest.mark.parametrize("demand", [{"saturate_gpus": 8}])
def test_what_has_no_rate_of_its_own_has_a_curve_or_none(runtime, caller, demand):
    found = preview(runtime, caller, chat(demand=demand), request_id="r")
    for option in found.priced.result.options[:2]:
        points = load_curve(runtime, found.question, option)
        assert all(point.requests_s > 0 for point in points)
