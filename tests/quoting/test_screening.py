"""Screening: the table's own cases, silence that clears nothing, and dates."""

from dataclasses import replace
from typing import Any

import pytest

from service.catalog.catalog import Catalog
from service.quoting.export_rules import ControlledPart, ExportRules
from service.quoting.screening import EndUse, RuleMatch, Screening, Shipment, screen

PART = "part-in-question"
TODAY = "2026-11-29"
# Rules that ask for a review wherever a party's answers are missing, and are no part of these cases.
ANSWERED: dict[str, Any] = {
    "headquarters": "SG",
    "ultimate_parent": "SG",
    "exporter": "US",
    "end_use": EndUse.CIVIL,
    "listed_owners_fraction": 0.0,
}


@pytest.fixture(scope="module")
def table(catalog: Catalog) -> ExportRules:
    return catalog.export_rules


def part(*, tpp: float, density: float | None = None, **known: Any) -> ControlledPart:
    """A part of that performance; its die has the area that makes the density."""
    given: dict[str, Any] = {
        "memory_bandwidth_gb_s": None,
        "io_gb_s": None,
        "data_centre": True,
        "on_sale_us_2026_01_15": None,
        "die_mm2": None,
        "die_mm2_low": None,
        "die_mm2_high": None,
    }
    if density is not None:
        given["die_mm2"] = tpp / density
    return ControlledPart(
        id=PART, dense={"fp8": tpp / 8}, basis="seen", sources=("ecfr",), note=None, **{**given, **known}
    )


def screened(table: ExportRules, of: ControlledPart | str, **asked: Any) -> Screening:
    name = of if isinstance(of, str) else of.id
    parts = table.parts if isinstance(of, str) else {**table.parts, of.id: of}
    shipment = Shipment(parts=(name,), **{"on": TODAY, "destination": "DE", **ANSWERED, **asked})
    return screen(shipment, replace(table, parts=parts))


def classes(screening: Screening) -> tuple[str, ...]:
    return screening.parts[0].control_classes


def by_rule(screening: Screening) -> dict[str, RuleMatch]:
    return {match.rule: match for match in screening.matches}


@pytest.mark.parametrize(
    ("tpp", "density", "data_centre", "expected"),
    [
        (2368, 2.91, True, ("none",)),
        (2400, 1.6, True, ("b",)),
        (1600, 3.2, True, ("b",)),
        (1600, 5.92, True, ("a",)),
        (4800, 1.0, False, ("a",)),
        (4799.99, 99.0, False, ("none",)),
        (4000, 1.5, True, ("none",)),
        (2400, None, True, ("a", "b", "none")),
    ],
)
def test_classes_at_their_edges(
    table: ExportRules, tpp: float, density: float | None, data_centre: bool, expected: tuple[str, ...]
) -> None:
    assert classes(screened(table, part(tpp=tpp, density=density, data_centre=data_centre))) == expected


def test_a_part_is_judged_by_the_rules_of_its_day(table: ExportRules) -> None:
    a100 = part(tpp=4992, density=6.04, io_gb_s=400)
    assert screened(table, a100, on="2023-01-01", destination="CN").parts[0].control_classes == ("none",)
    assert "US-3A090a-2022" not in by_rule(screened(table, a100, on="2023-01-01", destination="CN"))
    assert classes(screened(table, a100, on="2023-12-01", destination="CN")) == ("a",)


def test_an_unknown_die_asks_for_a_review_and_says_what_is_missing(table: ExportRules) -> None:
    found = screened(table, part(tpp=2400), destination="VN")
    assert found.needs_review
    assert by_rule(found)["US-LIC-b"].missing == ("class",)
    assert by_rule(found)["US-3A090a-CLASS"].missing == ("performance_density",)
    assert by_rule(found)["US-LIC-b"].severity == "needs_review"


def test_outside_data_centres_an_exception_is_possible(table: ExportRules) -> None:
    workstation = part(tpp=4800, density=1.0, data_centre=False)
    for destination in ("CN", "VN"):
        found = by_rule(screened(table, workstation, destination=destination))
        assert found["US-NAC-ACA-NONDC-a"].severity == "exception_possible_flag"


@pytest.mark.parametrize(
    ("tpp", "bandwidth", "severity"),
    [(20_999.9, 6499.9, "case_by_case_flag"), (21_000, 6000, "presumption_of_denial_flag")],
)
def test_case_by_case_ends_at_its_bounds(table: ExportRules, tpp: float, bandwidth: float, severity: str) -> None:
    sold = part(tpp=tpp, density=20.0, memory_bandwidth_gb_s=bandwidth, on_sale_us_2026_01_15=True)
    assert by_rule(screened(table, sold, destination="CN"))["US-2026-CASE-BY-CASE"].severity == severity


