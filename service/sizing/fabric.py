"""Switches and optics between servers: NVIDIA's small patterns, then a rail-optimised non-blocking leaf and spine.

Sources: NVIDIA Enterprise Reference Architectures 2-8-5-200, 2-8-9-400 and 2-8-9-800 (leaf rules by scalable unit of
four nodes); DGX SuperPOD B300 tables (16 leaves and 8 spines per 512 GPUs at 800 Gbit/s); Dell's rule of two spines at
least.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from service.sizing.hardware import ServerSpec, SwitchSpec
from service.sizing.numeric import Numeric
from service.sizing.result import NetworkPlan
from service.sizing.table import FloatArray
from service.sizing.units import KW

NODES_SCALABLE_UNIT = 4
MIN_SPINES = 2
RAILS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A reference pattern: CPUs-GPUs-NICs-Gbit/s; up to `most_units` scalable units it needs no spine.

    `steps` are (scalable units, leaf switches): so many leaves up to so many units.
    """

    name: str
    gpus: int
    gbit_s_gpu: float
    steps: tuple[tuple[int, int], ...]

    @property
    def most_units(self) -> int:
        """Scalable units above which a spine is needed."""
        return self.steps[-1][0]


PATTERNS: tuple[Pattern, ...] = (
    Pattern(name="2-8-5-200", gpus=8, gbit_s_gpu=200.0, steps=((5, 2), (8, 4))),
    Pattern(name="2-8-9-400", gpus=8, gbit_s_gpu=400.0, steps=((3, 2), (4, 4))),
    Pattern(name="2-8-9-800", gpus=8, gbit_s_gpu=800.0, steps=((4, 6),)),
    Pattern(name="2-4-3-200", gpus=4, gbit_s_gpu=200.0, steps=((8, 2),)),
)


def pattern_of(server: ServerSpec) -> Pattern | None:
    """The reference pattern of a server's GPU count and NIC speed."""
    for pattern in PATTERNS:
        if server.gpus == pattern.gpus and server.nic_gbit_s_gpu == pattern.gbit_s_gpu:
            return pattern
    return None


def leaf_count(*, endpoints: Numeric, ports: Numeric, rails: int = RAILS) -> FloatArray:
    """Leaves [count] of a non-blocking fabric: endpoints / (ports / 2), rounded so that rails share leaves evenly.

    Half of a leaf's ports go down. Up to `rails` leaves their number divides `rails`, above it is a multiple: 1,024
    GPUs at 128 x 400 Gbit/s take 16 (Dell Fabric Design Center).
    """
    needed = np.ceil(np.asarray(endpoints, dtype=np.float64) / (np.asarray(ports) / 2.0))
    few = np.exp2(np.ceil(np.log2(np.maximum(needed, 1.0))))
    many = np.ceil(needed / rails) * rails
    return np.where(needed <= rails, few, many)


def spine_count(*, leaves: Numeric, endpoints: Numeric, ports: Numeric) -> FloatArray:
    """Spines [count]: one leaf needs none; else endpoints / ports, half of the leaves at least, never under two."""
    by_links = np.ceil(np.asarray(endpoints, dtype=np.float64) / np.asarray(ports))
    spines = np.maximum(MIN_SPINES, np.maximum(by_links, np.ceil(np.asarray(leaves) / 2.0)))
    return np.where(np.asarray(leaves) > 1, spines, 0.0)


def two_tier_limit(ports: Numeric) -> FloatArray:
    """Endpoints [count] that two tiers can connect without blocking: ports^2 / 2."""
    return np.asarray(ports, dtype=np.float64) ** 2 / 2.0


