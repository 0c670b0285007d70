"""The networks of one option, cable by cable: compute, front end, management, and what links GPUs inside a server."""

from dataclasses import replace
from functools import lru_cache

import numpy as np

from service.sizing.fabric import (
    FabricCounts,
    Pattern,
    chosen_switch,
    compute_ports,
    fabric_counts,
    family_switches,
    in_pattern,
    pattern_of,
    ports_at,
    two_tier_limit,
)
from service.sizing.front_end import (
    FRONT_PORTS_NODE,
    MANAGEMENT_PORTS_NODE,
    fleet_switches,
    front_choice,
    front_gbit_s,
    front_ports,
    management_switch,
)
from service.sizing.hardware import ScaleUp, ServerSpec, SwitchSpec
from service.sizing.result import NetworkPart, NetworkPlan, ScaleUpPlan
from service.sizing.units import KW

COMPUTE, FRONT_END, MANAGEMENT = "compute", "front_end", "management"
_CLOS = "rail-optimised leaf-spine"
_ONE_LEAF = "single leaf"
_DIRECT = "direct link"
_CLOS_RULE = (
    "leaves = end points / half of their ports, in whole groups of rails; spines = end points / ports, 2 at least"
)
_CLOS_SOURCE = "DGX SuperPOD B300 reference architecture; Dell H18364.2 (1:1, two spines at least)"
_FRONT_RULE = (
    "two ports a node, one at each leaf of a pair; half of a leaf's ports go to nodes, "
    "the rest to storage, site and spines"
)
_FRONT_SOURCE = "NVIDIA Enterprise Reference Architectures (north-south network)"
_MANAGEMENT_RULE = "six ports a node, its share of switches and power strips among them, over 48; two switches at least"
_MANAGEMENT_SOURCE = "NVIDIA Enterprise Reference Architectures (tables of management switches)"
_SITE_RULE = "one server uses ports that the site has"
_OPTICS = "optics are modules at cards, leaves and spines; copper inside a rack needs fewer"


@lru_cache(maxsize=4096)
def network_plan(
    server: ServerSpec,
    servers: int,
    switches: tuple[SwitchSpec, ...],
    *,
    east_west: bool = True,
    nvlink_gb_s: float | None = None,
    beside: int = 0,
) -> NetworkPlan:
    """The networks of one option. `east_west` is false where the servers' jobs do not talk to each other.

    `beside` servers without GPUs have ports of the front end and of the management network.
    """
    own = compute_ports(server)
    switch = chosen_switch(switches, own.gbit_s)
    compute = _compute(server, servers, switch) if east_west and servers > 1 else None
    parts = (
        *(() if compute is None else (compute,)),
        *_around(server, servers, switches, east_west=east_west, beside=beside),
    )
    pattern = _pattern_name(server, servers, switch) if compute is not None else None
    counts = _nothing() if compute is None else compute
    return NetworkPlan(
        fabric=_fabric(servers, east_west=east_west),
        pattern=pattern,
        nic_gbit_s_gpu=server.nic_gbit_s_gpu,
        leaf_switches=counts.leaf_switches,
        spine_switches=counts.spine_switches,
        switch=counts.switch,
        optics=counts.optics,
        switch_power_kw=counts.switch_power_kw,
        note=_note(server, servers, switch, east_west=east_west),
        cables=counts.cables,
        scale_up=_scale_up(server, servers, nvlink_gb_s),
        networks=parts,
        alternatives=_alternatives(server, servers, switches, taken=switch) if compute is not None else (),
    )


def _fabric(servers: int, *, east_west: bool) -> str:
    if servers <= 1:
        return "none"
    return "ethernet" if east_west else "front-end"


def _nothing() -> NetworkPart:
    """No compute network: nothing is bought for it."""
    return NetworkPart(
        network=COMPUTE,
        switch=None,
        family=None,
        leaf_switches=0,
        spine_switches=0,
        endpoints=0,
        port_gbit_s=0.0,
        module_gbit_s=0.0,
        cables=0,
        switch_ports=0,
        site_ports=0,
        optics=0,
        switch_power_kw=0.0,
        rule="",
        source="",
    )


