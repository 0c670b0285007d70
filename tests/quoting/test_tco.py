"""Total cost of ownership: parts by hand, gaps named, horizon and utilisation beside every figure."""

from dataclasses import replace
from decimal import Decimal

import pytest

from service.errors import InvalidRequestError
from service.quoting.ownership import TcoPart
from service.quoting.prices import PartKind
from service.quoting.pricing import price
from service.quoting.tco import tco
from service.quoting.tco_inputs import CloudPrices, TcoInputs
from service.quoting.terms import ExtraCharge
from tests.build import bom, bom_line, metric, quote_terms, seller_book, sizing_option, yearly_line

HOURS = Decimal("730.5") * 60
# Of the four servers of the option one is spare.
AT_WORK = 24
KNOWN = TcoInputs(
    electricity_price_kwh=Decimal("0.2"), space_price_kw_month=Decimal(150), staff_price_year=Decimal(100_000)
)


def software(**changes):
    return yearly_line(**{"id": "software", "part": "software", "kind": PartKind.SOFTWARE, **changes})


def quoted(prices=None, *extra):
    lines = extra or (bom_line(quantity=4), yearly_line(quantity=4), software(quantity=32))
    book = seller_book({"server": "300000", "support": "10000", "software": "4500", **(prices or {})})
    return price(bom(*lines), book, quote_terms(charges=(ExtraCharge(name="Freight", amount=Decimal(1000)),)))


def owned(inputs=KNOWN, *, option=None, kind="inference", priced=None):
    return tco(priced or quoted(), option or sizing_option(), kind=kind, inputs=inputs)


def part(found, name):
    return next(amount for amount in found.parts if amount.part is name)


def test_every_part_is_its_arithmetic():
    found = owned()
    amounts = {amount.part: amount.amount for amount in found.parts}
    assert amounts == {
        TcoPart.CAPITAL: Decimal("1201000.00"),
        TcoPart.FINANCING: Decimal("0.00"),
        TcoPart.ENERGY: round(Decimal(70) * Decimal("0.8") * Decimal("1.54") * HOURS * Decimal("0.2"), 2),
        TcoPart.SPACE: Decimal(70 * 60 * 150),
        # Three years are quoted; the fourth and fifth are taken to cost as much.
        TcoPart.SUPPORT: Decimal(4 * 10_000 * 5),
        TcoPart.SOFTWARE: Decimal(32 * 4500 * 5),
        TcoPart.STAFF: Decimal(500_000),
    }
    assert found.complete
    assert found.total == sum(amounts.values())
    assert "70 kW x 0.8 mean load x PUE 1.54" in part(found, TcoPart.ENERGY).why


def test_horizon_and_utilisation_stand_beside_every_figure():
    found = owned(replace(KNOWN, horizon_months=48, utilisation_fraction=Decimal("0.5")))
    assert [figure.unit for figure in found.figures] == ["gpu_hour", "million_tokens"]
    for figure in found.figures:
        assert (figure.horizon_months, figure.utilisation_fraction) == (48, Decimal("0.5"))
    hour, million = (float(figure.amount) for figure in found.figures)
    hours = 730.5 * 48 * 0.5
    assert hour == pytest.approx(float(found.total) / (AT_WORK * hours), rel=1e-5)
    assert million == pytest.approx(float(found.total) / (10_000 * 3600 * hours) * 1e6, rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "metrics", "units"),
    [
        ("training", (metric("time_to_train_days", 10.0),), {"gpu_hour", "run"}),
        ("science", (metric("targets_day", 500.0),), {"gpu_hour", "target"}),
        ("science", (metric("elapsed_days", 2.0),), {"gpu_hour", "run"}),
    ],
)
def test_the_unit_of_work_is_that_of_the_workload(kind, metrics, units):
    found = owned(option=sizing_option(metrics=metrics), kind=kind)
    assert {figure.unit for figure in found.figures} == units


def test_a_run_costs_its_share_of_the_hours_that_are_used():
    found = owned(option=sizing_option(metrics=(metric("time_to_train_days", 10.0),)), kind="training")
    run = next(figure for figure in found.figures if figure.unit == "run")
    days = Decimal("30.4375") * 60 * Decimal("0.6")
    assert float(run.amount) == pytest.approx(float(found.total * 10 / days), rel=1e-5)


def test_inputs_without_a_default_leave_their_parts_out_and_every_figure_says_so():
    found = owned(TcoInputs())
    assert found.missing == (TcoPart.ENERGY, TcoPart.SPACE, TcoPart.STAFF)
    assert part(found, TcoPart.ENERGY).missing == ("electricity_price_kwh",)
    assert part(found, TcoPart.ENERGY).amount is None
    assert not found.complete
    assert found.total == Decimal(1_201_000 + 200_000 + 720_000)
    assert all(figure.without == found.missing for figure in found.figures)


def test_free_energy_is_a_statement_and_not_a_gap():
    found = owned(replace(KNOWN, electricity_price_kwh=Decimal(0)))
    assert part(found, TcoPart.ENERGY).amount == 0
    assert found.complete


def test_without_the_price_of_the_servers_nothing_is_said():
    found = owned(priced=quoted({"server": None}))
    assert found.total is None
    assert part(found, TcoPart.CAPITAL).missing == ("price of server",)
    assert all(figure.amount is None for figure in found.figures)
    assert found.sensitivity == ()


def test_power_that_nobody_knows_leaves_energy_and_space_out():
    option = sizing_option()
    found = owned(option=replace(option, facility=replace(option.facility, it_power_kw=None)))
    assert part(found, TcoPart.SPACE).missing == ("facility.it_power_kw",)


