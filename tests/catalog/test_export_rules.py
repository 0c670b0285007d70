"""The export rules as data: groups and severities are sound."""

from service.catalog.catalog import Catalog
from service.quoting.screening import total_processing_performance


def test_every_offered_data_centre_gpu_is_in_the_table(catalog: Catalog) -> None:
    desktops = {"gb10", "gb300-desktop"}
    offered = {server.gpu for server in catalog.hardware.servers if not server.reference} - desktops
    assert offered <= set(catalog.export_rules.parts)


def test_performance_takes_the_largest_product(catalog: Catalog) -> None:
    parts = catalog.export_rules.parts
    assert total_processing_performance(parts["h100-sxm"]) == 15_832
    assert total_processing_performance(parts["h20"]) == 2_368
    assert total_processing_performance(parts["b300-sxm"]) == 56_000


def test_groups_hold_what_the_notes_say(catalog: Catalog) -> None:
    groups = catalog.export_rules.country_groups
    assert "MO" not in groups["D:5"]
    assert "AE" in groups["A:5"]
    assert {"IL"} <= groups["D:4"] & groups["A:6"]
    assert "NO" in groups["A:1"]
