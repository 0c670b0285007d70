"""The working of what stands around an option's GPUs: a line for each count, with its rule and where that is from."""

from functools import lru_cache

from service.sizing.beside import Beside
from service.sizing.fabric import compute_ports
from service.sizing.hardware import FacilityPreset
from service.sizing.published_fabrics import published_fabric
from service.sizing.result import FacilityPlan, NetworkPart, Quantity, StoragePlan, WorkingStep
from service.sizing.round_result import rounded_once, significant
from service.sizing.site import Draw
from service.sizing.standing import Standing, facility_of
from service.sizing.units import YEAR_H

_FACILITY = "config/hardware/facility.yaml"
_SERVERS = "config/hardware/servers.yaml"


@lru_cache(maxsize=4096)
def facility_steps(standing: Standing, draw: Draw) -> tuple[WorkingStep, ...]:
    """Racks, power, heat, energy and carbon; servers without GPUs first."""
    return (
        *_beside_steps(standing.beside, standing.alone, standing.site.preset),
        *_facility_steps(standing, facility_of(standing, draw), draw),
    )


@lru_cache(maxsize=4096)
def network_steps(standing: Standing) -> tuple[WorkingStep, ...]:
    """Ports of a server, then switches, cables and modules of each network."""
    server = standing.server
    steps = [
        _step(
            "compute network ports of a server",
            compute_ports(server).server,
            "ports",
            "cards of a node x nodes; together they carry the Gbit/s of every GPU",
            (("nic_gbit_s_gpu", server.nic_gbit_s_gpu), ("port_gbit_s", compute_ports(server).gbit_s)),
            f"{_SERVERS}: {server.id}",
        )
    ]
    for part in standing.network.networks:
        steps.append(_part_step(part))
        check = published_fabric(part)
        if check is not None:
            steps.append(check)
    return tuple(steps)


def _part_step(part: NetworkPart) -> WorkingStep:
    known = part.leaf_switches is not None and part.spine_switches is not None
    return _step(
        f"{part.network} switches",
        float(part.leaf_switches or 0) + float(part.spine_switches or 0) if known else None,
        part.switch or "switches",
        part.rule,
        (
            ("leaf_switches", part.leaf_switches),
            ("spine_switches", part.spine_switches),
            ("endpoints", part.endpoints),
            ("port_gbit_s", part.port_gbit_s),
            ("module_gbit_s", part.module_gbit_s),
            ("cables", part.cables),
            ("switch_ports", part.switch_ports),
            ("site_ports", part.site_ports),
            ("optics", part.optics),
            ("switch_power_kw", part.switch_power_kw),
        ),
        part.source,
    )


@lru_cache(maxsize=4096)
def storage_steps(storage: StoragePlan) -> tuple[WorkingStep, ...]:
    """Capacity and throughput of each stage, and the blocks that make them."""
    stages = [
        _step(
            f"storage: {one.stage} ({one.place})",
            one.capacity_tb,
            "TB",
            one.rule,
            (("read_gb_s", one.read_gb_s), ("write_gb_s", one.write_gb_s)),
            one.source,
        )
        for one in storage.stages
    ]
    counts = [
        _step(
            f"storage: {one.block}",
            one.blocks,
            "blocks at least" if one.at_least else "blocks",
            f"the most of capacity, reading and writing over what one gives; {one.binds} binds"
            + (f"; not published: {', '.join(one.unpublished)}" if one.unpublished else ""),
            (
                ("capacity_tb", storage.capacity_tb),
                ("read_gb_s", storage.read_gb_s),
                ("write_gb_s", storage.write_gb_s),
            ),
            f"config/hardware/storage.yaml: {one.block}",
        )
        for one in storage.blocks
    ]
    return (*stages, *counts)


def _beside_steps(beside: Beside | None, plan: FacilityPlan | None, preset: FacilityPreset) -> list[WorkingStep]:
    """Power, racks and feeds of servers without GPUs, from the plan of these alone; nothing where there are none."""
    if beside is None or plan is None:
        return []
    server = beside.server
    source = f"config/hardware/cpu_servers.yaml: {server.id}"
    count = ("cpu_servers", beside.servers)
    inputs = (count, ("plan_power_kw", server.plan_power_kw))
    return [
        _step("cpu_power_kw", plan.it_power_kw, "kW", "CPU-only servers x planned power", inputs, source),
        _step(
            "cpu_racks",
            plan.racks,
            "racks",
            "CPU-only servers in racks of their own, by space, power, air and weight",
            (count, ("rack_units", server.rack_units), ("weight_kg", server.weight_kg)),
            source,
        ),
        _step(
            "cpu_feeds",
            plan.feeds,
            "feeds",
            "sides x (bound for breakers of the fullest of their racks / feed, rounded up) x those racks",
            (
                count,
                ("cpu_racks", plan.racks),
                ("servers_rack", plan.servers_rack),
                ("max_power_w", server.max_power_w),
                ("feed_kw", preset.feed_kw),
                ("feed_sides", preset.feed_sides),
            ),
            f"{_FACILITY}: preset.feed_kw; {source}",
        ),
    ]


def _facility_steps(standing: Standing, plan: FacilityPlan, draw: Draw) -> list[WorkingStep]:
    return [
        *_rack_steps(standing, plan),
        *_power_steps(standing, plan),
        *_heat_steps(standing, plan),
        _feed_step(standing, plan),
        *_year_steps(standing, plan, draw),
    ]


