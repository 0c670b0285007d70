"""Power, cooling, racks, feeds, energy and weight of an option; human units, NaN (None in a plan) for the unknown."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from service.sizing.hardware import Cooling, FacilityPreset, ServerSpec, air_heat_kw
from service.sizing.numeric import Numeric
from service.sizing.racks import (
    RackLimits,
    RackTable,
    SwitchStack,
    fullest_rack_kw,
    rack_fill,
    rack_table,
    server_racks,
    stacked_kw,
    switch_racks,
)
from service.sizing.result import FacilityPlan
from service.sizing.table import FloatArray, IntArray
from service.sizing.units import KW, YEAR_H


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FacilityTable:
    """Per server configuration: what one takes, the PUE of its cooling, and how it goes into racks."""

    server_power_kw: FloatArray
    pue: FloatArray
    racks: RackTable


_NO_LIMITS = RackLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What a site is: presets, the caller's own limits and figures, and how much of the planned power is drawn.

    `load_fraction` of the planned power is drawn over the year; its energy carries `grid_kg_co2_kwh`.
    """

    preset: FacilityPreset
    limits: RackLimits = _NO_LIMITS
    pue: float | None = None
    load_fraction: float = 1.0
    grid_kg_co2_kwh: float | None = None


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def facility_table(servers: tuple[ServerSpec, ...], site: Site) -> FacilityTable:
    """Rows in the order of `servers`."""
    liquid = np.array([s.cooling is Cooling.LIQUID for s in servers], dtype=np.bool_)
    preset = np.where(liquid, site.preset.pue_liquid, site.preset.pue_air)
    return FacilityTable(
        server_power_kw=np.array([_number(s.plan_power_kw) for s in servers], dtype=np.float64),
        pue=preset if site.pue is None else np.full(liquid.shape, site.pue),
        racks=rack_table(servers, site.preset, site.limits),
    )


def racks(
    table: FacilityTable, row: IntArray, *, servers: Numeric, switches: tuple[SwitchStack, ...] = ()
) -> FloatArray:
    """Racks [count] of `servers` of each row and of their switches; 0 for desktops, inf when no server fits."""
    own = server_racks(table.racks, row, servers=servers)
    return own + switch_racks(table.racks, row, servers=servers, switches=switches)


def it_power_kw(table: FacilityTable, row: IntArray, *, servers: Numeric, switch_power_kw: Numeric) -> FloatArray:
    """IT power [kW]: servers x planned power + switches."""
    return np.asarray(table.server_power_kw[row] * servers + switch_power_kw, dtype=np.float64)


def facility_power_kw(table: FacilityTable, row: IntArray, *, it_kw: Numeric) -> FloatArray:
    """What the site must deliver [kW]: IT power x PUE of the row's cooling."""
    return np.asarray(it_kw * table.pue[row], dtype=np.float64)


def liquid_heat_kw(server: ServerSpec, *, servers: int) -> float | None:
    """Heat [kW] that leaves through liquid; the rest leaves through air. None where the split is unknown."""
    air_kw = air_heat_kw(server)
    if air_kw is None or server.plan_power_kw is None:
        return None
    return (server.plan_power_kw - air_kw) * servers


def rack_feeds(server: ServerSpec, preset: FacilityPreset, *, servers: float) -> int | None:
    """Feeds [count] of a rack of so many servers: sides x ceil(bound for breakers / feed). None where it is unknown."""
    if server.max_power_w is None or not math.isfinite(servers):
        return None
    return preset.feed_sides * math.ceil(server.max_power_w / KW * servers / preset.feed_kw)


def coolant_units(liquid_kw: float | None, preset: FacilityPreset) -> int | None:
    """Coolant distribution units [count]; none without liquid.

    One inside a rack where it takes all of the heat; else units of a row: liquid heat / what one takes, and one spare.
    """
    if liquid_kw is None:
        return None
    if liquid_kw <= preset.rack_cdu_kw:
        return 1 if liquid_kw > 0.0 else 0
    return math.ceil(liquid_kw / preset.cdu_kw) + 1


