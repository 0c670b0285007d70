"""What is bought and powered around an option, against arithmetic by hand and against laws."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scripts.size_file import answer
from service.catalog.catalog import Catalog
from service.sizing.facility import Site, facility_plan
from service.sizing.front_end import fleet_switches
from service.sizing.hardware import ServerSpec
from service.sizing.infrastructure import Beside, Infrastructure, infrastructure
from service.sizing.networks import network_plan
from service.sizing.published_fabrics import published_fabric
from service.sizing.racks import RackLimits, SwitchStack
from service.sizing.result import NetworkPart, StoragePlan
from service.sizing.storage import inference_storage
from service.sizing.workload import Constraints
from tests.facts import own_book

CASES = sorted((Path(__file__).parents[1] / "cases" / "infrastructure").glob("*.yaml"))
RACKED = [
    "poweredge-r770-rtx-pro-6000-se",
    "poweredge-xe7745-rtx-pro-6000-se",
    "poweredge-xe8712-gb200",
    "poweredge-xe9680l-b200",
    "poweredge-xe9712-gb300",
    "poweredge-xe9780-b200",
    "poweredge-xe9780-b300",
    "poweredge-xe9780l-b300",
]


def at(answered: Any, path: str) -> Any:
    for name in path.split("."):
        answered = answered[int(name)] if name.isdigit() else answered[name]
    return answered


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_hand_arithmetic(path: Path, catalog: Catalog) -> None:
    case = yaml.safe_load(path.read_text(encoding="utf-8"))
    _, result = answer(orjson.dumps(case["request"]), (catalog, own_book()))
    option = result["options"][0]
    assert option["servers"] == case["servers"]
    found = {name: at(option, name) for name in case["expected"]}
    wanted = {
        name: pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
        for name, value in case["expected"].items()
    }
    assert found == wanted
    assert case["source"]


def test_there_are_cases() -> None:
    assert len(CASES) >= 5


def built(
    catalog: Catalog,
    server: ServerSpec,
    servers: int,
    *,
    east_west: bool = True,
    beside: Beside | None = None,
    **limits: float,
) -> Infrastructure:
    return infrastructure(
        server,
        catalog.hardware.gpu(server.gpu),
        servers=servers,
        east_west=east_west,
        storage=inference_storage(weights_bytes=70e9, versions=2, servers=servers, load_s=300.0),
        hardware=catalog.hardware,
        constraints=Constraints(**limits),
        calibration=catalog.calibration,
        beside=beside,
    )


SERVERS = st.sampled_from(RACKED)


@given(name=SERVERS, servers=st.integers(1, 600), east_west=st.booleans())
def test_every_cable_has_two_ends(name, servers, east_west, catalog):
    plan = network_plan(catalog.hardware.server(name), servers, catalog.hardware.switches, east_west=east_west)

    for part in (*plan.networks, *plan.alternatives):
        assert 2 * part.cables == part.endpoints + part.switch_ports + part.site_ports


@given(name=SERVERS, servers=st.integers(2, 600), east_west=st.booleans())
def test_switches_have_the_ports_that_cables_take(name, servers, east_west, catalog):
    """Links of any speed against all ports at the speed of the switch; a pattern's switches carry the front end too."""
    switches = {s.id: s for s in catalog.hardware.switches}
    plan = network_plan(catalog.hardware.server(name), servers, catalog.hardware.switches, east_west=east_west)
    parts = {part.network: part for part in plan.networks}
    shared = parts["front_end"] if not parts["front_end"].leaf_switches else None
    for part in plan.networks:
        if part.network == "front_end" and part is shared:
            continue
        switch = switches[part.switch]
        offered = (part.leaf_switches + part.spine_switches) * switch.ports * switch.port_gbit_s
        uplinks = (part.switch_ports - part.endpoints) * switch.port_gbit_s
        taken = part.endpoints * part.port_gbit_s + (uplinks if part.network != "management" else 0.0)
        if part.network == "compute" and shared is not None:
            taken += shared.endpoints * shared.port_gbit_s
        assert taken <= offered