def _rack_steps(standing: Standing, plan: FacilityPlan) -> list[WorkingStep]:
    """Racks, by what binds in one of them."""
    server, servers = standing.server, standing.servers
    preset, limits = standing.site.preset, standing.site.limits
    return [
        _step(
            "servers in a rack",
            plan.servers_rack,
            "servers",
            f"the least of space, power, air, weight and the published figure; {plan.rack_binds} binds",
            (
                ("rack_units_usable", preset.rack_units_usable),
                ("rack_units", server.rack_units),
                ("plan_power_kw", server.plan_power_kw),
                ("weight_kg", server.weight_kg),
                ("max_rack_kw", limits.max_rack_kw),
                ("max_rack_air_kw", limits.max_rack_air_kw),
                ("max_rack_kg", limits.max_rack_kg),
                ("published_servers_rack", server.servers_rack),
            ),
            f"constraints; {_FACILITY}: preset; {_SERVERS}: {server.id}",
        ),
        _step(
            "racks",
            plan.racks,
            "racks",
            "servers / servers of a rack, racks for switches that none of those holds by space, power and air, and "
            "racks of CPU-only servers",
            (
                ("servers", servers),
                ("switch_racks", plan.switch_racks),
                ("switch_units", standing.switch_units),
                ("cpu_racks", plan.cpu_racks),
            ),
            f"{_FACILITY}: preset.switch_rack_units",
        ),
    ]


def _power_steps(standing: Standing, plan: FacilityPlan) -> list[WorkingStep]:
    """Planned power of the equipment, and of the building with it."""
    server, site = standing.server, standing.site
    told = "constraints" if site.pue is not None else f"{_FACILITY}: preset"
    return [
        _step(
            "it_power_kw",
            plan.it_power_kw,
            "kW",
            "servers x planned power + switches of all networks + CPU-only servers",
            (
                ("servers", standing.servers),
                ("plan_power_kw", server.plan_power_kw),
                ("switch_power_kw", standing.switch_kw),
                ("cpu_power_kw", plan.cpu_power_kw),
            ),
            f"{_SERVERS}: {server.id}; config/hardware/networks.yaml",
        ),
        _step(
            "facility_power_kw",
            plan.facility_power_kw,
            "kW",
            "IT power x PUE of the cooling, of CPU-only servers that of air",
            (("pue", plan.pue),),
            told,
        ),
    ]


def _heat_steps(standing: Standing, plan: FacilityPlan) -> list[WorkingStep]:
    """Where the heat goes."""
    server, preset = standing.server, standing.site.preset
    return [
        _step(
            "heat into air",
            plan.air_heat_kw,
            "kW",
            "IT power - heat into liquid; switches give theirs to air",
            (("liquid_heat_kw", plan.liquid_heat_kw), ("liquid_heat_fraction", server.liquid_heat_fraction)),
            f"{_SERVERS}: {server.id}",
        ),
        _step(
            "coolant distribution units",
            plan.coolant_units,
            "units",
            "one inside a rack where it takes all of the heat, else heat / what a unit of a row takes, and one spare",
            (
                ("liquid_heat_kw", plan.liquid_heat_kw),
                ("rack_cdu_kw", preset.rack_cdu_kw),
                ("cdu_kw", preset.cdu_kw),
            ),
            f"{_FACILITY}: preset.rack_cdu_kw, preset.cdu_kw",
        ),
    ]


def _feed_step(standing: Standing, plan: FacilityPlan) -> WorkingStep:
    server, preset = standing.server, standing.site.preset
    return _step(
        "power feeds",
        plan.feeds,
        "feeds",
        "sides x (bound for breakers of the fullest rack / feed, rounded up) x racks of servers + sides x racks of "
        "switches + those of CPU-only servers",
        (
            ("feeds_rack", plan.rack_feeds),
            ("feed_sides", preset.feed_sides),
            ("feed_kw", preset.feed_kw),
            ("max_power_w", server.max_power_w),
            ("servers", standing.servers),
            ("servers_rack", plan.servers_rack),
            ("racks", plan.racks),
            ("switch_racks", plan.switch_racks),
            ("cpu_racks", plan.cpu_racks),
            ("cpu_feeds", plan.cpu_feeds),
        ),
        f"{_FACILITY}: preset.feed_kw; {_SERVERS}: {server.id}",
    )


def _year_steps(standing: Standing, plan: FacilityPlan, draw: Draw) -> list[WorkingStep]:
    """Energy and carbon of a year."""
    return [
        _step(
            "energy_kwh_year",
            plan.energy_kwh_year,
            "kWh",
            "facility power x share of it that is drawn x hours of a year; share = idle + (load - idle) x busy",
            (
                ("mean_fraction", draw.mean_fraction),
                ("load_fraction", draw.load_fraction),
                ("idle_fraction", draw.idle_fraction),
                ("busy_fraction", draw.busy_fraction),
                ("hours_year", YEAR_H),
            ),
            "config/assumptions.yaml: facility.load_fraction; idle: facility.idle_fraction",
        ),
        _step(
            "carbon_kg_year",
            plan.carbon_kg_year,
            "kg CO2",
            "energy x intensity of the grid",
            (("grid_kg_co2_kwh", standing.site.grid_kg_co2_kwh),),
            "constraints.grid_kg_co2_kwh, else config/assumptions.yaml: facility.grid_kg_co2_kwh",
        ),
    ]


def _step(  # noqa: PLR0917 - one line of a table, read across
    name: str,
    value: float | None,
    unit: str,
    formula: str,
    inputs: tuple[tuple[str, float | None], ...],
    source: str,
) -> WorkingStep:
    return WorkingStep(
        name=name,
        value=None if value is None else significant(float(value)),
        unit=unit,
        formula=formula,
        inputs=rounded_once(tuple(Quantity(name=n, value=None if v is None else float(v)) for n, v in inputs)),
        source=source,
    )
