"""Servers on a site, whatever they run: their networks, racks and power, settled once for all that takes so many."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.beside import Beside
from service.sizing.facility import Site, drawing, facility_plan, facility_with
from service.sizing.front_end import fleet_switches
from service.sizing.hardware import ServerSpec, SwitchSpec
from service.sizing.networks import network_plan
from service.sizing.racks import stacked_kw
from service.sizing.result import FacilityPlan, NetworkPlan
from service.sizing.site import Draw


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Standing:
    """So many servers on a site, whatever they run and however busy they are, with their networks and facility.

    `own` is the facility of the servers, `alone` that of those without GPUs by themselves: each as busy as
    the site is taken to be, until `drawing` says how busy the workload makes it.
    """

    server: ServerSpec
    servers: int
    site: Site
    beside: Beside | None
    network: NetworkPlan
    own: FacilityPlan
    alone: FacilityPlan | None
    switch_kw: float
    switch_units: float


@lru_cache(maxsize=4096)
def standing_of(
    server: ServerSpec,
    servers: int,
    site: Site,
    switches: tuple[SwitchSpec, ...],
    *,
    east_west: bool,
    nvlink_gb_s: float | None,
    beside: Beside | None,
) -> Standing:
    """The same for every question that comes to so many servers on such a site."""
    more = 0 if beside is None else beside.servers
    fleet = fleet_switches(
        server, switches, servers=np.array([float(servers)]), east_west=np.array([east_west]), beside=more
    )
    stacks = fleet.of(0)
    return Standing(
        server=server,
        servers=servers,
        site=site,
        beside=beside,
        network=network_plan(server, servers, switches, east_west=east_west, nvlink_gb_s=nvlink_gb_s, beside=more),
        own=facility_plan(server, servers, site, switches=stacks),
        alone=None if beside is None or not more else facility_plan(beside.server, more, site),
        switch_kw=float(stacked_kw(stacks)),
        switch_units=sum(float(s.switches) * float(s.rack_units) for s in stacks),
    )


@lru_cache(maxsize=4096)
def facility_of(standing: Standing, draw: Draw) -> FacilityPlan:
    """With servers that are busy for another share of the time only the energy is another."""
    own = drawing(standing.own, draw.mean_fraction)
    if standing.alone is None or standing.beside is None:
        return own
    return facility_with(own, drawing(standing.alone, draw.mean_fraction), servers=standing.beside.servers)
