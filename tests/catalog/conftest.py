"""The catalog as it ships, and copies of its files to plant faults in."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.catalog.catalog import Catalog
from service.catalog.files import read_yaml
from service.catalog.load import load_catalog
from tests.facts import own_catalog

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return own_catalog()


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Few of the facts, so that planting a fault costs little: two models, one application, no measured runs."""
    copy = tmp_path_factory.mktemp("facts") / "config"
    for name in ("hardware", "calibration"):
        shutil.copytree(CONFIG / name, copy / name)
    for name in ("evidence", "models", "science"):
        (copy / name).mkdir()
    for name in (
        "models/llama-3.1-8b.yaml",
        "models/gpt-oss-20b.yaml",
        "science/gromacs.yaml",
        "assumptions.yaml",
        "bom_rules.yaml",
        "discounts.yaml",
        "lead_times.yaml",
        "tco_context.yaml",
        "export_rules.yaml",
        "not_sized.yaml",
    ):
        shutil.copy(CONFIG / name, copy / name)
    for path in (copy / "calibration").glob("accuracy.*"):
        path.unlink()
    rewrite(copy / "calibration" / "kernels.yaml", lambda parsed: {**parsed, "curves": parsed["curves"][:9]})
    rewrite(copy / "hardware" / "servers.yaml", lambda parsed: _only(parsed, "xe9780"))
    rewrite(copy / "export_rules.yaml", lambda parsed: {**parsed, "parts": parsed["parts"][:2]})
    # What is parsed here need not be parsed in every copy.
    load_catalog(copy)
    return copy


def _only(parsed: Any, word: str) -> dict[str, Any]:
    return {**parsed, "records": [entry for entry in parsed["records"] if word in entry["id"]]}


@pytest.fixture
def copied(small: Path, tmp_path: Path) -> Path:
    """A copy of the small facts to plant faults in."""
    shutil.copytree(small, tmp_path / "config")
    return tmp_path / "config"


Change = Callable[[Any], Any]


def rewrite(path: Path, change: Change) -> None:
    """Changes one parsed file in place; a change may return what shall stand there instead."""
    parsed = read_yaml(path)
    changed = change(parsed)
    text = yaml.dump(parsed if changed is None else changed, sort_keys=False, Dumper=yaml.CSafeDumper)
    path.write_text(text, encoding="utf-8")


def record(parsed: Any, record_id: str) -> Any:
    """One record of a parsed file."""
    return next(entry for entry in parsed["records"] if entry["id"] == record_id)
