"""The other networks of a fleet: the front end that reaches storage and users, and the one that manages the boxes.

Sources: NVIDIA Enterprise Reference Architectures (two front-end ports a node, their tables of management switches);
leaves of the front end give half of their ports to nodes, the other half reaches spines, storage and the site.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.fabric import (
    ETHERNET,
    FabricCounts,
    chosen_switch,
    clos_counts,
    compute_ports,
    fabric_counts,
    in_pattern,
    pattern_of,
    ports_at,
    spine_count,
)
from service.sizing.hardware import ServerSpec, SwitchSpec
from service.sizing.numeric import Numeric
from service.sizing.racks import SwitchStack
from service.sizing.table import BoolArray, FloatArray, IntArray
from service.sizing.units import KW

FRONT_PORTS_NODE = 2
# Of a server whose pattern is none of NVIDIA's.
FRONT_GBIT_S = 200.0
LEAF_PAIR = 2
# 2, 3 and 4 management switches of 48 ports for 16, 24 and 32 nodes in NVIDIA's tables: six ports a node, its share
# of switches and power strips among them.
MANAGEMENT_PORTS_NODE = 6
_MANAGEMENT = "management"


def front_gbit_s(server: ServerSpec) -> float:
    """Speed [Gbit/s] of a front-end port: the pattern's, else 200."""
    pattern = pattern_of(server)
    return FRONT_GBIT_S if pattern is None else pattern.front_gbit_s


def front_ports(server: ServerSpec) -> int:
    """Front-end ports of one server: two a node."""
    return FRONT_PORTS_NODE * server.nodes


def front_counts(switch: SwitchSpec, *, endpoints: Numeric, gbit_s: float) -> FabricCounts:
    """Leaves in pairs, each node on both of one; from the second pair on spines join them."""
    ends = np.asarray(endpoints, dtype=np.float64)
    ports = float(ports_at(switch, gbit_s) or 1)
    pairs = np.ceil(ends / (LEAF_PAIR * ports / 2.0))
    leaves = LEAF_PAIR * pairs
    spines = np.where(leaves > LEAF_PAIR, spine_count(leaves=leaves, endpoints=ends, ports=ports), 0.0)
    return clos_counts(leaves=leaves, spines=spines, endpoints=ends, switch=switch, gbit_s=gbit_s)


def management_switch(switches: tuple[SwitchSpec, ...]) -> SwitchSpec | None:
    """The switch of the management network; of several the preferred one."""
    fitting = [s for s in switches if s.fabric == _MANAGEMENT and s.ports]
    return min(fitting, key=lambda s: (s.preferred_rank, s.id), default=None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FrontChoice:
    """Front ends of fleets by every switch that could make them, and which of those draws least; ties break by id."""

    switches: tuple[SwitchSpec, ...]
    counts: tuple[FabricCounts, ...]
    least: IntArray

    def of_least(self, figures: tuple[FloatArray, ...]) -> FloatArray:
        """For each fleet the figure of its switch; zero where there is none."""
        if not figures:
            return np.zeros(self.least.shape)
        return np.asarray(np.choose(self.least, figures), dtype=np.float64)


def front_choice(
    server: ServerSpec, switches: tuple[SwitchSpec, ...], *, servers: FloatArray, beside: Numeric = 0.0
) -> FrontChoice:
    """The front end of each number of `servers`, by Ethernet switches of known power.

    `beside` nodes without GPUs have two ports of it each, as fast as the others.
    """
    gbit_s = front_gbit_s(server)
    known = [s for s in switches if s.fabric == ETHERNET and s.plan_power_w is not None and ports_at(s, gbit_s)]
    fitting = tuple(sorted(known, key=lambda s: (s.preferred_rank, s.id)))
    ends = servers * front_ports(server) + FRONT_PORTS_NODE * np.asarray(beside)
    counts = tuple(front_counts(s, endpoints=ends, gbit_s=gbit_s) for s in fitting)
    draws = [(c.leaves + c.spines) * (s.plan_power_w or 0.0) for s, c in zip(fitting, counts, strict=True)]
    least = np.argmin(np.stack(draws), axis=0) if draws else np.zeros(servers.shape, dtype=np.int64)
    return FrontChoice(switches=fitting, counts=counts, least=least)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FleetSwitches:
    """Switches of fleets of one server, by network: their number [count], and power [kW] and rack units of each one.

    Power and height are zero where no switch of known power fits, as the plan then shows none.
    """

    compute: FloatArray
    front: FloatArray
    management: FloatArray
    stacks: tuple[SwitchStack, ...]

    def of(self, fleet: int) -> tuple[SwitchStack, ...]:
        """The stacks of one of the fleets, as plain numbers."""
        return tuple(
            SwitchStack(
                switches=float(np.asarray(s.switches)[fleet]),
                power_kw=float(np.asarray(s.power_kw)[fleet]),
                rack_units=float(np.asarray(s.rack_units)[fleet]),
            )
            for s in self.stacks
        )


def fleet_switches(
    server: ServerSpec,
    switches: tuple[SwitchSpec, ...],
    *,
    servers: FloatArray,
    east_west: BoolArray,
    beside: Numeric = 0.0,
) -> FleetSwitches:
    """Compute, front-end and management switches for each number of `servers`; one server uses the site's own.

    `east_west` tells whose servers talk to each other: only they have a compute network. In a reference pattern its
    switches are those of the front end too. Desktops have neither front end nor management network, servers without
    GPUs `beside` them have both.
    """
    racked = np.where(server.rack_units is not None, servers, 0.0)
    boxed = racked + np.asarray(beside) > 1
    main = chosen_switch(switches, compute_ports(server).gbit_s)
    compute, shared = np.zeros(servers.shape), np.zeros(servers.shape, dtype=np.bool_)
    if main is not None:
        counts = fabric_counts(server, main, servers=servers)
        compute = np.where(east_west, counts.leaves + counts.spines, 0.0)
        shared = east_west & in_pattern(server, main, servers=servers)
    choice = front_choice(server, switches, servers=racked, beside=beside)
    own = boxed & ~shared
    front = np.where(own, choice.of_least(tuple(c.leaves + c.spines for c in choice.counts)), 0.0)
    box = management_switch(switches)
    ports = MANAGEMENT_PORTS_NODE * (server.nodes * racked + np.asarray(beside))
    managers = np.zeros(servers.shape)
    if box is not None:
        managers = np.where(boxed, np.maximum(2.0, np.ceil(ports / float(box.ports or 1))), 0.0)
    front_kw = choice.of_least(tuple(np.full(servers.shape, (s.plan_power_w or 0.0) / KW) for s in choice.switches))
    front_units = choice.of_least(tuple(np.full(servers.shape, s.rack_units or 0.0) for s in choice.switches))
    return FleetSwitches(
        compute=compute,
        front=front,
        management=managers,
        stacks=(
            _stack(compute, np.full(servers.shape, _kw(main)), np.full(servers.shape, _units(main))),
            _stack(front, front_kw, front_units),
            _stack(managers, np.full(servers.shape, _kw(box)), np.full(servers.shape, _units(box))),
        ),
    )


def _stack(switches: FloatArray, power_kw: FloatArray, rack_units: FloatArray) -> SwitchStack:
    return SwitchStack(switches=switches, power_kw=power_kw, rack_units=rack_units)


def _kw(switch: SwitchSpec | None) -> float:
    return 0.0 if switch is None else (switch.plan_power_w or 0.0) / KW


def _units(switch: SwitchSpec | None) -> float:
    return 0.0 if switch is None else switch.rack_units or 0.0
