"""Switch counts against NVIDIA's and Dell's published designs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.sizing.fabric import (
    chosen_switch,
    fabric_counts,
    leaf_count,
    pattern_of,
    ports_at,
    spine_count,
    two_tier_limit,
)
from service.sizing.hardware import SwitchSpec
from service.sizing.networks import network_plan


def server(catalog, name):
    return catalog.hardware.server(name)


def test_dell_fabric_design_center_takes_16_leaves_for_1024_gpus_at_400g():
    assert leaf_count(endpoints=1024, ports=128) == 16


@pytest.mark.parametrize(
    ("units", "leaves", "spines"), [(1, 16, 8), (2, 32, 16), (4, 64, 32), (8, 128, 64), (16, 256, 128)]
)
def test_superpod_b300_ethernet_rows(units, leaves, spines):
    endpoints = 512 * units
    found = leaf_count(endpoints=endpoints, ports=64)

    assert found == leaves
    assert spine_count(leaves=found, endpoints=endpoints, ports=64) == spines


@pytest.mark.parametrize(
    ("units", "leaves", "spines"), [(1, 8, 4), (2, 16, 8), (4, 32, 16), (8, 64, 32), (18, 144, 72)]
)
def test_superpod_b300_xdr_rows(units, leaves, spines):
    endpoints = 576 * units
    found = leaf_count(endpoints=endpoints, ports=144)

    # The published rows of 4 and 8 units have 18 and 36 spines: two and four more than non-blocking needs.
    assert found == leaves
    assert spine_count(leaves=found, endpoints=endpoints, ports=144) == spines


def test_one_server_needs_no_fabric(catalog):
    plan = network_plan(server(catalog, "poweredge-xe9780-b300"), 1, catalog.hardware.switches)

    assert (plan.leaf_switches, plan.spine_switches, plan.optics, plan.switch_power_kw) == (0, 0, 0, 0.0)


def test_independent_jobs_need_no_east_west_fabric(catalog):
    plan = network_plan(server(catalog, "poweredge-xe9780-b300"), 9, catalog.hardware.switches, east_west=False)

    assert plan.fabric == "front-end"
    assert plan.leaf_switches == 0


@pytest.mark.parametrize(
    ("name", "servers", "pattern", "leaves"),
    [
        ("poweredge-xe9780-b200", 12, "2-8-9-400", 2),
        ("poweredge-xe9780-b200", 16, "2-8-9-400", 4),
        ("poweredge-xe9780-b300", 16, "2-8-9-800", 6),
    ],
)
def test_small_fabrics_follow_the_reference_patterns(catalog, name, servers, pattern, leaves):
    plan = network_plan(server(catalog, name), servers, catalog.hardware.switches)

    assert plan.pattern == pattern
    assert (plan.leaf_switches, plan.spine_switches) == (leaves, 0)
    assert plan.switch_power_kw == pytest.approx(leaves * 1.5)


def test_of_two_planes_each_card_has_a_port_of_half_its_speed_to_each(catalog):
    plan = network_plan(server(catalog, "poweredge-xe9780-b300"), 16, catalog.hardware.switches)
    compute = next(part for part in plan.networks if part.network == "compute")

    assert (compute.endpoints, compute.port_gbit_s, compute.module_gbit_s) == (16 * 8 * 2, 400.0, 800.0)
    # Four leaves of the planes carry 256 links of 400 Gbit/s, two in a module, and so do the 128 modules of the cards.
    assert compute.cables == 256
    assert compute.optics >= 128 + 128


def test_above_the_pattern_comes_leaf_and_spine(catalog):
    plan = network_plan(server(catalog, "poweredge-xe9780-b300"), 64, catalog.hardware.switches)

    assert plan.pattern == "rail-optimised leaf-spine"
    assert (plan.leaf_switches, plan.spine_switches) == (16, 8)
    # 512 cables from servers and 512 between the tiers, two ends each
    assert plan.optics == 2048
    assert plan.switch == "powerswitch-z9864f-on"


def test_a_third_tier_is_told(catalog):
    plan = network_plan(server(catalog, "poweredge-xe9780-b200"), 2048, catalog.hardware.switches)

    assert "third tier" in plan.note


def test_without_a_switch_of_known_power_counts_stay_unknown(catalog):
    plan = network_plan(server(catalog, "poweredge-xe9780-b300"), 8, ())

    assert plan.leaf_switches is None
    assert plan.switch_power_kw is None


def test_ports_split_and_never_join(catalog):
    switch = chosen_switch(catalog.hardware.switches, 400.0)

    assert switch is not None
    assert [ports_at(switch, speed) for speed in (800.0, 400.0, 200.0)] == [64, 128, 256]
    slow = SwitchSpec(
        id="slow", name="slow", ports=64, port_gbit_s=400.0, plan_power_w=500.0, fabric="ethernet", rack_units=1.0
    )
    assert ports_at(slow, 800.0) is None


def test_two_tiers_connect_half_the_square_of_the_ports():
    assert two_tier_limit(128) == 8192


@given(servers=st.integers(1, 4000), more=st.integers(0, 500))
def test_more_servers_never_need_fewer_switches_than_they_have_ports(servers, more, catalog):
    one = server(catalog, "poweredge-xe9680l-b200")
    switch = chosen_switch(catalog.hardware.switches, one.nic_gbit_s_gpu)
    counts = fabric_counts(one, switch, servers=np.array([servers, servers + more]))
    total = counts.leaves + counts.spines

    assert total[1] >= total[0]
    pattern = pattern_of(one)
    assert pattern is not None
    if servers > 4 * pattern.most_units:
        assert counts.leaves[0] * ports_at(switch, 400.0) / 2 >= servers * 8


@given(servers=st.integers(1, 4000))
def test_one_count_is_a_row_of_many(servers, catalog):
    one = server(catalog, "poweredge-xe9780-b300")
    switch = chosen_switch(catalog.hardware.switches, 800.0)
    alone = fabric_counts(one, switch, servers=np.array([servers]))
    many = fabric_counts(one, switch, servers=np.array([1, servers, 4000]))

    assert alone.leaves[0] == many.leaves[1]
    assert alone.spines[0] == many.spines[1]
    assert alone.optics[0] == many.optics[1]
