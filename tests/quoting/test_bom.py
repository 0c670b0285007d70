"""The bill of materials: counts follow rules that are data, entitlements are not charged, what is unknown is named."""

from dataclasses import replace

import pytest

from service.errors import InvalidRequestError, UnknownReferenceError
from service.quoting.bom import bill_of_materials
from service.quoting.bom_rules import BomRule, Charge, Condition, Count
from service.quoting.prices import PartKind
from service.quoting.quantities import counted, quantities, told
from service.sizing.result import NetworkPart, Quantity
from tests.build import sizing_option


@pytest.fixture
def bill(catalog):
    def make(option=None, *, term_months=36, spares="n", rules=None):
        return bill_of_materials(
            option or sizing_option(),
            hardware=catalog.hardware,
            rules=rules or catalog.bom_rules,
            term_months=term_months,
            spares=spares,
        )

    return make


def line_of(bom, name):
    return next(line for line in bom.lines if line.id == name)


def network(**changes):
    plain = NetworkPart(
        network="compute",
        switch="powerswitch-z9864f-on",
        family="PowerSwitch",
        leaf_switches=6,
        spine_switches=2,
        endpoints=64,
        port_gbit_s=400.0,
        module_gbit_s=400.0,
        cables=128,
        switch_ports=192,
        site_ports=0,
        optics=200,
        switch_power_kw=12.0,
        rule="a rule",
        source="a source",
    )
    return replace(plain, **changes)


def test_no_configuration_says_what_a_search_did_not_find(catalog):
    told = [text for texts in catalog.bom_rules.configurations.values() for text in texts]
    assert not [text for text in told if "not found" in text]
    assert any("how many is the seller's to state" in text for text in told)


def test_a_figure_is_told_in_six_digits_and_a_count_whole(catalog, bill):
    option = sizing_option()
    option = replace(option, facility=replace(option.facility, liquid_heat_kw=23.939999999999998, rack_units=1234567.0))
    known = quantities(option, hardware=catalog.hardware, racks=catalog.bom_rules.racks, term_months=36)
    said = told("{facility.liquid_heat_kw} kW into liquid, {facility.rack_units} units", known)
    assert said == "23.94 kW into liquid, 1,234,567 units"


def test_servers_bring_their_configuration_and_their_arithmetic(bill):
    line = line_of(bill(), "server")
    assert (line.part, line.quantity, line.charge, line.months) == ("poweredge-xe9780-b300", 4, Charge.ONE_TIME, 0)
    assert line.why == "4 servers by the sizing, 1 of them spare"
    assert "Memory: 32 x 96 GB = 3,072 GB planned, at least the 2,160 GB of its GPUs" in line.configuration
    assert "CPU model and drives: the seller's to state" in line.configuration
    assert "Network for the GPUs: 800 Gbit/s per GPU" in line.configuration
    assert any(text.startswith("CPU: ") for text in line.configuration)
    assert any(text.startswith("NVMe: ") for text in line.configuration)
    assert not line.orderable


def test_a_server_with_a_known_sku_can_be_ordered(bill):
    line = line_of(bill(sizing_option(sku="210-BXYZ", orderable=True)), "server")
    assert (line.sku, line.orderable) == ("210-BXYZ", True)


def test_what_a_server_record_does_not_say_is_said_to_be_so(bill):
    option = sizing_option(server="poweredge-xe9785-b300")
    assert "NVMe: not published" in line_of(bill(option), "server").configuration


def test_software_is_counted_by_package_and_the_other_reading_is_shown(bill):
    line = line_of(bill(), "nvidia-ai-enterprise")
    assert (line.quantity, line.months, line.unit) == (32, 36, "GPU-year")
    assert line.why == "4 servers x 8 GPUs x 3 years"
    assert line.disputed.quantity == 64
    assert "die" in line.disputed.why
    assert line.disputed.sources


def test_a_gpu_of_one_die_has_one_reading(bill):
    option = sizing_option(server="poweredge-xe9780-b200", gpu="b200-sxm")
    assert line_of(bill(option), "nvidia-ai-enterprise").disputed is None


@pytest.mark.parametrize(("months", "sku"), [(36, "AC566092"), (60, "AC566093"), (48, None)])
def test_the_sku_of_software_goes_by_its_term(bill, months, sku):
    line = line_of(bill(term_months=months), "nvidia-ai-enterprise")
    assert (line.sku, line.orderable) == (sku, sku is not None)


@pytest.mark.parametrize(("months", "bought", "billed"), [(36, 0, 36), (60, 0, 60), (84, 32, 24)])
def test_what_comes_with_a_gpu_is_shown_and_bought_only_after_it_ends(bill, months, bought, billed):
    option = sizing_option(server="poweredge-xe7740-h200-nvl", gpu="h200-nvl")
    line = line_of(bill(option, term_months=months), "nvidia-ai-enterprise")
    assert (line.quantity, line.months) == (bought, billed)
    assert (line.included_quantity, line.included_months) == (32, 60)
    assert "five years come with each" in line.why


