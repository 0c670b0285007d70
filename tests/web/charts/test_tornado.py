"""What would change the answer is drawn beside where it stands."""

from service.sizing.result import Sensitivity
from service.web.charts.tornado import tornado_charts


def test_the_answer_stands_on_the_axis_of_what_moves_it() -> None:
    moved = Sensitivity(assumption="tpot_spread", low=1.0, high=2.0, metric="gpus", at_low=16.0, at_high=24.0)
    (chart,) = tornado_charts([moved], now={"gpus": 16.0})
    assert (chart.stands, chart.now) == (16.0, chart.bars[0].x)
    (unknown,) = tornado_charts([moved], now={})
    assert (unknown.stands, unknown.now) == (None, None)
