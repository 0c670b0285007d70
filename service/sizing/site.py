"""Site and purse limits on whole fleets: facility power, racks, budget; shared by all kinds."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.facility import Site, facility_power_kw, facility_table, it_power_kw, racks
from service.sizing.front_end import FleetSwitches, fleet_switches
from service.sizing.hardware import FacilityPreset, Hardware
from service.sizing.numeric import NOISE
from service.sizing.racks import (
    RackLimits,
    RackTable,
    SwitchStack,
    rack_limits,
    rack_table,
    server_racks,
    stacked_kw,
)
from service.sizing.rank import Verdict, refuse
from service.sizing.result import Limit
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.workload import Constraints


def fleet_power_w(table: HardwareTable, server: IntArray, servers: IntArray) -> FloatArray:
    """Planned IT power [W] of the servers alone; NaN where a server's figure is unknown."""
    return np.asarray(table.server_power_w[server] * servers, dtype=np.float64)


def fleet_weight(weight: FloatArray, server: IntArray, servers: IntArray) -> FloatArray:
    """The weight that options are ranked by: per server times servers; NaN where a server has none."""
    return np.asarray(weight[server] * servers, dtype=np.float64)


def beside_weight_of(beside: IntArray, each: float) -> FloatArray:
    """The weight of so many servers without GPUs; nothing where there are none, NaN where they have no weight."""
    return np.where(beside > 0, beside * each, 0.0)


def site_verdict(
    verdict: Verdict,
    *,
    server: IntArray,
    servers: IntArray,
    east_west: BoolArray,
    table: HardwareTable,
    hardware: Hardware,
    constraints: Constraints,
    weight: FloatArray,
    weight_limit: float | None,
    budget: Limit = Limit.BUDGET,
    beside: IntArray | None = None,
    beside_weight: float = math.nan,
) -> Verdict:
    """Refuses fleets over max_facility_kw, max_racks or the budget; where a limit is set an unknown figure refuses.

    `budget` is the field that set `weight_limit`. `beside` are servers without GPUs of each fleet, in racks of their
    own; each weighs `beside_weight`, NaN where nobody knows.

    `east_west` tells whose servers talk to each other and need a fabric; its switches draw power too.
    """
    if constraints.max_facility_kw is None and constraints.max_racks is None and weight_limit is None:
        return verdict
    table_kw = facility_table(table.servers, site_of(hardware.facility, constraints))
    more = np.zeros(server.size, dtype=np.int64) if beside is None else beside
    switches = _switches(table, hardware, server=server, servers=servers, east_west=east_west, beside=more)
    it_kw = it_power_kw(table_kw, server, servers=servers, switch_power_kw=stacked_kw(switches))
    stands = racks(table_kw, server, servers=servers, switches=switches)
    cpu_kw, cpu_racks = _beside(hardware, constraints, more)
    facility_kw = facility_power_kw(table_kw, server, it_kw=it_kw) + cpu_kw
    limits: tuple[tuple[Limit, FloatArray, float | None], ...] = (
        (Limit.FACILITY_POWER, facility_kw, constraints.max_facility_kw),
        (Limit.RACKS, stands + cpu_racks, _number(constraints.max_racks)),
        (budget, fleet_weight(weight, server, servers) + beside_weight_of(more, beside_weight), weight_limit),
    )
    for limit, needed, ceiling in limits:
        if ceiling is not None:
            refused = np.isnan(needed) | (needed > ceiling * (1.0 + NOISE))
            verdict = refuse(verdict, refused, limit=limit, required=needed, available=np.full(server.size, ceiling))
    return verdict


def _beside(hardware: Hardware, constraints: Constraints, servers: IntArray) -> tuple[FloatArray, FloatArray]:
    """Facility power [kW] and racks [count] of so many servers without GPUs; zero where there are none."""
    if not np.any(servers):
        return np.zeros(servers.size), np.zeros(servers.size)
    table = facility_table((hardware.cpu_servers[0].placed(),), site_of(hardware.facility, constraints))
    row, none = np.zeros(servers.size, dtype=np.int64), np.zeros(servers.size)
    it_kw = it_power_kw(table, row, servers=servers, switch_power_kw=none)
    stands = np.where(servers > 0, server_racks(table.racks, row, servers=servers), 0.0)
    return facility_power_kw(table, row, it_kw=it_kw), stands


def fleet_racks(
    table: HardwareTable, preset: FacilityPreset, constraints: Constraints, *, server: IntArray, servers: IntArray
) -> FloatArray:
    """Racks [count] of the servers of each fleet, without those of its switches; NaN where they are unknown."""
    return server_racks(_rack_table(table, preset, rack_limits(constraints)), server, servers=servers)


@lru_cache(maxsize=64)
def _rack_table(table: HardwareTable, preset: FacilityPreset, limits: RackLimits) -> RackTable:
    """Every sizing of this catalog under these limits shares it."""
    return rack_table(table.servers, preset, limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Shares of the planned power that servers draw busy and idle, and of the planned time that they are busy."""

    load_fraction: float
    idle_fraction: float
    busy_fraction: float

    @property
    def mean_fraction(self) -> float:
        """The mean of the year: idle + (load - idle) x busy."""
        return self.idle_fraction + (self.load_fraction - self.idle_fraction) * self.busy_fraction


def draw_of(calibration: Calibration, busy_fraction: float) -> Draw:
    """The draw of servers that are busy for a share of the planned time."""
    return Draw(
        load_fraction=calibration.assumption("facility.load_fraction"),
        idle_fraction=calibration.assumption("facility.idle_fraction"),
        busy_fraction=min(1.0, max(0.0, busy_fraction)),
    )


def site_of(preset: FacilityPreset, constraints: Constraints, calibration: Calibration | None = None) -> Site:
    """The site that the constraints describe; with `calibration` also what it draws over a year and from which grid."""
    stated = constraints.grid_kg_co2_kwh
    if calibration is None:
        return Site(preset=preset, limits=rack_limits(constraints), pue=constraints.pue)
    return Site(
        preset=preset,
        limits=rack_limits(constraints),
        pue=constraints.pue,
        load_fraction=calibration.assumption("facility.load_fraction"),
        grid_kg_co2_kwh=calibration.assumption("facility.grid_kg_co2_kwh") if stated is None else stated,
    )


def _switches(
    table: HardwareTable,
    hardware: Hardware,
    *,
    server: IntArray,
    servers: IntArray,
    east_west: BoolArray,
    beside: IntArray,
) -> tuple[SwitchStack, ...]:
    """Switches of every network of each fleet."""
    networks = 3
    count, power, units = (np.zeros((networks, server.size)) for _ in range(3))
    for row in np.unique(server):
        mine = server == row
        found: FleetSwitches = fleet_switches(
            table.servers[row],
            hardware.switches,
            servers=servers[mine].astype(np.float64),
            east_west=np.asarray(east_west[mine], dtype=np.bool_),
            beside=beside[mine],
        )
        for network, stack in enumerate(found.stacks):
            count[network, mine], power[network, mine] = stack.switches, stack.power_kw
            units[network, mine] = stack.rack_units
    return tuple(SwitchStack(switches=count[n], power_kw=power[n], rack_units=units[n]) for n in range(networks))


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)