def test_a_system_that_fills_a_rack_brings_it(bill):
    option = sizing_option(server="poweredge-xe9712-gb300", gpu="gb300", servers=2, gpus=144)
    line = line_of(bill(option), "rack")
    assert (line.part, line.quantity, line.included_quantity, line.included_months) == ("ir9048", 0, 2, None)


@pytest.mark.parametrize(
    ("server", "rack"),
    [
        ("poweredge-xe9780-b300", "rack-19-inch-air"),
        ("poweredge-xe9780l-b300", "ir7000-44ou"),
        ("poweredge-xe9680l-b200", "ir5000"),
    ],
)
def test_the_rack_is_that_of_the_server_family(bill, server, rack):
    assert line_of(bill(sizing_option(server=server)), "rack").part == rack


def test_power_shelves_are_whole_and_per_rack(bill):
    option = sizing_option(server="poweredge-xe9780l-b300")
    assert line_of(bill(option), "power-shelf").quantity == 4  # ceil(45 / 33) x 2


def test_a_quantity_that_the_sizing_does_not_know_is_named_and_not_counted(bill):
    bom = bill(sizing_option(server="poweredge-xe9780l-b300"))
    missing = {part.rule for part in bom.uncounted}
    assert {"cdu", "storage", "switch-support"} <= missing
    assert not missing & {line.rule for line in bom.lines}
    assert "1.5 TB" in next(part.why for part in bom.uncounted if part.rule == "storage")


def test_air_cooled_servers_need_no_coolant(bill):
    assert "cdu" not in {part.rule for part in bill().uncounted}


def test_a_new_count_of_a_plan_is_taken_by_its_name(bill):
    plain = sizing_option()
    option = replace(plain, facility=replace(plain.facility, feeds=8, rack_feeds=4))
    assert line_of(bill(option), "rack-pdu").quantity == 8
    assert "rack-pdu" in {part.rule for part in bill(plain).uncounted}


def test_an_older_answer_has_one_network_and_a_cable_for_two_ends(bill):
    bom = bill()
    counts = {line.id: (line.part, line.quantity) for line in bom.lines}
    assert counts["switch-compute"] == ("powerswitch-z9864f-on", 6)
    assert counts["optic-compute"] == ("optic-800g", 64)
    assert counts["cable-compute"] == ("cable-800g", 32)


def test_every_network_has_lines_of_its_own_and_the_parts_meet(bill):
    plain = sizing_option()
    networks = (
        network(),
        network(network="management", switch=None, cables=24, optics=0, port_gbit_s=1.0, module_gbit_s=1.0),
    )
    option = replace(plain, network=replace(plain.network, networks=networks))
    bom = bill(option)
    counts = {line.id: (line.part, line.quantity) for line in bom.lines}
    assert counts["switch-compute"] == ("powerswitch-z9864f-on", 8)
    assert counts["cable-management"] == ("cable-1g", 24)
    assert "optic-management" not in counts
    # Switches that nobody chose are no line, whatever their number.
    assert ("switch", "unknown, management network") in {(part.rule, part.name) for part in bom.uncounted}


def test_spares_are_a_share_rounded_up_of_all_that_are_alike(bill):
    plain = sizing_option()
    networks = (network(optics=200), network(network="front_end", optics=51))
    option = replace(plain, network=replace(plain.network, networks=networks))
    spare = line_of(bill(option, spares="n+1"), "spare-optic-400g")
    assert (spare.part, spare.quantity) == ("optic-400g", 6)  # ceil(0.02 x 251)
    assert "0.02 x 251" in spare.why
    assert not [line for line in bill(option, spares="n").lines if line.id.startswith("spare-")]


def test_few_parts_still_have_two_spares(bill):
    option = replace(sizing_option(), network=replace(sizing_option().network, optics=4))
    assert line_of(bill(option, spares="n+1"), "spare-optic-800g").quantity == 2


def test_one_server_is_written_in_the_singular(bill):
    option = sizing_option(servers=1, spare_servers=0, gpus=8)
    bom = bill(option)
    assert line_of(bom, "server").why.startswith("1 server by")
    assert line_of(bom, "nvidia-ai-enterprise").why == "1 server x 8 GPUs x 3 years"


def test_a_desktop_needs_no_rack_and_its_software_is_an_open_question(bill):
    bom = bill(sizing_option(server="dell-pro-max-gb10", gpu="gb10", servers=1, gpus=1))
    assert {line.id for line in bom.lines} & {"rack", "rack-pdu", "deployment", "nvidia-ai-enterprise"} == set()
    assert "desktop-software" in {part.rule for part in bom.uncounted}


def test_ids_of_lines_are_unique_and_every_line_has_its_rule_and_sources(bill):
    bom = bill(spares="n+1")
    assert len({line.id for line in bom.lines}) == len(bom.lines)
    for line in bom.lines:
        assert line.rule
        assert line.why
        assert "unknown" not in line.why
        assert line.sources