@given(name=SERVERS, servers=st.integers(1, 500), more=st.integers(0, 100), east_west=st.booleans())
def test_more_servers_never_take_fewer_of_anything(name, servers, more, east_west, catalog):
    server = catalog.hardware.server(name)
    few = built(catalog, server, servers, east_west=east_west)
    many = built(catalog, server, servers + more, east_west=east_west)

    for count in (
        "racks",
        "feeds",
        "coolant_units",
        "it_power_kw",
        "facility_power_kw",
        "weight_kg",
        "energy_kwh_year",
    ):
        less, rest = getattr(few.facility, count), getattr(many.facility, count)
        assert (less is None) == (rest is None)
        assert less is None or less <= rest * (1 + 1e-12)
    assert few.network.cables <= many.network.cables
    assert few.network.leaf_switches + few.network.spine_switches <= (
        many.network.leaf_switches + many.network.spine_switches
    )


@given(name=SERVERS, servers=st.integers(1, 600), east_west=st.booleans())
def test_all_power_becomes_heat_in_air_or_in_liquid(name, servers, east_west, catalog):
    plan = built(catalog, catalog.hardware.server(name), servers, east_west=east_west).facility

    if plan.liquid_heat_kw is None:
        assert plan.air_heat_kw is None
    else:
        assert plan.air_heat_kw + plan.liquid_heat_kw == pytest.approx(plan.it_power_kw)
        assert plan.air_heat_kw >= 0.0


@given(name=SERVERS, servers=st.integers(1, 600), east_west=st.booleans())
def test_power_is_that_of_servers_and_of_every_switch(name, servers, east_west, catalog):
    server = catalog.hardware.server(name)
    found = built(catalog, server, servers, east_west=east_west)
    switches_kw = sum(part.switch_power_kw for part in found.network.networks)

    assert found.facility.it_power_kw == pytest.approx(servers * server.plan_power_kw + switches_kw)
    assert found.facility.facility_power_kw == pytest.approx(found.facility.it_power_kw * found.facility.pue)


@given(name=SERVERS, servers=st.lists(st.integers(1, 600), min_size=1, max_size=8), east_west=st.booleans())
def test_fleets_are_counted_alone_as_together(name, servers, east_west, catalog):
    server, switches = catalog.hardware.server(name), catalog.hardware.switches
    counts = np.array(servers, dtype=np.float64)
    together = fleet_switches(server, switches, servers=counts, east_west=np.full(counts.size, east_west))
    for place, count in enumerate(servers):
        plan = network_plan(server, count, switches, east_west=east_west)
        bought = {p.network: (p.leaf_switches or 0) + (p.spine_switches or 0) for p in plan.networks}
        assert together.compute[place] == bought.get("compute", 0)
        assert together.front[place] == bought["front_end"]
        assert together.management[place] == bought["management"]


@given(
    name=SERVERS,
    servers=st.integers(1, 100),
    limits=st.fixed_dictionaries(
        {
            "max_rack_kw": st.floats(20, 300),
            "max_rack_kg": st.floats(200, 3000),
            "max_rack_air_kw": st.floats(15, 100),
        }
    ),
)
def test_racks_keep_their_limits(name, servers, limits, catalog):
    server = catalog.hardware.server(name)
    plan = facility_plan(
        server,
        servers,
        Site(preset=catalog.hardware.facility, limits=RackLimits(**limits)),
    )
    if plan.servers_rack is not None:
        assert plan.rack_power_kw <= limits["max_rack_kw"]
        assert plan.rack_weight_kg <= limits["max_rack_kg"]
        air = 1.0 - (server.liquid_heat_fraction or 0.0)
        assert plan.rack_power_kw * air <= limits["max_rack_air_kw"] * (1 + 1e-12)
        assert plan.racks * plan.servers_rack >= servers


def test_weight_can_set_the_servers_of_a_rack(catalog):
    server = catalog.hardware.server("poweredge-xe9780-b200")
    plan = built(catalog, server, 6, max_rack_kg=400.0).facility

    # 163.2 kg each
    assert (plan.servers_rack, plan.rack_binds, plan.racks) == (2, "weight", 3)


def test_an_unknown_split_of_heat_leaves_a_limit_on_air_unkept(catalog):
    plan = built(catalog, catalog.hardware.server("poweredge-xe9780l-b300"), 6, max_rack_air_kw=30.0).facility

    assert plan.servers_rack is None
    assert plan.racks is None


