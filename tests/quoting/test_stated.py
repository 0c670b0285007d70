"""Counts that the seller states: servers move all that is counted by them, every other one is its own, all bounded."""

import dataclasses
from dataclasses import replace

import pytest

from service.errors import InvalidRequestError
from service.quoting.bom import bill_of_materials
from service.quoting.book_units import known_parts
from service.quoting.stated import Site, adjusted, configured, fitting, restated
from service.sizing.workload import Constraints
from tests.build import sizing_option


@pytest.fixture
def site(catalog):
    return Site(hardware=catalog.hardware, constraints=Constraints(), calibration=catalog.calibration)


@pytest.fixture
def quoted(catalog, site):
    """The bill of an option with stated counts."""

    def make(quantities, *, option=None, spares="none"):
        sized = option or sizing_option()
        plain = bill_of_materials(
            restated(sized, quantities, site),
            hardware=catalog.hardware,
            rules=catalog.bom_rules,
            term_months=36,
            spares=spares,
        )
        return adjusted(plain, quantities, sized=sized.servers, rules=catalog.bom_rules, spares=spares)

    return make


def counts(bom):
    return {line.id: line.quantity for line in bom.lines}


def test_servers_move_what_is_counted_by_them(quoted):
    before, after = counts(quoted({"server": 5})), counts(quoted({"server": 10}))
    assert (before["server"], after["server"]) == (5, 10)
    for line, a_server in (("nvidia-ai-enterprise", 8), ("support", 1), ("deployment", 1)):
        assert (before[line], after[line]) == (5 * a_server, 10 * a_server)
    assert after["rack"] > before["rack"]
    line = next(line for line in quoted({"server": 10}).lines if line.id == "server")
    assert (line.why, line.stated) == ("10 stated by the seller; by the rule 4", True)


def test_more_servers_are_spare_ones_and_the_plan_is_theirs(site, catalog):
    option = restated(sizing_option(), {"server": 6}, site)
    assert (option.servers, option.spare_servers, option.gpus) == (6, 3, 48)
    assert option.facility.it_power_kw >= 6 * catalog.hardware.server(option.server).plan_power_kw
    assert option.metrics == sizing_option().metrics
    assert restated(sizing_option(), {"server": 3}, site).spare_servers == 0


def test_the_plan_of_stated_servers_has_six_digits_as_every_answer_has(site):
    option = restated(sizing_option(), {"server": 7}, site)
    facility = dataclasses.asdict(option.facility).values()
    figures = [value for value in facility if isinstance(value, float)]
    assert len(figures) > 3
    assert all(value == float(f"{value:.6g}") for value in figures)


@pytest.mark.parametrize("nothing", [{}, {"server": 4}, {"server": 0}, {"deployment": 1}])
def test_what_states_no_other_servers_leaves_the_plan(nothing, site):
    assert restated(sizing_option(), nothing, site) == sizing_option()


def test_a_line_that_is_taken_out_leaves_the_others(quoted):
    out = counts(quoted({"server": 0}))
    assert out == {**counts(quoted({})), "server": 0}


@pytest.mark.parametrize("servers", [1, 2, 41, 10_000_000, -1])
def test_servers_are_bounded_by_those_at_work_and_ten_times_the_option(servers, site):
    with pytest.raises(InvalidRequestError, match="size the workload again") as refused:
        restated(sizing_option(), {"server": servers}, site)
    (error,) = refused.value.detail.errors
    assert (error.field, error.limit) == ("quantities.server", "3 to 40, or 0 to take the line out")
    assert not fitting(sizing_option(), {"server": servers}, site)


@pytest.mark.parametrize(
    ("bound", "word"), [({"max_racks": 2}, "max_racks of 2"), ({"max_facility_kw": 90.0}, "of 90")]
)
def test_the_bounds_of_the_question_hold_for_stated_servers(bound, word, site):
    bounded = replace(site, constraints=Constraints(**bound))
    with pytest.raises(InvalidRequestError, match=word):
        restated(sizing_option(), {"server": 30}, bounded)


def test_any_other_line_is_bounded_by_its_rule(quoted):
    made = counts(quoted({}))
    assert counts(quoted({"cable-compute": 10 * made["cable-compute"]}))["cable-compute"] == 10 * made["cable-compute"]
    with pytest.raises(InvalidRequestError) as refused:
        quoted({"cable-compute": 10 * made["cable-compute"] + 1, "deploymnt": 2, "rack": 101, "deployment": -1})
    errors = {error.field: error for error in refused.value.detail.errors}
    assert errors["quantities.deploymnt"].did_you_mean == ("deployment",)
    assert errors["quantities.rack"].limit == "0 to 100"
    assert errors["quantities.deployment"].value == "-1"
    assert len(errors) == 4