def test_a_server_that_the_catalog_lost_is_told(bill):
    with pytest.raises(UnknownReferenceError, match="poweredge-xe9999"):
        bill(sizing_option(server="poweredge-xe9999"))


@pytest.mark.parametrize("months", [0, -1, 121])
def test_a_term_that_no_quote_has_is_refused(bill, months):
    with pytest.raises(InvalidRequestError, match="1 to 120 months"):
        bill(term_months=months)


def test_an_availability_that_has_no_ratio_is_refused(bill):
    with pytest.raises(InvalidRequestError, match="n\\+1"):
        bill(spares="2n")


def test_a_rule_that_names_what_nobody_knows_leaves_the_part_uncounted(bill, catalog):
    rule = BomRule(
        id="flux",
        kind=PartKind.COOLING,
        part="flux",
        name="Flux",
        unit="unit",
        charge=Charge.ONE_TIME,
        why="",
        unknown="nobody counts flux of {servers} servers",
        basis="estimated",
        sources=(),
        count=Count(sum=("facility.flux",)),
    )
    bom = bill(rules=replace(catalog.bom_rules, rules=(rule,)))
    assert not bom.lines
    assert bom.uncounted[0].why == "nobody counts flux of 4 servers"


def test_counts_are_exact_where_floats_are_not(catalog):
    option = replace(sizing_option(), storage=replace(sizing_option().storage, capacity_tb=0.3))
    known = quantities(option, hardware=catalog.hardware, racks=catalog.bom_rules.racks, term_months=36)
    thirds = Count(sum=("storage.capacity_tb",), divided_by=type(known.values["term_months"])("0.1"))
    assert counted(thirds, known) == 3
    assert told("{network.pattern} {gpus} {nothing}", known) == "2-8-9-800 32 unknown"


def test_conditions_that_are_not_met_leave_the_rule_out(bill, catalog):
    rules = tuple(
        replace(rule, when=(Condition(name="cooling", among=("liquid",)),)) for rule in catalog.bom_rules.rules
    )
    assert not bill(rules=replace(catalog.bom_rules, rules=rules)).lines


def with_cpu_servers(count=12, **changes):
    plain = sizing_option()
    racks = plain.facility.racks + 1
    return replace(
        plain,
        facility=replace(plain.facility, cpu_servers=count, cpu_racks=1, cpu_power_kw=16.8, racks=racks),
        **changes,
    )


def test_servers_without_gpus_are_parts_of_the_bill(bill):
    plain, bom = bill(), bill(with_cpu_servers())
    line = line_of(bom, "cpu-server")

    assert (line.part, line.kind, line.quantity, line.orderable) == ("poweredge-r770", PartKind.SERVER, 12, False)
    assert "12 CPU-only servers by the sizing" in line.why
    assert line_of(bom, "cpu-rack").quantity == 1
    # They stand in racks of their own: those of the GPU servers stay what they are.
    assert line_of(bom, "rack").quantity == line_of(plain, "rack").quantity
    assert (line_of(bom, "cpu-support").quantity, line_of(bom, "cpu-support").charge) == (12, Charge.YEARLY)
    assert line_of(bom, "cpu-deployment").quantity == 12
    assert not [one.id for one in plain.lines if one.id.startswith("cpu-")]


def test_racks_of_cpu_servers_beside_shelves_have_a_unit_on_each_feed(bill):
    unknown = with_cpu_servers(server="poweredge-xe9780l-b300")
    liquid = replace(unknown, facility=replace(unknown.facility, cpu_feeds=4))
    plain = with_cpu_servers()
    air = replace(plain, facility=replace(plain.facility, feeds=12, rack_feeds=4, cpu_feeds=4))

    assert line_of(bill(liquid), "cpu-rack-pdu").quantity == 4
    # Where racks of GPU servers have such units, the feeds of all racks are on one line.
    assert line_of(bill(air), "rack-pdu").quantity == 12
    assert "cpu-rack-pdu" not in {line.id for line in bill(air).lines}
    # Answers of older engines do not have them apart.
    assert "cpu-rack-pdu" in {one.rule for one in bill(unknown).uncounted}


def test_servers_are_planned_with_the_memory_and_disks_that_their_work_asks(bill):
    asked = (Quantity(name="host_ram_gb_server", value=4000.0), Quantity(name="local_nvme_tb_server", value=1.3))
    line = line_of(bill(replace(sizing_option(), requirements=asked)), "server")

    assert "Memory: 32 x 128 GB = 4,096 GB planned, at least the 4,000 GB of its work" in line.configuration
    assert "Local NVMe: at least 1.3 TB for its work" in line.configuration
    assert not any(text.startswith("Local NVMe") for text in line_of(bill(), "server").configuration)


def test_what_an_older_answer_does_not_tell_of_cpu_servers_is_left_out(bill):
    option = sizing_option()
    older = replace(option, facility=replace(option.facility, cpu_servers=4), requirements=())

    told = line_of(bill(older), "cpu-server").configuration
    assert told == ("Cores: 128",)
