"""Racks, power, cooling and weight of servers; human units, arrays or scalars, NaN (None in a plan) for the unknown."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.hardware import Cooling, FacilityPreset, ServerSpec
from service.sizing.numeric import Numeric
from service.sizing.result import FacilityPlan
from service.sizing.table import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FacilityTable:
    """Per server configuration: what one takes and gives off, and how many go into one rack of the site."""

    server_power_kw: FloatArray
    pue: FloatArray
    servers_rack: FloatArray
    rack_units: FloatArray
    weight_kg: FloatArray
    desktop: BoolArray


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def servers_per_rack(
    *, rack_units: Numeric, server_power_kw: Numeric, rack_units_usable: Numeric, rack_max_kw: Numeric
) -> FloatArray:
    """Servers [count] that fit by space and by power: min(floor(U / u), floor(kW / kw)); 0 when one is too much.

    NaN where the height or the power is unknown.
    """
    by_space = np.floor(np.asarray(rack_units_usable) / rack_units)
    by_power = np.floor(np.asarray(rack_max_kw) / server_power_kw)
    return np.asarray(np.minimum(by_space, by_power), dtype=np.float64)


def _rack_limit_kw(server: ServerSpec, preset: FacilityPreset, max_rack_kw: float | None) -> float:
    """The ceiling [kW] of one rack: the site's own figure, else the preset of the server's cooling."""
    if max_rack_kw is not None:
        return max_rack_kw
    return preset.liquid_rack_max_kw if server.cooling is Cooling.LIQUID else preset.air_rack_max_kw


def _servers_rack(server: ServerSpec, preset: FacilityPreset, max_rack_kw: float | None) -> float:
    if server.rack_units is None:
        return math.nan
    limit_kw = _rack_limit_kw(server, preset, max_rack_kw)
    power_kw = _number(server.plan_power_kw)
    if server.rack_units >= preset.rack_units_usable or server.servers_rack == 1:
        # A system that fills a rack brings the rack, its power shelves and its manifold along.
        return 1.0 if max_rack_kw is None or not power_kw > limit_kw else 0.0
    fitting = float(
        servers_per_rack(
            rack_units=server.rack_units,
            server_power_kw=power_kw,
            rack_units_usable=preset.rack_units_usable,
            rack_max_kw=limit_kw,
        )
    )
    known_most = math.inf if server.servers_rack is None else float(server.servers_rack)
    return min(fitting, known_most) if not math.isnan(fitting) else math.nan


def facility_table(
    servers: tuple[ServerSpec, ...], preset: FacilityPreset, *, max_rack_kw: float | None = None
) -> FacilityTable:
    """Rows in the order of `servers`."""
    liquid = np.array([s.cooling is Cooling.LIQUID for s in servers], dtype=np.bool_)
    return FacilityTable(
        server_power_kw=np.array([_number(s.plan_power_kw) for s in servers], dtype=np.float64),
        pue=np.where(liquid, preset.pue_liquid, preset.pue_air),
        servers_rack=np.array([_servers_rack(s, preset, max_rack_kw) for s in servers], dtype=np.float64),
        rack_units=np.array([_number(s.rack_units) for s in servers], dtype=np.float64),
        weight_kg=np.array([_number(s.weight_kg) for s in servers], dtype=np.float64),
        desktop=np.array([s.rack_units is None for s in servers], dtype=np.bool_),
    )


def racks(table: FacilityTable, row: IntArray, *, servers: Numeric) -> FloatArray:
    """Racks [count] for `servers` of each row: ceil(servers / servers per rack); 0 for desktops, inf when none fits."""
    per_rack = table.servers_rack[row]
    with np.errstate(divide="ignore"):
        needed = np.ceil(servers / per_rack)
    return np.where(table.desktop[row], 0.0, needed)


def it_power_kw(table: FacilityTable, row: IntArray, *, servers: Numeric, switch_power_kw: Numeric) -> FloatArray:
    """IT power [kW]: servers x planned power + switches."""
    return np.asarray(table.server_power_kw[row] * servers + switch_power_kw, dtype=np.float64)


def facility_power_kw(table: FacilityTable, row: IntArray, *, it_kw: Numeric) -> FloatArray:
    """What the site must deliver [kW]: IT power x PUE of the row's cooling."""
    return np.asarray(it_kw * table.pue[row], dtype=np.float64)


def liquid_heat_kw(server: ServerSpec, *, servers: int) -> float | None:
    """Heat [kW] that leaves through liquid; the rest leaves through air. None where the split is unknown."""
    if server.plan_power_kw is None:
        return None
    if server.cooling is Cooling.AIR:
        return 0.0
    if server.liquid_heat_fraction is None:
        return None
    return server.plan_power_kw * servers * server.liquid_heat_fraction


@lru_cache(maxsize=4096)
def facility_plan(
    server: ServerSpec,
    servers: int,
    preset: FacilityPreset,
    *,
    switch_power_kw: float | None,
    max_rack_kw: float | None = None,
) -> FacilityPlan:
    """Racks, IT and facility power, and weight of one option; what is unknown stays None."""
    table = facility_table((server,), preset, max_rack_kw=max_rack_kw)
    row, count = np.array([0]), np.array([servers])
    it_kw = float(it_power_kw(table, row, servers=count, switch_power_kw=np.array([switch_power_kw or 0.0]))[0])
    rack_count = float(racks(table, row, servers=count)[0])
    per_rack = float(table.servers_rack[0])
    known_rack = not math.isnan(per_rack) and per_rack >= 1.0
    in_one_rack = min(per_rack, float(servers)) if known_rack else math.nan
    return FacilityPlan(
        it_power_kw=_known(it_kw),
        facility_power_kw=_known(float(facility_power_kw(table, row, it_kw=np.array([it_kw]))[0])),
        pue=float(table.pue[0]),
        racks=int(rack_count) if math.isfinite(rack_count) else None,
        servers_rack=int(per_rack) if known_rack else None,
        rack_power_kw=_known(in_one_rack * float(table.server_power_kw[0])),
        rack_units=_known(_number(server.rack_units) * servers),
        cooling=str(server.cooling),
        weight_kg=_known(_number(server.weight_kg) * servers),
        liquid_heat_kw=liquid_heat_kw(server, servers=servers),
    )
