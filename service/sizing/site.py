"""Site and purse limits on whole fleets: facility power, racks, budget; shared by all kinds."""

import numpy as np

from service.sizing.facility import facility_power_kw, facility_table, it_power_kw, racks
from service.sizing.hardware import FacilityPreset
from service.sizing.rank import Verdict, refuse
from service.sizing.result import Limit
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.workload import Constraints


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
    table: HardwareTable,
    preset: FacilityPreset,
    constraints: Constraints,
    weight: FloatArray,
    weight_limit: float | None,
) -> Verdict:
    """Refuses fleets over max_facility_kw, max_racks or the budget; where a limit is set an unknown figure refuses."""
    table_kw = facility_table(table.servers, preset, max_rack_kw=constraints.max_rack_kw)
    it_kw = it_power_kw(table_kw, server, servers=servers, switch_power_kw=np.zeros(server.size))
    limits: tuple[tuple[Limit, FloatArray, float | None], ...] = (
        (Limit.FACILITY_POWER, facility_power_kw(table_kw, server, it_kw=it_kw), constraints.max_facility_kw),
        (Limit.RACKS, racks(table_kw, server, servers=servers), _number(constraints.max_racks)),
        (Limit.BUDGET, fleet_weight(weight, server, servers), weight_limit),
    )
    for limit, needed, ceiling in limits:
        if ceiling is not None:
            refused = np.isnan(needed) | (needed > ceiling)
            verdict = refuse(verdict, refused, limit=limit, required=needed, available=np.full(server.size, ceiling))
    return verdict


def _number(value: int | None) -> float | None:
    return None if value is None else float(value)