def test_switches_beyond_what_server_racks_hold_take_racks(catalog):
    server = catalog.hardware.server("poweredge-xe9780-b200")
    site = Site(preset=catalog.hardware.facility)
    # One server leaves 32 U and 4 U for switches.
    kept = facility_plan(server, 1, site, switches=(SwitchStack(switches=36.0, power_kw=0.02, rack_units=1.0),))
    over = facility_plan(server, 1, site, switches=(SwitchStack(switches=37.0, power_kw=0.02, rack_units=1.0),))

    assert (kept.racks, kept.switch_racks) == (1, 0)
    assert (over.racks, over.switch_racks) == (2, 1)


def test_switches_keep_the_limit_on_air_of_a_rack(catalog):
    server = catalog.hardware.server("poweredge-xe9680l-b200")
    plan = built(catalog, server, 3, max_rack_air_kw=3.5).facility

    # 3.42 kW of each server leave no room for a switch; all the heat fits into the racks that are counted.
    assert plan.servers_rack == 1
    assert plan.switch_racks > 0
    assert plan.air_heat_kw <= plan.racks * 3.5


def test_a_switch_is_not_cut_over_racks(catalog):
    server = catalog.hardware.server("poweredge-xe7740-rtx-pro-6000-se")
    # One server a rack leaves less than the 0.94 kW of a leaf in each.
    most = server.plan_power_kw + 0.6
    plan = built(catalog, server, 7, east_west=False, max_rack_kw=most).facility

    assert plan.servers_rack == 1
    assert plan.switch_racks > 0


def test_what_a_server_gives_to_air_is_within_that_limit(catalog):
    server = catalog.hardware.server("poweredge-xe9680l-b200")

    assert built(catalog, server, 1, max_rack_air_kw=3.42).facility.servers_rack == 1


def test_management_follows_nvidias_tables(catalog):
    server = catalog.hardware.server("poweredge-xe7745-rtx-pro-6000-se")
    nodes = np.array([4.0, 16.0, 20.0, 24.0, 28.0, 32.0])
    found = fleet_switches(
        server, catalog.hardware.switches, servers=nodes, east_west=np.full(nodes.size, fill_value=False)
    )
    # Two up to four scalable units, three up to six, four up to eight.
    assert found.management.tolist() == [2, 2, 3, 3, 4, 4]


@pytest.mark.parametrize(("servers", "row"), [(64, (16, 8)), (128, (32, 16)), (1024, (256, 128))])
def test_a_superpod_is_what_nvidia_published(catalog, servers, row):
    plan = network_plan(catalog.hardware.server("poweredge-xe9780-b300"), servers, catalog.hardware.switches)
    check = published_fabric(plan.networks[0])

    assert (plan.leaf_switches, plan.spine_switches) == row
    assert check is not None
    assert check.value == sum(row)


def test_no_check_where_nothing_of_that_size_was_published(catalog):
    plan = network_plan(catalog.hardware.server("poweredge-xe9780-b300"), 63, catalog.hardware.switches)

    assert published_fabric(plan.networks[0]) is None


def test_every_count_has_its_rule_and_source_in_the_working(catalog):
    found = built(catalog, catalog.hardware.server("poweredge-xe9712-gb300"), 2)
    steps = {step.name: step for step in found.working}

    wanted = {"compute switches", "front_end switches", "management switches", "racks", "it_power_kw", "power feeds"}
    assert wanted | {"facility_power_kw", "heat into air", "energy_kwh_year", "carbon_kg_year"} <= set(steps)
    assert all(step.formula and step.source for step in found.working)
    for part in found.network.networks:
        step = steps[f"{part.network} switches"]
        assert step.value == part.leaf_switches + part.spine_switches
    assert steps["racks"].value == found.facility.racks
    assert steps["power feeds"].value == found.facility.feeds