@lru_cache(maxsize=4096)
def facility_plan(
    server: ServerSpec, servers: int, site: Site, *, switches: tuple[SwitchStack, ...] = ()
) -> FacilityPlan:
    """Racks, feeds, IT and facility power, heat, energy and weight of one option; what is unknown stays None."""
    table = facility_table((server,), site)
    row, count = np.array([0]), np.array([float(servers)])
    it_kw = float(it_power_kw(table, row, servers=count, switch_power_kw=stacked_kw(switches))[0])
    own = float(server_racks(table.racks, row, servers=count)[0])
    more = float(switch_racks(table.racks, row, servers=count, switches=switches)[0])
    fill = rack_fill(server, site.preset, site.limits)
    stands = math.isfinite(fill.servers) and fill.servers >= 1.0
    in_one = min(fill.servers, float(servers)) if stands else math.nan
    server_kw = _number(server.plan_power_kw)
    fullest_kw = float(fullest_rack_kw(table.racks, row, servers=count, switches=switches, server_kw=server_kw)[0])
    facility_kw = float(facility_power_kw(table, row, it_kw=np.array([it_kw]))[0])
    energy_kwh = facility_kw * site.load_fraction * YEAR_H
    liquid_kw = liquid_heat_kw(server, servers=servers)
    feeds_rack = rack_feeds(server, site.preset, servers=in_one)
    counted = math.isfinite(own + more)
    return FacilityPlan(
        it_power_kw=_known(it_kw),
        facility_power_kw=_known(facility_kw),
        pue=float(table.pue[0]),
        racks=int(own + more) if counted else None,
        servers_rack=int(fill.servers) if stands else None,
        rack_power_kw=_known(fullest_kw) if stands else None,
        rack_units=_known(_number(server.rack_units) * servers),
        cooling=str(server.cooling),
        weight_kg=_known(_number(server.weight_kg) * servers),
        liquid_heat_kw=liquid_kw,
        air_heat_kw=None if liquid_kw is None else _known(it_kw - liquid_kw),
        switch_racks=int(more) if counted else None,
        rack_weight_kg=_known(in_one * _number(server.weight_kg)),
        rack_binds=fill.binds if stands else None,
        rack_feeds=feeds_rack,
        feeds=None if feeds_rack is None or not counted else feeds_rack * int(own) + site.preset.feed_sides * int(more),
        coolant_units=coolant_units(liquid_kw, site.preset),
        energy_kwh_year=_known(energy_kwh),
        carbon_kg_year=_known(energy_kwh * _number(site.grid_kg_co2_kwh)),
        grid_kg_co2_kwh=site.grid_kg_co2_kwh,
    )


def drawing(plan: FacilityPlan, load_fraction: float) -> FacilityPlan:
    """The plan with the energy of a year in which so much of its power is drawn, and with the carbon of that."""
    energy_kwh = _number(plan.facility_power_kw) * load_fraction * YEAR_H
    return replace(
        plan,
        energy_kwh_year=_known(energy_kwh),
        carbon_kg_year=_known(energy_kwh * _number(plan.grid_kg_co2_kwh)),
    )


def facility_with(plan: FacilityPlan, beside: FacilityPlan, *, servers: int) -> FacilityPlan:
    """The plan with `servers` without GPUs beside it, which have racks of their own; what is unknown stays unknown."""
    it_kw, facility_kw = (
        _both(plan.it_power_kw, beside.it_power_kw),
        _both(plan.facility_power_kw, beside.facility_power_kw),
    )
    return replace(
        plan,
        it_power_kw=it_kw,
        facility_power_kw=facility_kw,
        pue=facility_kw / it_kw if it_kw and facility_kw else plan.pue,
        racks=_whole(plan.racks, beside.racks),
        rack_units=_both(plan.rack_units, beside.rack_units),
        weight_kg=_both(plan.weight_kg, beside.weight_kg),
        air_heat_kw=_both(plan.air_heat_kw, beside.air_heat_kw),
        feeds=_whole(plan.feeds, beside.feeds),
        energy_kwh_year=_both(plan.energy_kwh_year, beside.energy_kwh_year),
        carbon_kg_year=_both(plan.carbon_kg_year, beside.carbon_kg_year),
        cpu_servers=servers,
        cpu_racks=beside.racks,
        cpu_power_kw=beside.it_power_kw,
        cpu_feeds=beside.feeds,
    )


def _both(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other


def _whole(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
