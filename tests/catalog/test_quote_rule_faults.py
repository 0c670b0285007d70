"""A fault planted into the rules of quotes is refused with its file, its record and its field."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.catalog.bom_rules import load_bom_rules
from service.catalog.catalog import Catalog
from service.catalog.discounts import load_discounts
from service.catalog.lead_times import load_lead_times
from service.catalog.tco_context import load_tco_context
from service.errors import FactsError
from tests.catalog.conftest import CONFIG, rewrite
from tests.catalog.test_faults import put, take

FILES = ("bom_rules.yaml", "discounts.yaml", "lead_times.yaml", "tco_context.yaml")
FAULTS: list[tuple[str, Callable[[Any], Any], tuple[str, ...]]] = [
    ("bom_rules.yaml", put("rules", "0", "kind", value="box"), ("bom_rules.yaml", "server", "kind", "box")),
    ("bom_rules.yaml", put("rules", "0", "count", "sum", value=[]), ("server", "count", "at least one quantity")),
    ("bom_rules.yaml", put("rules", "0", "count", "ratio", value=0.5), ("server", "count.ratio", "written as a text")),
    ("bom_rules.yaml", put("rules", "0", "count", "ratio", value="-1"), ("server", "count", "above 0")),
    ("bom_rules.yaml", put("rules", "0", "sources", value=["rumour"]), ("server", "sources", "rumour")),
    ("bom_rules.yaml", put("rules", "0", "sources", value=[]), ("server", "sources", "at least one source")),
    ("bom_rules.yaml", put("rules", "0", "basis", value="guessed"), ("server", "basis", "guessed")),
    ("bom_rules.yaml", put("rules", "0", "cuont", value=1), ("bom_rules.yaml", "server", "cuont", "no such field")),
    ("bom_rules.yaml", put("rules", "1", "id", value="server"), ("bom_rules.yaml", "server", "id", "twice")),
    ("bom_rules.yaml", put("rules", "0", "when", value=[{"name": "gpu"}]), ("server", "when", "either among or given")),
    ("bom_rules.yaml", put("rules", "0", "sku_by_months", value={"three": "A"}), ("server", "sku_by_months", "three")),
    ("bom_rules.yaml", put("racks", "0", "rack", value="ir1"), ("ir1", "rack", "There is no rack")),
    ("bom_rules.yaml", put("racks", "0", "cooling", value="air"), ("ir9048", "families", "either families or cooling")),
    ("bom_rules.yaml", put("spares", "0", "ratio", value="2"), ("spares of optic", "ratio", "between 0 and 1")),
    ("bom_rules.yaml", put("spares", "0", "availability", value="2n"), ("spares of optic", "availability")),
    ("bom_rules.yaml", take("availabilities"), ("bom_rules.yaml", "availabilities", "required")),
    ("discounts.yaml", put("tiers", "0", "approvers", value=["boss"]), ("discounts.yaml", "standard", "approvers.0")),
    ("discounts.yaml", put("tiers", "0", "approvers", value=[]), ("standard", "approvers", "at least one role")),
    ("discounts.yaml", put("tiers", "0", "total_up_to_fraction", value="0.5"), ("deal_desk", "Must not be below")),
    ("discounts.yaml", put("tiers", "0", "total_up_to_fraction", value="NaN"), ("standard", "decimal number")),
    ("discounts.yaml", put("tiers", "2", "line_up_to_fraction", value="0.9"), ("exceptional", "every discount")),
    ("discounts.yaml", put("tiers", "0", "amounts_up_to", value={"ZZZ": "1"}), ("standard", "amounts_up_to", "ZZZ")),
    ("lead_times.yaml", put("notes", "0", "low_weeks", value=50), ("dell-h100-2023", "low_weeks", "in order")),
    ("lead_times.yaml", put("notes", "0", "sources", value=[]), ("dell-h100-2023", "sources", "at least one")),
    ("lead_times.yaml", put("backlog", "0", "quarter", value="Q4 FY26"), ("Q4 FY26", "quarter", "twice")),
    ("tco_context.yaml", put("figures", "0", "value", value=217), ("space_price_kw_month", "value", "no such field")),
]


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    """A copy of the rules of quotes to plant faults in."""
    folder = tmp_path / "config"
    folder.mkdir()
    for name in FILES:
        shutil.copy(CONFIG / name, folder)
    return folder


def load(folder: Path, catalog: Catalog) -> None:
    load_bom_rules(folder, hardware=catalog.hardware, servers=catalog.sheets["servers"])
    load_discounts(folder)
    load_lead_times(folder)
    load_tco_context(folder)


@pytest.mark.parametrize(("file", "change", "named"), FAULTS, ids=[" ".join(fault[2]) for fault in FAULTS])
def test_a_planted_fault_is_named(
    rules: Path, catalog: Catalog, file: str, change: Callable[[Any], Any], named: tuple[str, ...]
) -> None:
    def planted(parsed: Any) -> None:
        change(parsed)

    rewrite(rules / file, planted)
    with pytest.raises(FactsError) as refused:
        load(rules, catalog)
    assert refused.value.code == "facts_invalid"
    for word in (f"config/{file}", *named):
        assert word in refused.value.message


def test_the_copy_itself_is_right(rules: Path, catalog: Catalog) -> None:
    load(rules, catalog)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_named(rules: Path, catalog: Catalog, file: str) -> None:
    (rules / file).unlink()
    with pytest.raises(FactsError, match=f"config/{file} is missing"):
        load(rules, catalog)