def ports_at(switch: SwitchSpec, gbit_s: float) -> int | None:
    """Ports of a switch at that speed: slower ports by splitting, faster ones not at all; None where it is unknown."""
    if switch.ports is None or switch.port_gbit_s is None or gbit_s > switch.port_gbit_s:
        return None
    splits = min(4, int(switch.port_gbit_s // gbit_s))
    return switch.ports * max(1, splits)


def chosen_switch(switches: tuple[SwitchSpec, ...], gbit_s: float) -> SwitchSpec | None:
    """The Ethernet switch with the most ports at that speed whose power is known; ties break by id."""
    fitting = [s for s in switches if s.fabric == "ethernet" and ports_at(s, gbit_s) and s.plan_power_w is not None]
    if not fitting:
        return None
    return min(fitting, key=lambda s: (-(ports_at(s, gbit_s) or 0), s.preferred_rank, s.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricCounts:
    """Switches and link ends of an option; arrays or scalars."""

    leaves: FloatArray
    spines: FloatArray
    optics: FloatArray


def fabric_counts(server: ServerSpec, switch: SwitchSpec, *, servers: Numeric) -> FabricCounts:
    """East-west fabric for each number of `servers`: none for one, the pattern's leaves while it has any, then Clos."""
    ports = float(ports_at(switch, server.nic_gbit_s_gpu) or 0)
    count = np.asarray(servers, dtype=np.float64)
    endpoints = count * server.gpus
    leaves = leaf_count(endpoints=endpoints, ports=ports)
    spines = spine_count(leaves=leaves, endpoints=endpoints, ports=ports)
    pattern = pattern_of(server)
    if pattern is not None:
        units = np.ceil(count / NODES_SCALABLE_UNIT)
        small = units <= pattern.most_units
        for most, switches in reversed(pattern.steps):
            leaves = np.where(units <= most, float(switches), leaves)
        spines = np.where(small, 0.0, spines)
    alone = count <= 1
    uplinks = np.where(spines > 0, endpoints, 0.0)
    return FabricCounts(
        leaves=np.where(alone, 0.0, leaves),
        spines=np.where(alone, 0.0, spines),
        optics=np.where(alone, 0.0, 2.0 * (endpoints + uplinks)),
    )


def fabric_power_kw(server: ServerSpec, switches: tuple[SwitchSpec, ...], *, servers: Numeric) -> FloatArray:
    """Power [kW] of the switches for each number of `servers`; NaN where no switch of known power fits the NICs."""
    count = np.asarray(servers)
    switch = chosen_switch(switches, server.nic_gbit_s_gpu)
    if switch is None or switch.plan_power_w is None:
        return np.where(count <= 1, 0.0, np.nan)
    counts = fabric_counts(server, switch, servers=count)
    return np.asarray((counts.leaves + counts.spines) * switch.plan_power_w / KW, dtype=np.float64)


@lru_cache(maxsize=4096)
def network_plan(
    server: ServerSpec, servers: int, switches: tuple[SwitchSpec, ...], *, east_west: bool = True
) -> NetworkPlan:
    """The fabric of one option. `east_west` is false where the servers' jobs do not talk to each other."""
    nic = server.nic_gbit_s_gpu
    if servers <= 1:
        return _plan("none", nic, note="one scale-up domain, no fabric between servers", leaves=0, spines=0)
    if not east_west:
        note = "independent jobs: the site's front-end network carries them, no east-west fabric"
        return _plan("front-end", nic, note=note, leaves=0, spines=0)
    switch = chosen_switch(switches, nic)
    if switch is None:
        return _plan("ethernet", nic, note=f"no switch of the catalog with known power has {nic:g} Gbit/s ports")
    counts = fabric_counts(server, switch, servers=np.array([servers]))
    pattern = pattern_of(server)
    small = pattern is not None and math.ceil(servers / NODES_SCALABLE_UNIT) <= pattern.most_units
    leaves, spines, optics = int(counts.leaves[0]), int(counts.spines[0]), int(counts.optics[0])
    return NetworkPlan(
        fabric="ethernet",
        pattern=pattern.name if small and pattern is not None else "rail-optimised leaf-spine",
        nic_gbit_s_gpu=nic,
        leaf_switches=leaves,
        spine_switches=spines,
        switch=switch.id,
        optics=optics,
        switch_power_kw=(leaves + spines) * switch.plan_power_w / KW if switch.plan_power_w is not None else None,
        note=_note(server, servers, switch) + ("; the pattern's north-south leaves are among them" if small else ""),
    )


def _plan(
    fabric: str, nic_gbit_s: float, *, note: str, leaves: int | None = None, spines: int | None = None
) -> NetworkPlan:
    return NetworkPlan(
        fabric=fabric,
        pattern=None,
        nic_gbit_s_gpu=nic_gbit_s,
        leaf_switches=leaves,
        spine_switches=spines,
        switch=None,
        optics=0 if leaves == 0 else None,
        switch_power_kw=0.0 if leaves == 0 else None,
        note=note,
    )


def _note(server: ServerSpec, servers: int, switch: SwitchSpec) -> str:
    ports = ports_at(switch, server.nic_gbit_s_gpu) or 0
    # Planes of half speed double the ports a leaf offers: NVIDIA's B300 tables reach 16 units of 512 that way.
    planes = 2 if server.nic_gbit_s_gpu >= (switch.port_gbit_s or 0.0) else 1
    endpoints = servers * server.gpus
    text = "optics are link ends; copper inside a rack needs fewer"
    if endpoints > float(two_tier_limit(ports * planes)):
        return f"{endpoints} ports exceed two tiers of this switch: a third tier comes on top; {text}"
    if planes == 2:
        return f"two planes of half speed above 2,048 GPUs; {text}"
    return text
