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

CONFIG = Path(__file__).parents[2] / "config"


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog(CONFIG)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the facts, with two models, one application and no measured runs."""
    copy = tmp_path / "config"
    for name in ("hardware", "calibration"):
        shutil.copytree(CONFIG / name, copy / name)
    for name in ("evidence", "models", "science"):
        (copy / name).mkdir()
    for name in ("models/llama-3.1-8b.yaml", "models/gpt-oss-20b.yaml", "science/gromacs.yaml"):
        shutil.copy(CONFIG / name, copy / name)
    for name in ("assumptions.yaml", "export_rules.yaml"):
        shutil.copy(CONFIG / name, copy)
    return copy


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
