"""What is spent by when: owning, whose hardware is paid first, beside renting the same hours from a cloud.

Money as it leaves: what is financed is paid by the month, with its interest. The cost of ownership counts of the
hardware only what the horizon writes off, and the rest of it (`left`) is told beside the chart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.web.charts.axis import Axis, axis_over

WIDTH, HEIGHT = 640.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 620.0, 14.0, 210.0
_CAPITAL, _FINANCING = "capital", "financing"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipChart:
    """Lines over the months; from `crossing` on less is spent on owning, without the `missing` parts.

    `left` is what the hardware still is worth at the end, by its depreciation and its residual value.
    """

    x: Axis
    y: Axis
    own: str
    cloud: str | None
    cloud_name: str
    currency: str
    crossing: float | None
    crossing_at: float | None
    left: Decimal
    financed: bool
    missing: tuple[str, ...]


def ownership_chart(quote: Mapping[str, Any]) -> OwnershipChart | None:
    """The chart of a quote (as its snapshot says it); None where the total of its cost of ownership is not known."""
    tco, totals = quote["tco"], quote["totals"]
    if tco is None or tco["total"] is None:
        return None
    months = float(tco["inputs"]["horizon_months"])
    parts = {part["part"]: Decimal(part["amount"] or 0) for part in tco["parts"]}
    worn, financed = parts[_CAPITAL], parts.get(_FINANCING, 0) > 0
    purchase = Decimal(totals["one_time"]["net_amount"]) + Decimal(totals["charges_amount"])
    at_once = 0.0 if financed else float(purchase)
    spent = float(purchase + Decimal(tco["total"]) - worn)
    rented = tco["cloud"]
    cloud = float(rented["amount"]) if rented is not None and rented["amount"] is not None else None
    x = axis_over([0.0, months], start=_LEFT, end=_RIGHT)
    y = axis_over([0.0, spent, cloud or 0.0], start=_BOTTOM, end=_TOP)
    crossing = None
    if cloud is not None and cloud > spent:
        # at_once + (spent - at_once) t = cloud t, of the horizon
        crossing = at_once / (cloud - (spent - at_once)) * months
    return OwnershipChart(
        x=x,
        y=y,
        own=_line(x, y, (0.0, at_once), (months, spent)),
        cloud=None if cloud is None else _line(x, y, (0.0, 0.0), (months, cloud)),
        cloud_name="" if rented is None else str(rented["name"]),
        currency=str(tco["currency"]),
        crossing=crossing,
        crossing_at=None if crossing is None else x.place(crossing),
        left=purchase - worn,
        financed=financed,
        missing=tuple(str(part).replace("_", " ") for part in tco["missing"]),
    )


def _line(x: Axis, y: Axis, *points: tuple[float, float]) -> str:
    return " ".join(f"{x.place(month)},{y.place(amount)}" for month, amount in points)
