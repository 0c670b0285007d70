"""Cost against speed: options that cost little are told apart beside one that costs twenty times as much."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest

from service.web.charts.pareto import pareto_chart


def answer(*costs: int) -> Any:
    """What the chart reads of an answer: options of these costs, each a little faster than the one before."""
    rows = [
        SimpleNamespace(
            total_usd=Decimal(cost),
            on_front=True,
            option=SimpleNamespace(
                metrics=[SimpleNamespace(name="tokens_s_user", interval=SimpleNamespace(p50=50.0 + place))]
            ),
        )
        for place, cost in enumerate(costs)
    ]
    return SimpleNamespace(rows=rows, priced=SimpleNamespace(result=SimpleNamespace(kind="inference")))


@pytest.mark.parametrize(("costs", "logarithmic"), [((300, 325, 7000), True), ((300, 325, 1400), False)])
def test_the_scale_of_costs_far_apart_is_of_equal_factors(costs: tuple[int, ...], logarithmic: bool) -> None:
    chart = pareto_chart(answer(*costs))
    assert chart is not None
    assert chart.x.logarithmic is logarithmic
    places = sorted(dot.x for dot in chart.dots)
    assert places[1] - places[0] > 10
    assert len(chart.x.marks) >= 2
