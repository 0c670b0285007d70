"""Racks, power and weight: rules, limits, and unknowns that stay unknown."""

from dataclasses import replace

import numpy as np
import pytest

from service.sizing.facility import (
    Site,
    coolant_units,
    facility_plan,
    facility_power_kw,
    facility_table,
    it_power_kw,
    liquid_heat_kw,
    racks,
)
from service.sizing.racks import RackLimits, SwitchStack


def server(catalog, name):
    return catalog.hardware.server(name)


def stacked(power_kw, units):
    return (SwitchStack(switches=1.0, power_kw=power_kw, rack_units=units),) if power_kw or units else ()


def with_rack_kw(site, most):
    return replace(site, limits=RackLimits(max_rack_kw=most))


@pytest.fixture(scope="module")
def site(catalog):
    return Site(preset=catalog.hardware.facility)


def test_three_xe9780_fill_an_air_rack(catalog, site):
    plan = facility_plan(server(catalog, "poweredge-xe9780-b300"), 7, site, switches=stacked(3.0, 0.0))

    assert plan.servers_rack == 3
    assert plan.racks == 3
    assert plan.it_power_kw == pytest.approx(7 * 14.0 + 3.0)
    assert plan.facility_power_kw == pytest.approx((7 * 14.0 + 3.0) * site.preset.pue_air)
    # The switch stands in one of the full racks.
    assert plan.rack_power_kw == pytest.approx(3 * 14.0 + 3.0)
    assert plan.rack_units == 70
    assert plan.weight_kg == pytest.approx(7 * 163.2)


def test_the_switches_of_the_fullest_rack_draw_in_it_too(catalog, site):
    one = server(catalog, "poweredge-xe9780-b300")
    with_two = stacked(2.0, 1.0)
    assert facility_plan(one, 3, site, switches=with_two).rack_power_kw == pytest.approx(3 * 14.0 + 2.0)
    plan = facility_plan(one, 1, site, switches=with_two)
    assert (plan.racks, plan.rack_power_kw) == (1, plan.it_power_kw)
    alone = facility_plan(one, 3, with_rack_kw(site, 42.5), switches=with_two)
    assert (alone.switch_racks, alone.rack_power_kw) == (1, pytest.approx(42.0))


def test_an_nvl72_is_a_rack_by_itself(catalog, site):
    plan = facility_plan(server(catalog, "poweredge-xe9712-gb300"), 3, site, switches=stacked(0.0, 0.0))

    assert (plan.racks, plan.servers_rack) == (3, 1)
    assert plan.pue == site.preset.pue_liquid
    assert plan.rack_power_kw == pytest.approx(142.0)


def test_a_site_limit_lowers_the_servers_per_rack(catalog, site):
    plan = facility_plan(
        server(catalog, "poweredge-xe9780-b300"), 7, with_rack_kw(site, 30.0), switches=stacked(0.0, 0.0)
    )

    assert (plan.servers_rack, plan.racks) == (2, 4)


def test_a_rack_that_takes_no_server_has_no_number_of_racks(catalog, site):
    plan = facility_plan(
        server(catalog, "poweredge-xe9780-b300"), 2, with_rack_kw(site, 10.0), switches=stacked(0.0, 0.0)
    )

    assert plan.racks is None
    assert plan.servers_rack is None


def test_a_desktop_takes_no_rack(catalog, site):
    plan = facility_plan(server(catalog, "dell-pro-max-gb10"), 5, site, switches=stacked(0.0, 0.0))

    assert plan.racks == 0
    assert plan.rack_units is None
    assert plan.it_power_kw == pytest.approx(1.2)


def test_unknown_power_and_weight_stay_unknown(catalog, site):
    blank = replace(server(catalog, "poweredge-xe9780-b300"), plan_power_kw=None, weight_kg=None)
    plan = facility_plan(blank, 2, site, switches=stacked(1.0, 0.0))

    assert plan.it_power_kw is None
    assert plan.facility_power_kw is None
    assert plan.weight_kg is None
    assert plan.racks is None


def test_heat_goes_where_the_server_says(catalog):
    air, liquid = server(catalog, "poweredge-xe9780-b300"), server(catalog, "poweredge-xe9680l-b200")

    assert liquid_heat_kw(air, servers=4) == 0.0
    assert liquid_heat_kw(liquid, servers=2) == pytest.approx(2 * 11.4 * 0.7)
    assert liquid_heat_kw(replace(liquid, liquid_heat_fraction=None), servers=2) is None
    assert liquid_heat_kw(replace(liquid, plan_power_kw=None), servers=2) is None


def test_a_plan_splits_heat_between_liquid_and_air(catalog, site):
    plan = facility_plan(server(catalog, "poweredge-xe9712-gb300"), 2, site, switches=stacked(3.0, 0.0))

    assert plan.liquid_heat_kw == pytest.approx(2 * 142.0 * 0.87)
    assert plan.it_power_kw - plan.liquid_heat_kw == pytest.approx(2 * 142.0 * 0.13 + 3.0)


def test_a_published_number_of_servers_a_rack_is_a_ceiling(catalog, site):
    one = replace(server(catalog, "poweredge-xe9780-b300"), servers_rack=None)
    computed = facility_plan(one, 7, site, switches=stacked(0.0, 0.0)).servers_rack
    for published in (computed - 1, computed, computed + 5):
        plan = facility_plan(replace(one, servers_rack=published), 7, site, switches=stacked(0.0, 0.0))
        assert plan.servers_rack == min(published, computed)


def test_arrays_say_what_the_plan_of_one_says(catalog, site):
    servers = tuple(s for s in catalog.hardware.servers if not s.reference)
    table = facility_table(servers, site)
    row, count = np.arange(len(servers)), np.arange(1, len(servers) + 1)
    it_kw = it_power_kw(table, row, servers=count, switch_power_kw=np.zeros(row.size))
    site_kw = facility_power_kw(table, row, it_kw=it_kw)
    needed = racks(table, row, servers=count)
    for i, one in enumerate(servers):
        plan = facility_plan(one, int(count[i]), site, switches=stacked(0.0, 0.0))
        assert plan.it_power_kw == (None if np.isnan(it_kw[i]) else it_kw[i])
        assert plan.facility_power_kw == (None if np.isnan(site_kw[i]) else site_kw[i])
        assert plan.racks == (int(needed[i]) if np.isfinite(needed[i]) else None)


@pytest.mark.parametrize(("liquid_kw", "units"), [(None, None), (0.0, 0), (8.0, 1), (80.0, 1), (81.0, 2), (451.0, 3)])
def test_little_heat_takes_one_unit_inside_a_rack(liquid_kw, units, catalog):
    assert coolant_units(liquid_kw, catalog.hardware.facility) == units
