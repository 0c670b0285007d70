"""The compute network between servers: NVIDIA's small patterns, then a rail-optimised non-blocking leaf and spine.

Sources: NVIDIA Enterprise Reference Architectures 2-8-5-200, 2-8-9-400, 2-8-9-800 and 2-4-3-200 (leaf rules by scalable
unit of four nodes); DGX SuperPOD B300 tables; Dell's rules of two spines at least and of 1:1 for AI.
"""

from dataclasses import dataclass

import numpy as np

from service.sizing.hardware import ServerSpec, SwitchSpec
from service.sizing.numeric import Numeric
from service.sizing.table import BoolArray, FloatArray

NODES_SCALABLE_UNIT = 4
MIN_SPINES = 2
RAILS = 8
ETHERNET = "ethernet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A reference pattern: CPUs-GPUs-NICs-Gbit/s; up to `most_units` scalable units it needs no spine.

    `nics` cards of the compute network in a node, each with one port to every one of `planes`; `front_gbit_s` is the
    speed of the two ports of the remaining card. `steps` are (scalable units, switches): so many switches up to so many
    units, those of the front-end network among them.
    """

    name: str
    gpus: int
    gbit_s_gpu: float
    nics: int
    planes: int
    front_gbit_s: float
    steps: tuple[tuple[int, int], ...]
    source: str

    @property
    def most_units(self) -> int:
        """Scalable units above which a spine is needed."""
        return self.steps[-1][0]


def _pattern(name: str, *, planes: int, front_gbit_s: float, steps: tuple[tuple[int, int], ...], page: str) -> Pattern:
    _, gpus, nics, gbit_s = (int(part) for part in name.split("-"))
    return Pattern(
        name=name,
        gpus=gpus,
        gbit_s_gpu=float(gbit_s),
        # One of the cards is the one of the front end.
        nics=nics - 1,
        planes=planes,
        front_gbit_s=front_gbit_s,
        steps=steps,
        source=f"NVIDIA Enterprise Reference Architecture {name}, {page}",
    )


PATTERNS: tuple[Pattern, ...] = (
    _pattern("2-8-5-200", planes=1, front_gbit_s=200.0, steps=((5, 2), (8, 4)), page="RTX PRO AI Factory"),
    _pattern("2-8-9-400", planes=1, front_gbit_s=200.0, steps=((3, 2), (4, 4)), page="HGX H100/H200/B200"),
    _pattern("2-8-9-800", planes=2, front_gbit_s=400.0, steps=((4, 6),), page="HGX AI Factory (B300), dual plane"),
    _pattern("2-4-3-200", planes=1, front_gbit_s=200.0, steps=((8, 2),), page="scaling table, collapsed pair"),
)


def pattern_of(server: ServerSpec) -> Pattern | None:
    """The reference pattern of a server's GPU count and NIC speed."""
    for pattern in PATTERNS:
        if server.gpus == pattern.gpus and server.nic_gbit_s_gpu == pattern.gbit_s_gpu:
            return pattern
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """The compute network's ports of one server: how many, at which speed, and on how many rails they lie."""

    server: int
    gbit_s: float
    rails: int


def compute_ports(server: ServerSpec) -> Ports:
    """Cards of a node x nodes; together they carry the stated Gbit/s of every GPU. A rail is one card of each node."""
    pattern = pattern_of(server)
    gpus_node = server.gpus // server.nodes
    nics = server.nics_node or (gpus_node if pattern is None else pattern.nics)
    return Ports(
        server=nics * server.nodes,
        gbit_s=server.nic_gbit_s_gpu * gpus_node / nics,
        rails=min(RAILS, nics),
    )


