"""Servers into racks: by space, power, air, weight and what is published; switches into what is left, then racks."""

import math
from dataclasses import dataclass, field

import numpy as np

from service.sizing.hardware import Cooling, FacilityPreset, ServerSpec, air_heat_kw
from service.sizing.numeric import NOISE, Numeric
from service.sizing.table import BoolArray, FloatArray, IntArray
from service.sizing.workload import Constraints

# Of switches without height and power a rack takes any number.
_MOST_SWITCHES = 99_999


@dataclass(frozen=True, slots=True, kw_only=True)
class RackLimits:
    """What one rack of the site takes, where the caller says so."""

    max_rack_kw: float | None = None
    max_rack_air_kw: float | None = None
    max_rack_kg: float | None = None


def rack_limits(constraints: Constraints) -> RackLimits:
    """The rack's part of the constraints."""
    return RackLimits(
        max_rack_kw=constraints.max_rack_kw,
        max_rack_air_kw=constraints.max_rack_air_kw,
        max_rack_kg=constraints.max_rack_kg,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RackFill:
    """Servers of one rack [count; NaN unknown, 0 one is too much], and what sets the number."""

    servers: float
    binds: str | None


def fills_rack(server: ServerSpec, preset: FacilityPreset) -> bool:
    """Whether a system brings its own rack, with power shelves and manifold."""
    return server.rack_units is not None and (server.rack_units >= preset.rack_units_usable or server.servers_rack == 1)


def rack_fill(server: ServerSpec, preset: FacilityPreset, limits: RackLimits) -> RackFill:
    """The least of space, power, air, weight and the published figure; the first of equals is named."""
    if server.rack_units is None:
        return RackFill(servers=math.nan, binds=None)
    power_kw, weight_kg, air_kw = server.plan_power_kw, server.weight_kg, air_heat_kw(server)
    found: list[tuple[float, str]] = []
    if fills_rack(server, preset):
        found.append((1.0, "space"))
        limit_kw = limits.max_rack_kw
    else:
        if power_kw is None:
            return RackFill(servers=math.nan, binds=None)
        found.append((math.floor(preset.rack_units_usable / server.rack_units), "space"))
        limit_kw = _rack_kw(server, preset, limits)
    for limit, needed, name in (
        (limit_kw, power_kw, "power"),
        (limits.max_rack_air_kw, air_kw, "air"),
        (limits.max_rack_kg, weight_kg, "weight"),
    ):
        if limit is not None:
            if needed is None:
                return RackFill(servers=math.nan, binds=None)
            found.append((math.inf if needed == 0.0 else math.floor(limit / needed * (1.0 + NOISE)), name))
    if server.servers_rack is not None:
        found.append((float(server.servers_rack), "published"))
    servers, binds = min(found, key=lambda pair: pair[0])
    return RackFill(servers=float(servers), binds=binds)


def _rack_kw(server: ServerSpec, preset: FacilityPreset, limits: RackLimits) -> float:
    """The ceiling [kW] of one rack: the site's own figure, else the preset of the server's cooling."""
    if limits.max_rack_kw is not None:
        return limits.max_rack_kw
    return preset.liquid_rack_max_kw if server.cooling is Cooling.LIQUID else preset.air_rack_max_kw


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchStack:
    """Switches of one type: how many [count], power [kW] and rack units of each one; arrays or scalars."""

    switches: Numeric
    power_kw: Numeric
    rack_units: Numeric


def stacked_kw(switches: tuple[SwitchStack, ...]) -> Numeric:
    """Power [kW] of all of them."""
    return sum((np.asarray(s.switches) * s.power_kw for s in switches), start=np.float64(0.0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RackTable:
    """Per server configuration: servers of one rack, and what such racks leave for switches."""

    servers_rack: FloatArray
    desktop: BoolArray
    rack_units: FloatArray
    server_power_kw: FloatArray
    server_air_kw: FloatArray
    # Of a rack: units for servers and for switches, power, and heat into air; zero of a system that fills its rack.
    units_rack: FloatArray
    rack_kw: FloatArray
    rack_air_kw: FloatArray
    # A rack that only switches stand in.
    spare_units_rack: float
    spare_rack_kw: float


def rack_table(servers: tuple[ServerSpec, ...], preset: FacilityPreset, limits: RackLimits) -> RackTable:
    """Rows in the order of `servers`."""
    # Desktops stand on desks.
    whole = np.array([s.rack_units is None or fills_rack(s, preset) for s in servers], dtype=np.bool_)
    most_air_kw = math.inf if limits.max_rack_air_kw is None else limits.max_rack_air_kw
    units = preset.rack_units_usable + preset.switch_rack_units
    return RackTable(
        servers_rack=np.array([rack_fill(s, preset, limits).servers for s in servers], dtype=np.float64),
        desktop=np.array([s.rack_units is None for s in servers], dtype=np.bool_),
        rack_units=np.where(whole, 0.0, [s.rack_units or 0.0 for s in servers]),
        server_power_kw=np.where(whole, 0.0, [s.plan_power_kw or 0.0 for s in servers]),
        server_air_kw=np.where(whole, 0.0, [air_heat_kw(s) or 0.0 for s in servers]),
        units_rack=np.where(whole, 0.0, units),
        rack_kw=np.where(whole, 0.0, [_rack_kw(s, preset, limits) for s in servers]),
        rack_air_kw=np.where(whole, 0.0, most_air_kw),
        spare_units_rack=units,
        spare_rack_kw=min(limits.max_rack_kw or preset.air_rack_max_kw, most_air_kw),
    )


def server_racks(table: RackTable, row: IntArray, *, servers: Numeric) -> FloatArray:
    """Racks [count] of `servers` of each row: ceil(servers / servers per rack); 0 for desktops, inf when none fits."""
    with np.errstate(divide="ignore"):
        needed = np.ceil(servers / table.servers_rack[row])
    return np.where(table.desktop[row], 0.0, needed)


def switch_racks(table: RackTable, row: IntArray, *, servers: Numeric, switches: tuple[SwitchStack, ...]) -> FloatArray:
    """Racks [count] for switches that no rack of servers holds whole by space, power and air; inf where none can."""
    more, _ = _stood(table, row, servers=servers, switches=switches)
    return more


def fullest_rack_kw(
    table: RackTable, row: IntArray, *, servers: Numeric, switches: tuple[SwitchStack, ...], server_kw: Numeric
) -> FloatArray:
    """Power [kW] of the rack of servers that draws most, with the switches in it; `server_kw` is that of one server."""
    _, groups = _stood(table, row, servers=servers, switches=switches)
    drawn = [np.where(count > 0.0, spare.servers * server_kw + spare.switch_kw, 0.0) for spare, count in groups]
    return np.asarray(np.maximum(*drawn), dtype=np.float64)


def switches_by_rack(
    table: RackTable, *, servers: int, switches: tuple[SwitchStack, ...]
) -> tuple[tuple[int, ...], ...]:
    """Switches [count] of each type in every rack: first those of the servers, of the first row, then their own."""
    alone, groups = _stood(table, np.array([0]), servers=np.array([float(servers)]), switches=switches)
    kinds = [(int(count[0]), [int(placed[0]) for placed in spare.placed]) for spare, count in groups]
    left = [int(float(s.switches)) - sum(kind[n] for _, kind in kinds) for n, s in enumerate(switches)]
    racks = [*kinds, (int(alone[0]), left)]
    return tuple(
        tuple(_share(all_, racks=number, rack=rack) for all_ in kind)
        for number, kind in racks
        for rack in range(number)
    )


def _share(switches: int, *, racks: int, rack: int) -> int:
    """What one of the racks holds of equal shares, the last ones the rest."""
    each = math.ceil(switches / racks)
    return min(each, max(0, switches - rack * each))


def _stood(
    table: RackTable, row: IntArray, *, servers: Numeric, switches: tuple[SwitchStack, ...]
) -> "tuple[FloatArray, tuple[tuple[_Spare, FloatArray], tuple[_Spare, FloatArray]]]":
    """Racks for switches alone, then what stands in a full rack of servers and in the one that is not, each counted.

    Racks of servers take equal shares of them, the one that is not full what it has room for.
    """
    racks = server_racks(table, row, servers=servers)
    known = np.isfinite(racks)
    each = np.where(known & ~table.desktop[row], table.servers_rack[row], 1.0)
    filled = np.where(table.desktop[row] | ~known, 0.0, np.floor(servers / np.maximum(each, 1.0)))
    rest = np.where(table.desktop[row] | ~known, 0.0, servers - filled * each)
    groups = ((_Spare.of(table, row, servers=each), filled), (_Spare.of(table, row, servers=rest), np.sign(rest)))
    alone = _Spare(
        servers=np.zeros(racks.shape),
        switch_kw=np.zeros(racks.shape),
        units=np.full(racks.shape, table.spare_units_rack),
        power_kw=np.full(racks.shape, table.spare_rack_kw),
        air_kw=np.full(racks.shape, table.spare_rack_kw),
    )
    more = np.zeros(racks.shape)
    for stack in switches:
        left = np.asarray(stack.switches, dtype=np.float64) + np.zeros(racks.shape)
        for spare, count in groups:
            placed = np.minimum(left, spare.holds(stack) * count)
            spare.take(stack, np.ceil(placed / np.maximum(count, 1.0)))
            spare.placed.append(placed)
            left = left - placed
        with np.errstate(divide="ignore", invalid="ignore"):
            more += np.where(left > 0.0, left / alone.holds(stack), 0.0)
    return np.where(known, np.ceil(more * (1.0 - NOISE)), 0.0), groups


@dataclass(slots=True, kw_only=True, eq=False)
class _Spare:
    """What one rack of each row has left for switches, which give all their heat to air; and what stands in it."""

    servers: FloatArray
    switch_kw: FloatArray
    units: FloatArray
    power_kw: FloatArray
    air_kw: FloatArray
    # Of each type so many in all the racks of this kind.
    placed: list[FloatArray] = field(default_factory=list)

    @classmethod
    def of(cls, table: RackTable, row: IntArray, *, servers: FloatArray) -> "_Spare":
        """Of a rack that so many servers stand in."""
        return cls(
            servers=servers,
            switch_kw=np.zeros(servers.shape),
            units=table.units_rack[row] - servers * table.rack_units[row],
            power_kw=table.rack_kw[row] - servers * table.server_power_kw[row],
            air_kw=table.rack_air_kw[row] - servers * table.server_air_kw[row],
        )

    def holds(self, stack: SwitchStack) -> FloatArray:
        """Whole switches [count] that it takes."""
        power = np.minimum(self.power_kw, self.air_kw)
        with np.errstate(divide="ignore", invalid="ignore"):
            by_power = np.where(np.asarray(stack.power_kw) > 0.0, power / stack.power_kw, np.inf)
            by_units = np.where(np.asarray(stack.rack_units) > 0.0, self.units / stack.rack_units, np.inf)
        most = np.floor(np.minimum(by_power, by_units) * (1.0 + NOISE) + NOISE)
        return np.asarray(np.clip(most, 0.0, _MOST_SWITCHES), dtype=np.float64)

    def take(self, stack: SwitchStack, count: FloatArray) -> None:
        """So many switches stand in it from now on."""
        self.units = self.units - count * stack.rack_units
        self.power_kw = self.power_kw - count * stack.power_kw
        self.switch_kw = self.switch_kw + count * stack.power_kw
        self.air_kw = self.air_kw - count * stack.power_kw