@given(name=SERVERS, servers=st.integers(1, 300), cpu_servers=st.integers(0, 80))
def test_feeds_are_recomputed_from_the_working_alone(name, servers, cpu_servers, catalog):
    server = catalog.hardware.server(name)
    beside = Beside(server=catalog.hardware.cpu_servers[0].placed(), servers=cpu_servers)
    found = built(catalog, server, servers, beside=beside)
    steps = {step.name: (step.value, {given.name: given.value for given in step.inputs}) for step in found.working}

    def fullest(inputs, servers):
        bound_kw = inputs["max_power_w"] / 1000.0 * min(servers, inputs["servers_rack"])
        return inputs["feed_sides"] * math.ceil(bound_kw / inputs["feed_kw"])

    of_cpu_servers = 0.0
    if cpu_servers:
        counted, inputs = steps["cpu_feeds"]
        of_cpu_servers = fullest(inputs, inputs["cpu_servers"]) * inputs["cpu_racks"]
        assert counted == of_cpu_servers == found.facility.cpu_feeds
    counted, inputs = steps["power feeds"]
    if inputs["max_power_w"] is None:
        assert counted is None
        return
    own = inputs["racks"] - inputs["switch_racks"] - (inputs["cpu_racks"] or 0.0)
    of_servers = fullest(inputs, inputs["servers"]) * own
    assert counted == of_servers + inputs["feed_sides"] * inputs["switch_racks"] + of_cpu_servers


def test_an_infiniband_fabric_has_counts_and_an_unknown_power(catalog):
    plan = network_plan(catalog.hardware.server("poweredge-xe9780-b300"), 72, catalog.hardware.switches)
    quantum: NetworkPart = next(part for part in plan.alternatives if part.family == "Quantum")

    # 576 GPUs: one unit of the XDR table.
    assert (quantum.leaf_switches, quantum.spine_switches) == (8, 4)
    assert quantum.switch_power_kw is None


def test_desktops_are_joined_by_a_cable(catalog):
    plan = network_plan(catalog.hardware.server("dell-pro-max-gb10"), 2, catalog.hardware.switches)

    assert plan.pattern == "direct link"
    assert (plan.cables, plan.leaf_switches, plan.switch_power_kw) == (1, 0, 0.0)
    assert [part.network for part in plan.networks] == ["compute"]


def test_storage_blocks_say_what_is_not_published(catalog):
    found = built(catalog, catalog.hardware.server("poweredge-xe9780-b300"), 100).storage
    blocks = {one.block: one for one in found.blocks}

    # 70 GB x 100 servers in 300 s = 23.3 GB/s; a node of 160 GB/s, and clusters of three nodes bound at 25 GB/s each.
    assert (blocks["poweredge-r7725xd"].blocks, blocks["poweredge-r7725xd"].binds) == (1, "reading")
    assert (blocks["powerscale-f910"].blocks, blocks["powerscale-f910"].binds) == (3, "the smallest cluster")
    assert "capacity" in blocks["powerscale-f910"].unpublished
    assert all(one.at_least for one in found.blocks)


def test_a_plan_without_demand_on_storage_counts_no_blocks(catalog):
    empty = StoragePlan(capacity_tb=0.0, read_gb_s=None, write_gb_s=None, note="")
    server = catalog.hardware.server("poweredge-xe9780-b300")
    found = infrastructure(
        server,
        catalog.hardware.gpu(server.gpu),
        servers=2,
        east_west=True,
        storage=empty,
        hardware=catalog.hardware,
        constraints=Constraints(),
        calibration=catalog.calibration,
    )
    assert all(one.blocks is None for one in found.storage.blocks)


def test_one_leaf_is_no_leaf_and_spine(catalog):
    found = {
        (part.leaf_switches, part.spine_switches): network.pattern
        for name in ("poweredge-xe9680l-b200", "poweredge-xe8712-gb200", "poweredge-xe9712-gb300")
        for servers in range(2, 40)
        for network in [built(catalog, catalog.hardware.server(name), servers).network]
        for part in network.networks
        if part.network == "compute" and network.pattern in {"single leaf", "rail-optimised leaf-spine"}
    }

    assert found
    assert all((pattern == "single leaf") == (leaves == 1) for (leaves, _), pattern in found.items())
    assert "single leaf" in found.values()


def test_a_management_switch_is_of_no_line_for_compute(catalog):
    (box,) = [s for s in catalog.hardware.switches if s.fabric == "management"]

    assert box.family not in {s.family for s in catalog.hardware.switches if s.fabric != "management"}
