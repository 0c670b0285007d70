"""The chart of what is spent by when: money as it leaves, whatever the books write off."""

from typing import Any

import pytest

from service.web.charts.ownership import ownership_chart

# 3,000 for the hardware, of which 36 of 60 months are written off; 100 a month to run it; a cloud at 200 a month.
QUOTE: dict[str, Any] = {
    "totals": {"one_time": {"net_amount": "2900.00"}, "charges_amount": "100.00"},
    "tco": {
        "currency": "EUR",
        "total": "5400.00",
        "missing": [],
        "parts": [{"part": "capital", "amount": "1800.00"}, {"part": "energy", "amount": "3600.00"}],
        "inputs": {"horizon_months": 36},
        "cloud": {"name": "Some cloud", "amount": "7200.00"},
    },
}


def test_owning_begins_with_the_whole_purchase_and_meets_the_cloud_by_money_spent() -> None:
    chart = ownership_chart(QUOTE)
    assert chart is not None
    assert chart.crossing == pytest.approx(3000 / (200 - 100))
    assert chart.left == pytest.approx(1200)
    (_, start), (_, end) = ([float(part) for part in point.split(",")] for point in chart.own.split())
    assert (start, end) == (pytest.approx(chart.y.place(3000)), pytest.approx(chart.y.place(6600)))


def test_a_cloud_that_stays_cheaper_is_never_met() -> None:
    cheap = {**QUOTE, "tco": {**QUOTE["tco"], "cloud": {"name": "Some cloud", "amount": "6500.00"}}}
    chart = ownership_chart(cheap)
    assert chart is not None
    assert chart.crossing is None


def test_without_a_total_there_is_no_chart() -> None:
    assert ownership_chart({**QUOTE, "tco": {**QUOTE["tco"], "total": None}}) is None
    assert ownership_chart({**QUOTE, "tco": None}) is None


def test_of_hardware_that_is_written_off_nothing_is_left() -> None:
    totals = {"one_time": {"net_amount": "0.10"}, "charges_amount": "0.20"}
    parts = [{"part": "capital", "amount": "0.30"}]
    chart = ownership_chart({"totals": totals, "tco": {**QUOTE["tco"], "total": "0.30", "parts": parts}})
    assert chart is not None
    assert chart.left == 0


def test_what_is_financed_is_paid_by_the_month() -> None:
    """An annuity over the horizon repays the purchase with its interest: nothing is paid at the beginning."""
    parts = [*QUOTE["tco"]["parts"], {"part": "financing", "amount": "300.00"}]
    chart = ownership_chart({**QUOTE, "tco": {**QUOTE["tco"], "total": "5700.00", "parts": parts}})
    assert chart is not None
    (_, start), (_, end) = ([float(part) for part in point.split(",")] for point in chart.own.split())
    assert (start, end) == (pytest.approx(chart.y.place(0)), pytest.approx(chart.y.place(6900)))
    assert (chart.financed, chart.crossing) == (True, 0.0)
