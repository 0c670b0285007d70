"""The export rules as data: their own check cases hold, and dates, groups and severities are sound."""

from typing import Any

import pytest

from service.catalog.catalog import Catalog
from service.catalog.files import read_yaml
from service.quoting.export_rules import Comparison, Join, Predicate
from service.schemas.export_rules import performance
from tests.catalog.conftest import CONFIG

CHECKS = read_yaml(CONFIG / "export_rules.yaml")["checks"]


def holds(predicate: Predicate, facts: dict[str, Any]) -> bool | None:
    """Three-valued: None when a fact that decides is not known."""
    if predicate.join is Join.ALWAYS:
        return True
    if predicate.join is Join.LEAF:
        known = facts.get(predicate.fact or "")
        if known is None:
            return None
        value: Any = predicate.value
        return {
            Comparison.AT_LEAST: lambda: known >= value,
            Comparison.AT_MOST: lambda: known <= value,
            Comparison.BELOW: lambda: known < value,
            Comparison.EQUAL: lambda: known == value,
            Comparison.ONE_OF: lambda: known in value,
            Comparison.IN_GROUPS: lambda: known in value,
        }[predicate.comparison or Comparison.EQUAL]()
    parts = [holds(part, facts) for part in predicate.parts]
    if predicate.join is Join.NOT:
        return None if parts[0] is None else not parts[0]
    decisive = predicate.join is Join.ANY
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def control_class(catalog: Catalog, facts: dict[str, Any], on: str) -> str:
    unsure = False
    for rule in catalog.export_rules.rules:
        in_force = (rule.effective_from or "") <= on <= (rule.effective_to or "9999")
        if rule.control_class and in_force:
            match = holds(rule.when, facts)
            if match:
                return rule.control_class
            unsure = unsure or match is None
    return "needs_review" if unsure else "none"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check["name"])
def test_the_checks_of_the_table_hold(catalog: Catalog, check: dict[str, Any]) -> None:
    assert control_class(catalog, check["facts"], check["on"]) == check["expect_class"]


def test_every_offered_data_centre_gpu_is_in_the_table(catalog: Catalog) -> None:
    desktops = {"gb10", "gb300-desktop"}
    offered = {server.gpu for server in catalog.hardware.servers if not server.reference} - desktops
    assert offered <= set(catalog.export_rules.parts)


def test_performance_takes_the_largest_product(catalog: Catalog) -> None:
    parts = catalog.export_rules.parts
    assert performance(parts["h100-sxm"].dense) == 15_832
    assert performance(parts["h20"].dense) == 2_368
    assert performance(parts["b300-sxm"].dense) == 56_000


def test_groups_hold_what_the_notes_say(catalog: Catalog) -> None:
    groups = catalog.export_rules.country_groups
    assert "MO" not in groups["D:5"]
    assert "AE" in groups["A:5"]
    assert {"IL"} <= groups["D:4"] & groups["A:6"]
    assert "NO" in groups["A:1"]