def leaf_count(*, endpoints: Numeric, ports: Numeric, rails: int = RAILS) -> FloatArray:
    """Leaves [count] of a non-blocking fabric: endpoints / (ports / 2), rounded so that rails share leaves evenly.

    Half of a leaf's ports go down. Up to `rails` leaves their number is a power of two, above it a multiple of `rails`:
    1,024 GPUs at 128 x 400 Gbit/s take 16 (Dell Fabric Design Center).
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


def splits_at(switch: SwitchSpec, gbit_s: float) -> int | None:
    """Links at `gbit_s` that one port of the switch can make: ports split up to fourfold, they do not join."""
    if switch.ports is None or switch.port_gbit_s is None or gbit_s > switch.port_gbit_s:
        return None
    return max(1, min(4, int(switch.port_gbit_s // gbit_s)))


def ports_at(switch: SwitchSpec, gbit_s: float) -> int | None:
    """Ports that a switch offers at `gbit_s`; None where it is unknown or too slow."""
    splits = splits_at(switch, gbit_s)
    return None if splits is None or switch.ports is None else switch.ports * splits


def chosen_switch(switches: tuple[SwitchSpec, ...], gbit_s: float) -> SwitchSpec | None:
    """The Ethernet switch with the most ports at that speed whose power is known; ties break by id."""
    return _most_ports([s for s in switches if s.fabric == ETHERNET and s.plan_power_w is not None], gbit_s)


def family_switches(switches: tuple[SwitchSpec, ...], gbit_s: float) -> tuple[SwitchSpec, ...]:
    """Of every product line that can make a compute network the switch with the most ports at that speed."""
    families = sorted({s.family for s in switches if s.fabric != "management"})
    found = (_most_ports([s for s in switches if s.family == name], gbit_s) for name in families)
    return tuple(switch for switch in found if switch is not None)


def _most_ports(switches: list[SwitchSpec], gbit_s: float) -> SwitchSpec | None:
    fitting = [s for s in switches if s.fabric != "management" and ports_at(s, gbit_s)]
    if not fitting:
        return None
    return min(fitting, key=lambda s: (-(ports_at(s, gbit_s) or 0), s.preferred_rank, s.id))


@dataclass(frozen=True, slots=True, kw_only=True)
class FabricCounts:
    """Switches, cables and link ends of a two-tier network; arrays or scalars.

    `uplinks` run between leaves and spines at the switches' own speed. `optics` are modules: one at each card, one at a
    leaf for all links that share its port, two for each uplink.
    """

    leaves: FloatArray
    spines: FloatArray
    endpoints: FloatArray
    uplinks: FloatArray
    optics: FloatArray

    @property
    def cables(self) -> FloatArray:
        """Cables [count]: one for each end point and each uplink."""
        return self.endpoints + self.uplinks


def clos_counts(
    *, leaves: FloatArray, spines: FloatArray, endpoints: FloatArray, switch: SwitchSpec, gbit_s: float
) -> FabricCounts:
    """What so many leaves and spines take: links down at `gbit_s`, as much capacity up again, leaf by leaf."""
    splits = float(splits_at(switch, gbit_s) or 1)
    down_leaf = np.ceil(endpoints / np.maximum(leaves, 1.0))
    up_leaf = np.where(spines > 0, np.ceil(down_leaf * gbit_s / (switch.port_gbit_s or gbit_s)), 0.0)
    uplinks = leaves * up_leaf
    return FabricCounts(
        leaves=leaves,
        spines=spines,
        endpoints=endpoints,
        uplinks=uplinks,
        optics=np.where(leaves > 0, endpoints + leaves * np.ceil(down_leaf / splits) + 2.0 * uplinks, 0.0),
    )


def fabric_counts(server: ServerSpec, switch: SwitchSpec, *, servers: Numeric) -> FabricCounts:
    """Compute network for each number of `servers`: none for one, the pattern's switches while it has any, then Clos.

    Patterns are of Ethernet; other fabrics are Clos from the second server on.
    """
    own = compute_ports(server)
    ports = float(ports_at(switch, own.gbit_s) or 0)
    count = np.asarray(servers, dtype=np.float64)
    endpoints = count * own.server
    leaves = leaf_count(endpoints=endpoints, ports=ports, rails=own.rails)
    spines = spine_count(leaves=leaves, endpoints=endpoints, ports=ports)
    small = in_pattern(server, switch, servers=count)
    pattern = pattern_of(server)
    planes, gbit_s = 1, own.gbit_s
    if pattern is not None and np.any(small):
        units = np.ceil(count / NODES_SCALABLE_UNIT)
        for most, switches in reversed(pattern.steps):
            leaves = np.where(small & (units <= most), float(switches), leaves)
        spines = np.where(small, 0.0, spines)
        planes, gbit_s = pattern.planes, own.gbit_s / pattern.planes
    # Two desktops are joined by a cable.
    alone = count <= (1 if server.rack_units is not None else 2)
    whole = clos_counts(
        leaves=np.where(alone, 0.0, leaves),
        spines=np.where(alone, 0.0, spines),
        endpoints=np.where(alone, 0.0, endpoints),
        switch=switch,
        gbit_s=own.gbit_s,
    )
    if planes == 1:
        return whole
    split = clos_counts(
        leaves=whole.leaves, spines=whole.spines, endpoints=whole.endpoints * planes, switch=switch, gbit_s=gbit_s
    )
    # Each card has a link to every plane; one module of the card carries them.
    return FabricCounts(
        leaves=whole.leaves,
        spines=whole.spines,
        endpoints=np.where(small, split.endpoints, whole.endpoints),
        uplinks=whole.uplinks,
        optics=np.where(small & ~alone, split.optics - split.endpoints + whole.endpoints, whole.optics),
    )


def in_pattern(server: ServerSpec, switch: SwitchSpec, *, servers: Numeric) -> BoolArray:
    """Whether so many servers are few enough for the reference pattern of theirs (booleans)."""
    pattern, count = pattern_of(server), np.asarray(servers, dtype=np.float64)
    if pattern is None or switch.fabric != ETHERNET:
        return np.zeros(count.shape, dtype=np.bool_)
    return np.asarray(np.ceil(count / NODES_SCALABLE_UNIT) <= pattern.most_units, dtype=np.bool_)