def _compute(server: ServerSpec, servers: int, switch: SwitchSpec | None) -> NetworkPart:
    """The compute network by one switch; without one its counts are unknown."""
    own = compute_ports(server)
    if switch is None:
        return NetworkPart(
            network=COMPUTE,
            switch=None,
            family=None,
            leaf_switches=None,
            spine_switches=None,
            endpoints=servers * own.server,
            port_gbit_s=own.gbit_s,
            module_gbit_s=own.gbit_s,
            cables=None,
            switch_ports=None,
            site_ports=0,
            optics=None,
            switch_power_kw=None,
            rule=f"no switch of the catalog with known power has {own.gbit_s:g} Gbit/s ports",
            source="config/hardware/networks.yaml",
        )
    counts = fabric_counts(server, switch, servers=np.array([float(servers)]))
    if not counts.leaves[0]:
        return _direct(own.server, own.gbit_s)
    pattern = pattern_of(server)
    small = pattern is not None and bool(in_pattern(server, switch, servers=np.array([float(servers)]))[0])
    if pattern is None or not small:
        return _counted(COMPUTE, switch, counts, gbit_s=own.gbit_s, rule=_CLOS_RULE, source=_CLOS_SOURCE)
    rule, planes = _pattern_rule(pattern), pattern.planes
    return _counted(COMPUTE, switch, counts, gbit_s=own.gbit_s, rule=rule, source=pattern.source, planes=planes)


def _direct(ports: int, gbit_s: float) -> NetworkPart:
    """Two desktops and a cable between each pair of their ports."""
    return replace(
        _nothing(),
        endpoints=2 * ports,
        port_gbit_s=gbit_s,
        module_gbit_s=gbit_s,
        cables=ports,
        rule="two systems joined port by port",
        source="NVIDIA playbook for connecting two stations",
    )


def _counted(
    network: str, switch: SwitchSpec, counts: FabricCounts, *, gbit_s: float, rule: str, source: str, planes: int = 1
) -> NetworkPart:
    """What was counted: ports of cards of `gbit_s`, each divided over `planes`."""
    leaves, spines = int(counts.leaves.flat[0]), int(counts.spines.flat[0])
    endpoints, uplinks = int(counts.endpoints.flat[0]), int(counts.uplinks.flat[0])
    power_w = switch.plan_power_w
    return NetworkPart(
        network=network,
        switch=switch.id,
        family=switch.family,
        leaf_switches=leaves,
        spine_switches=spines,
        endpoints=endpoints,
        port_gbit_s=gbit_s / planes,
        module_gbit_s=gbit_s,
        cables=endpoints + uplinks,
        switch_ports=endpoints + 2 * uplinks,
        site_ports=0,
        optics=int(counts.optics.flat[0]),
        switch_power_kw=None if power_w is None else (leaves + spines) * power_w / KW,
        rule=rule,
        source=source,
    )


def _pattern_rule(pattern: Pattern) -> str:
    steps = ", ".join(f"{switches} switches up to {4 * units} nodes" for units, switches in pattern.steps)
    planes = "" if pattern.planes == 1 else f"; each card has a port to each of {pattern.planes} planes"
    return f"{pattern.name}: {steps}, those of the front end among them{planes}"


def _alternatives(
    server: ServerSpec, servers: int, switches: tuple[SwitchSpec, ...], *, taken: SwitchSpec | None
) -> tuple[NetworkPart, ...]:
    """The compute network by the switch with the most ports of each other product line."""
    if server.rack_units is None:
        return ()
    lines = family_switches(switches, compute_ports(server).gbit_s)
    others = [s for s in lines if taken is None or s.family != taken.family]
    return tuple(_compute(server, servers, switch) for switch in others)


def _around(
    server: ServerSpec, servers: int, switches: tuple[SwitchSpec, ...], *, east_west: bool, beside: int
) -> tuple[NetworkPart, ...]:
    """Front end and management; desktops stand in an office that has both."""
    racked = 0 if server.rack_units is None else servers
    if not racked and not beside:
        return ()
    count, talks = np.array([float(servers)]), np.array([east_west])
    fleet = fleet_switches(server, switches, servers=count, east_west=talks, beside=beside)
    front = _front(server, racked, switches, bought=int(fleet.front[0]), beside=beside)
    box = management_switch(switches)
    ports = MANAGEMENT_PORTS_NODE * (server.nodes * racked + beside)
    if racked + beside <= 1 or box is None:
        rule = _SITE_RULE if racked + beside <= 1 else "the catalog has no management switch"
        return front, _at_site(MANAGEMENT, ports=ports, gbit_s=1.0, rule=rule)
    many = int(fleet.management[0])
    return front, NetworkPart(
        network=MANAGEMENT,
        switch=box.id,
        family=box.family,
        leaf_switches=many,
        spine_switches=0,
        endpoints=ports,
        port_gbit_s=box.port_gbit_s or 1.0,
        module_gbit_s=box.port_gbit_s or 1.0,
        cables=ports,
        switch_ports=ports,
        site_ports=0,
        optics=0,
        switch_power_kw=None if box.plan_power_w is None else many * box.plan_power_w / KW,
        rule=_MANAGEMENT_RULE,
        source=_MANAGEMENT_SOURCE,
    )