def test_the_case_by_case_rule_says_nothing_of_a_part_that_is_in_no_class(table: ExportRules) -> None:
    found = by_rule(screened(table, "h20", destination="CN"))
    assert "US-2026-CASE-BY-CASE" not in found
    assert found["US-H20-IS-INFORMED"].severity == "licence_required_flag"


def test_the_parent_decides_where_the_destination_does_not(table: ExportRules) -> None:
    found = by_rule(screened(table, "h200-sxm", destination="SG", ultimate_parent="CN"))
    assert found["US-HQ-D5"].severity == "licence_required_flag"
    assert found["US-HQ-D5"].review == "presumption_of_denial_flag"
    assert "US-HQ-D5" not in by_rule(screened(table, "h200-sxm", destination="SG"))


def test_the_emirates_and_israel_are_not_what_their_groups_alone_say(table: ExportRules) -> None:
    emirates, israel = (by_rule(screened(table, "l40s", destination=country)) for country in ("AE", "IL"))
    assert emirates["US-LIC-a-PRE-DIFFUSION-SCOPE"].severity == "licence_required_flag"
    assert "US-LIC-a-PRE-DIFFUSION-SCOPE" not in israel
    assert israel["US-LIC-a-WORLDWIDE-ON-BOOKS"].severity == "needs_review"
    assert not israel["US-LIC-a-WORLDWIDE-ON-BOOKS"].enforced


def test_macau_and_hong_kong_meet_the_rules_of_china(table: ExportRules) -> None:
    china, macau, hong_kong = (set(by_rule(screened(table, "h200-sxm", destination=to))) for to in ("CN", "MO", "HK"))
    assert hong_kong == china
    assert china - macau == {"CN-IMPORT-SIDE"}
    assert not macau - china


@pytest.mark.parametrize(
    ("field", "rule"),
    [
        ("destination", "US-EMBARGO"),
        ("headquarters", "US-HQ-D5"),
        ("ultimate_parent", "US-HQ-D5"),
        ("end_use", "US-END-USE-CATCHALL"),
        ("listed_owners_fraction", "US-AFFILIATES-50"),
        ("exporter", "EU-DUALUSE"),
    ],
)
def test_silence_clears_nothing(table: ExportRules, field: str, rule: str) -> None:
    found = screened(table, "b200-sxm", **{"destination": "BR", field: None})
    assert found.needs_review
    assert found.severity == "needs_review"
    assert by_rule(found)[rule].missing == (field,)


def test_a_gpu_that_the_table_does_not_know_asks_for_a_review(table: ExportRules) -> None:
    found = screened(table, "gb10")
    assert classes(found) == ("a", "b", "none")
    assert found.needs_review
    assert "gb10" in (found.parts[0].note or "")


def test_the_weakest_word_is_that_no_rule_matched(table: ExportRules) -> None:
    found = screened(table, part(tpp=100, density=0.2), destination="US")
    assert found.severity == "no_rule_in_table_matched"
    assert not found.matches
    words = " ".join([found.disclaimer, *(match.note or "" for match in screened(table, "b300-sxm").matches)]).lower()
    assert not [verdict for verdict in ("compliant", "permitted", "no licence needed") if verdict in words]


def test_a_suspended_rule_sleeps_and_wakes(table: ExportRules) -> None:
    owned = {"listed_owners_fraction": 0.6}
    assert "US-AFFILIATES-50" not in by_rule(screened(table, "b200-sxm", on="2026-11-09", **owned))
    assert "US-AFFILIATES-50" in by_rule(screened(table, "b200-sxm", on="2026-11-10", **owned))


def test_an_export_out_of_the_union_is_reminded_of_its_rules_and_one_inside_is_not(table: ExportRules) -> None:
    assert "EU-DUALUSE" in by_rule(screened(table, "b200-sxm", exporter="IE", destination="BR"))
    assert "EU-DUALUSE" not in by_rule(screened(table, "b200-sxm", exporter="IE", destination="DE"))


def test_parts_that_one_rule_is_about_stand_together_and_the_most_severe_first(table: ExportRules) -> None:
    shipment = Shipment(parts=("b300-sxm", "b200-sxm", "b300-sxm"), on=TODAY, destination="CN", **ANSWERED)
    found = screen(shipment, table)
    assert by_rule(found)["US-LIC-a-PRE-DIFFUSION-SCOPE"].parts == ("b200-sxm", "b300-sxm")
    order = [table.severities.index(match.severity) for match in found.matches]
    assert order == sorted(order)
    assert found.severity == found.matches[0].severity == "presumption_of_denial_flag"


def test_an_estimated_die_gives_bounds(table: ExportRules) -> None:
    [b200] = screened(table, "b200-sxm").parts
    assert b200.performance_density_low == pytest.approx(36_000 / 1716)
    assert b200.performance_density_high == pytest.approx(36_000 / 1500)
    doubtful = part(tpp=2400, die_mm2=400, die_mm2_low=380, die_mm2_high=420)
    assert set(classes(screened(table, doubtful))) >= {"a", "b"}
