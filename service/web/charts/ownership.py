"""What is spent by when: owning, whose capital is paid first, beside renting the same hours from a cloud."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.web.charts.axis import Axis, axis_over

WIDTH, HEIGHT = 640.0, 260.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 84.0, 620.0, 14.0, 210.0
_CAPITAL = "capital"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipChart:
    """Lines over the months; from `crossing` on owning has cost less, without the `missing` parts."""

    x: Axis
    y: Axis
    own: str
    cloud: str | None
    cloud_name: str
    currency: str
    crossing: float | None
    crossing_at: float | None
    missing: tuple[str, ...]


def ownership_chart(tco: Mapping[str, Any] | None) -> OwnershipChart | None:
    """The chart of a quote's cost of ownership (as its snapshot has it); None where its total is not known."""
    if tco is None or tco["total"] is None:
        return None
    months = float(tco["inputs"]["horizon_months"])
    capital = next((float(part["amount"]) for part in tco["parts"] if part["part"] == _CAPITAL and part["amount"]), 0.0)
    total = float(tco["total"])
    rented = tco["cloud"]
    cloud = float(rented["amount"]) if rented is not None and rented["amount"] is not None else None
    x = axis_over([0.0, months], start=_LEFT, end=_RIGHT)
    y = axis_over([0.0, capital, total, cloud or 0.0], start=_BOTTOM, end=_TOP)
    crossing = None
    if cloud is not None and cloud > total:
        # capital + (total - capital) t = cloud t, of the horizon
        crossing = capital / (cloud - (total - capital)) * months
    return OwnershipChart(
        x=x,
        y=y,
        own=_line(x, y, (0.0, capital), (months, total)),
        cloud=None if cloud is None else _line(x, y, (0.0, 0.0), (months, cloud)),
        cloud_name="" if rented is None else str(rented["name"]),
        currency=str(tco["currency"]),
        crossing=crossing,
        crossing_at=None if crossing is None else x.place(crossing),
        missing=tuple(str(part).replace("_", " ") for part in tco["missing"]),
    )


def _line(x: Axis, y: Axis, *points: tuple[float, float]) -> str:
    return " ".join(f"{x.place(month)},{y.place(amount)}" for month, amount in points)