def _front(
    server: ServerSpec, servers: int, switches: tuple[SwitchSpec, ...], *, bought: int, beside: int
) -> NetworkPart:
    ports, gbit_s = servers * front_ports(server) + FRONT_PORTS_NODE * beside, front_gbit_s(server)
    if servers + beside <= 1:
        return _at_site(FRONT_END, ports=ports, gbit_s=gbit_s, rule=_SITE_RULE)
    if not bought:
        shared = "its switches are counted with those of the compute network"
        return _at_site(FRONT_END, ports=ports, gbit_s=gbit_s, rule=shared, shared=True)
    choice = front_choice(server, switches, servers=np.array([float(servers)]), beside=beside)
    at = int(choice.least[0])
    return _counted(
        FRONT_END, choice.switches[at], choice.counts[at], gbit_s=gbit_s, rule=_FRONT_RULE, source=_FRONT_SOURCE
    )


def _at_site(network: str, *, ports: int, gbit_s: float, rule: str, shared: bool = False) -> NetworkPart:
    """Cables that end at switches counted elsewhere: the site's own, or those of the compute network."""
    return NetworkPart(
        network=network,
        switch=None,
        family=None,
        leaf_switches=0,
        spine_switches=0,
        endpoints=ports,
        port_gbit_s=gbit_s,
        module_gbit_s=gbit_s,
        cables=ports,
        switch_ports=ports if shared else 0,
        site_ports=0 if shared else ports,
        optics=0 if network == MANAGEMENT else 2 * ports,
        switch_power_kw=0.0,
        rule=rule,
        source=_FRONT_SOURCE if network == FRONT_END else _MANAGEMENT_SOURCE,
    )


def _scale_up(server: ServerSpec, servers: int, nvlink_gb_s: float | None) -> ScaleUpPlan:
    linked = server.scale_up not in {ScaleUp.PCIE, ScaleUp.NONE}
    return ScaleUpPlan(
        link=str(server.scale_up),
        domain_gpus=server.nvlink_domain_gpus,
        domains=servers * server.gpus // server.nvlink_domain_gpus,
        gb_s_gpu=nvlink_gb_s if linked else None,
        note=_SCALE_UP_NOTES[server.scale_up].format(gpus=server.nvlink_domain_gpus, nodes=server.nodes),
    )


_SCALE_UP_NOTES = {
    ScaleUp.NVSWITCH: "{gpus} GPUs behind NVLink switches, each at full speed to every other; part of the system",
    ScaleUp.NVLINK_MESH: "{gpus} GPUs joined pair by pair, which share a GPU's links: not a switched domain",
    ScaleUp.NVLINK_BRIDGE: "bridges join {gpus} GPUs; they belong to the GPU option",
    ScaleUp.PCIE: "GPUs reach each other over PCIe",
    ScaleUp.NONE: "one GPU",
}


def _pattern_name(server: ServerSpec, servers: int, switch: SwitchSpec | None) -> str | None:
    if switch is None:
        return None
    pattern = pattern_of(server)
    if pattern is not None and in_pattern(server, switch, servers=np.array([float(servers)]))[0]:
        return pattern.name
    if server.rack_units is None and servers <= 2:
        return _DIRECT
    leaves = fabric_counts(server, switch, servers=np.array([float(servers)])).leaves[0]
    return _CLOS if leaves > 1 else _ONE_LEAF


def _note(server: ServerSpec, servers: int, switch: SwitchSpec | None, *, east_west: bool) -> str:
    own = compute_ports(server)
    if servers <= 1:
        return "one scale-up domain or server, no network between servers" if server.gpus > 1 else "one system"
    if not east_west:
        return "independent jobs: the front end carries them, no network between GPUs of different servers"
    if switch is None:
        return f"no switch of the catalog with known power has {own.gbit_s:g} Gbit/s ports"
    endpoints, ports = servers * own.server, ports_at(switch, own.gbit_s) or 0
    # Planes of half speed double the ports a leaf offers: NVIDIA's B300 tables reach 16 units of 512 that way.
    planes = 2 if own.gbit_s >= (switch.port_gbit_s or 0.0) else 1
    if endpoints > float(two_tier_limit(ports * planes)):
        return f"{endpoints} ports exceed two tiers of this switch: a third tier comes on top; {_OPTICS}"
    if endpoints > float(two_tier_limit(ports)):
        return f"two planes of half speed, because {endpoints} ports exceed two tiers at full speed; {_OPTICS}"
    return _OPTICS
