"""Measured trainings as the calibration composes them, once for all tests of it."""

from pathlib import Path

import pytest

from config.environment import ROOT
from scripts.calibration.training_runs import TrainingRun, training_runs
from tests.facts import own_catalog

EVIDENCE = ROOT / "config" / "evidence" / "training.jsonl"


@pytest.fixture(scope="session")
def some(tmp_path_factory) -> Path:
    """Every sixth line of the evidence."""
    path = tmp_path_factory.mktemp("evidence") / "training.jsonl"
    path.write_bytes(b"\n".join(EVIDENCE.read_bytes().splitlines()[::6]))
    return path


@pytest.fixture(scope="session")
def runs(some: Path) -> list[TrainingRun]:
    return training_runs(own_catalog(), some, lambda _: None)