def test_a_part_without_a_yearly_price_leaves_support_out_alone():
    found = owned(priced=quoted({"support": None}))
    assert found.missing == (TcoPart.SUPPORT,)
    assert part(found, TcoPart.SUPPORT).missing == ("price of support",)


def test_included_years_are_not_charged_and_those_after_them_are():
    included = software(quantity=0, included_quantity=32, included_months=36)
    found = owned(priced=quoted(None, bom_line(), included))
    assert part(found, TcoPart.SOFTWARE).amount == Decimal(32 * 4500 * 2)
    longer = software(quantity=0, included_quantity=32, included_months=60)
    assert part(owned(priced=quoted(None, bom_line(), longer)), TcoPart.SOFTWARE).amount == 0


def test_residual_value_and_depreciation_beyond_the_horizon_lower_the_capital():
    inputs = replace(KNOWN, horizon_months=48, depreciation_months=60, residual_fraction=Decimal("0.1"))
    expected = Decimal(1_201_000) * Decimal("0.9") * 48 / 60
    assert part(owned(inputs), TcoPart.CAPITAL).amount == expected


def test_what_is_written_off_costs_nothing_more():
    inputs = replace(KNOWN, horizon_months=72, depreciation_months=48)
    assert part(owned(inputs), TcoPart.CAPITAL).amount == Decimal(1_201_000)


def test_financing_is_the_interest_of_an_annuity():
    found = part(owned(replace(KNOWN, financing_rate_fraction=Decimal("0.06"))), TcoPart.FINANCING)
    monthly = 0.005
    payment = 1_201_000 * monthly / (1 - (1 + monthly) ** -60)
    assert float(found.amount) == pytest.approx(60 * payment - 1_201_000, abs=0.01)


@pytest.mark.parametrize(("reserved", "share"), [(False, Decimal("0.6")), (True, Decimal(1))])
def test_cloud_hours_are_paid_as_they_are_sold(reserved, share):
    cloud = CloudPrices(name="A cloud", date="2026-11-01", gpu_hour={"b300-sxm": Decimal("3.5")}, reserved=reserved)
    found = owned(replace(KNOWN, cloud=cloud))
    assert found.cloud.amount == round(Decimal("3.5") * AT_WORK * HOURS * share, 2)
    assert found.cloud.difference == found.cloud.amount - found.total
    even = found.cloud.break_even_utilisation_fraction
    assert (
        even is None
        if reserved
        else float(even) == pytest.approx(float(found.total) / (3.5 * AT_WORK * float(HOURS)), rel=1e-5)
    )
    assert found.cloud.utilisation_fraction == Decimal("0.6")


def test_a_cloud_without_that_gpu_compares_nothing():
    cloud = CloudPrices(name="A cloud", date="2026-11-01", gpu_hour={"h100-sxm": Decimal(2)})
    found = owned(replace(KNOWN, cloud=cloud)).cloud
    assert (found.gpu_hour, found.amount, found.difference) == (None, None, None)


def test_the_five_inputs_that_move_it_most_come_first():
    found = owned().sensitivity
    spans = [abs(moved.gpu_hour_at_high - moved.gpu_hour_at_low) for moved in found]
    assert len(found) == 5
    assert spans == sorted(spans, reverse=True)
    first = found[0]
    assert (first.input, first.low, first.high) == ("utilisation_fraction", Decimal("0.54"), Decimal("0.66"))
    total = float(owned().total)
    assert float(first.gpu_hour_at_low) == pytest.approx(total / (AT_WORK * float(HOURS) * 0.54), rel=1e-5)


def test_stated_bounds_take_the_place_of_ten_percent():
    bounds = {"electricity_price_kwh": (Decimal("0.05"), Decimal(2))}
    first = owned(replace(KNOWN, bounds=bounds)).sensitivity[0]
    assert (first.input, first.low, first.high) == ("electricity_price_kwh", Decimal("0.05"), Decimal(2))
    assert first.gpu_hour_at_low < first.gpu_hour_at_high


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"horizon_months": 0}, "tco.horizon_months"),
        ({"depreciation_months": 121}, "tco.depreciation_months"),
        ({"utilisation_fraction": Decimal(0)}, "tco.utilisation_fraction"),
        ({"utilisation_fraction": Decimal("1.1")}, "tco.utilisation_fraction"),
        ({"pue": Decimal("0.9")}, "tco.pue"),
        ({"electricity_price_kwh": Decimal(-1)}, "tco.electricity_price_kwh"),
        ({"staff_price_year": Decimal("NaN")}, "tco.staff_price_year"),
        ({"residual_fraction": Decimal(2)}, "tco.residual_fraction"),
        ({"bounds": {"weather": (Decimal(0), Decimal(1))}}, "tco.bounds.weather"),
        ({"bounds": {"pue": (Decimal(2), Decimal(1))}}, "tco.bounds.pue"),
        (
            {"cloud": CloudPrices(name="A", date="2026-11-01", gpu_hour={"b300-sxm": Decimal(0)})},
            "tco.cloud.gpu_hour.b300-sxm",
        ),
    ],
)
def test_wrong_inputs_are_refused_with_field_value_and_limit(changes, field):
    with pytest.raises(InvalidRequestError) as refused:
        owned(replace(KNOWN, **changes))
    [error] = refused.value.detail.errors
    assert error.field == field
    assert error.value
    assert error.limit or error.message == "There is no such input."


def test_public_figures_stand_beside_it_and_change_nothing(catalog):
    bare = owned(TcoInputs())
    told = tco(quoted(), sizing_option(), kind="inference", inputs=TcoInputs(), context=catalog.tco_context)
    assert told.context == catalog.tco_context
    assert replace(told, context=()) == bare