def test_cold_spares_follow_the_count_that_is_stated(quoted):
    made = quoted({"optic-compute": 600}, spares="n+1")
    assert counts(made)["spare-optic-800g"] == 12
    assert counts(quoted({"optic-compute": 600, "spare-optic-800g": 7}, spares="n+1"))["spare-optic-800g"] == 7
    assert "spare-optic-800g" not in counts(quoted({"optic-compute": 0}, spares="n+1"))


def test_a_quote_without_any_part_is_refused(quoted):
    made = quoted({})
    with pytest.raises(InvalidRequestError, match="at least one part"):
        quoted({line.id: 0 for line in made.lines})


def test_the_seller_says_what_a_line_consists_of(quoted):
    made = configured(quoted({}), {"server": "2 x Xeon 6787P, 32 x 128 GB, 8 x 7.68 TB NVMe"})
    server, *_ = (line for line in made.lines if line.id == "server")
    assert server.configuration == ("2 x Xeon 6787P, 32 x 128 GB, 8 x 7.68 TB NVMe",)
    with pytest.raises(InvalidRequestError) as refused:
        configured(made, {"sever": "x"})
    assert refused.value.detail.errors[0].did_you_mean[0] == "server"


def test_stated_servers_keep_the_servers_without_gpus_beside_them(site, catalog):
    spec = catalog.hardware.cpu_servers[0]
    plain = sizing_option()
    beside = replace(plain, facility=replace(plain.facility, cpu_servers=12))
    stated, without = (restated(option, {"server": 6}, site) for option in (beside, plain))

    assert stated.facility.cpu_servers == 12
    assert stated.facility.cpu_power_kw == pytest.approx(12 * spec.plan_power_kw)
    assert stated.facility.racks > without.facility.racks
    assert without.facility.cpu_servers == 0


def test_stated_servers_are_as_busy_as_those_that_were_sized(site):
    plain = sizing_option()
    power = plain.facility.facility_power_kw

    def energy(share):
        plan = replace(plain.facility, energy_kwh_year=power * 8_766 * share)
        return restated(replace(plain, facility=plan), {"server": 6}, site).facility

    half, whole = energy(0.5), energy(0.8)
    assert half.energy_kwh_year / half.facility_power_kw == pytest.approx(0.5 * 8_766)
    assert whole.energy_kwh_year / half.energy_kwh_year == pytest.approx(0.8 / 0.5, rel=1e-5)


def unknown(bom):
    return {part.id: part for part in bom.uncounted}


def test_what_no_rule_can_count_becomes_a_line_by_the_count_of_the_seller(quoted):
    part = unknown(quoted({}))["switch-support"]
    bom = quoted({"switch-support": 7})
    line = next(line for line in bom.lines if line.id == "switch-support")
    assert (line.part, line.quantity, line.unit, line.charge, line.months) == (part.part, 7, "unit-year", "yearly", 36)
    assert line.stated
    assert line.why == f"7 stated by the seller; no rule counts it: {part.why}"
    assert "switch-support" not in unknown(bom)
    assert unknown(bom) == {name: other for name, other in unknown(quoted({})).items() if name != "switch-support"}


def test_none_of_what_no_rule_can_count_is_an_answer_too(quoted):
    bom = quoted({"switch-support": 0})
    assert counts(bom)["switch-support"] == 0
    assert "switch-support" not in unknown(bom)


def test_a_part_that_nobody_can_name_is_called_by_its_rule(quoted, catalog):
    option = sizing_option()
    nameless = replace(
        option, network=replace(option.network, switch=None, networks=(), leaf_switches=2, spine_switches=0)
    )
    part = unknown(quoted({}, option=nameless))["switch-compute"]
    assert part.part == "switch-compute"
    assert counts(quoted({"switch-compute": 3}, option=nameless))["switch-compute"] == 3
    assert "switch-compute" in known_parts(catalog.bom_rules, catalog.hardware)


def test_cold_spares_follow_a_count_by_hand(quoted):
    option = sizing_option()
    unsaid = replace(option, network=replace(option.network, networks=(), optics=None))
    assert unknown(quoted({}, option=unsaid))["optic-compute"].part == "optic-800g"
    bom = quoted({"optic-compute": 200}, option=unsaid, spares="n+1")
    assert counts(bom)["spare-optic-800g"] == 4


@pytest.mark.parametrize("count", [-1, 500_001])
def test_a_count_by_hand_is_bounded(count, quoted):
    with pytest.raises(InvalidRequestError, match="0 says that none is needed") as refused:
        quoted({"switch-support": count})
    (error,) = refused.value.detail.errors
    assert (error.field, error.value) == ("quantities.switch-support", str(count))


def test_a_mistyped_part_without_a_count_is_recognised(quoted):
    with pytest.raises(InvalidRequestError) as refused:
        quoted({"switch-suport": 1})
    assert "switch-support" in refused.value.detail.errors[0].did_you_mean
