"""Site and purse limits on whole fleets: facility power, racks, budget; shared by all kinds."""

from functools import lru_cache

import numpy as np

from service.sizing.fabric import fabric_power_kw
from service.sizing.facility import FacilityTable, facility_power_kw, facility_table, it_power_kw, racks
from service.sizing.hardware import FacilityPreset, Hardware
from service.sizing.rank import Verdict, refuse
from service.sizing.result import Limit
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.workload import Constraints

# What sums and products of short decimals are off by: 2.464 kW are within 2.464 kW.
_NOISE = 1e-12


def fleet_power_w(table: HardwareTable, server: IntArray, servers: IntArray) -> FloatArray:
    """Planned IT power [W] of the servers alone; NaN where a server's figure is unknown."""
    return np.asarray(table.server_power_w[server] * servers, dtype=np.float64)


def fleet_weight(weight: FloatArray, server: IntArray, servers: IntArray) -> FloatArray:
    """The weight that options are ranked by: per server times servers; NaN where a server has none."""
    return np.asarray(weight[server] * servers, dtype=np.float64)


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
) -> Verdict:
    """Refuses fleets over max_facility_kw, max_racks or the budget; where a limit is set an unknown figure refuses.

    `budget` is the field that set `weight_limit`.

    `east_west` tells whose servers talk to each other and need a fabric; its switches draw power too.
    """
    if constraints.max_facility_kw is None and constraints.max_racks is None and weight_limit is None:
        return verdict
    table_kw = _facility(table, hardware.facility, constraints.max_rack_kw)
    switches_kw = np.where(east_west, switch_power_kw(table, hardware, server=server, servers=servers), 0.0)
    it_kw = it_power_kw(table_kw, server, servers=servers, switch_power_kw=switches_kw)
    limits: tuple[tuple[Limit, FloatArray, float | None], ...] = (
        (Limit.FACILITY_POWER, facility_power_kw(table_kw, server, it_kw=it_kw), constraints.max_facility_kw),
        (Limit.RACKS, racks(table_kw, server, servers=servers), _number(constraints.max_racks)),
        (budget, fleet_weight(weight, server, servers), weight_limit),
    )
    for limit, needed, ceiling in limits:
        if ceiling is not None:
            refused = np.isnan(needed) | (needed > ceiling * (1.0 + _NOISE))
            verdict = refuse(verdict, refused, limit=limit, required=needed, available=np.full(server.size, ceiling))
    return verdict


def fleet_racks(
    table: HardwareTable, hardware: Hardware, *, max_rack_kw: float | None, server: IntArray, servers: IntArray
) -> FloatArray:
    """Racks [count] of each fleet; NaN where they are unknown."""
    return racks(_facility(table, hardware.facility, max_rack_kw), server, servers=servers)


@lru_cache(maxsize=64)
def _facility(table: HardwareTable, preset: FacilityPreset, max_rack_kw: float | None) -> FacilityTable:
    """Every sizing of this catalog under this limit shares it."""
    return facility_table(table.servers, preset, max_rack_kw=max_rack_kw)


def switch_power_kw(table: HardwareTable, hardware: Hardware, *, server: IntArray, servers: IntArray) -> FloatArray:
    """Power [kW] of the fabric of each fleet; zero where no switch of known power fits, as the plan then shows none."""
    power = np.zeros(server.size)
    for row in np.unique(server):
        mine = server == row
        power[mine] = fabric_power_kw(table.servers[row], hardware.switches, servers=servers[mine])
    return np.nan_to_num(power, nan=0.0)


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)
