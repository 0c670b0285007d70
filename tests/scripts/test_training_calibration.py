"""The fit of training finds again what it was given, leaves out what it says, and writes what the product reads."""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import orjson
import pytest

from config.environment import ROOT
from scripts.calibration.stacked_trainings import StackedRuns
from scripts.calibration.training import (
    TrainingFit,
    calibrate_training,
    folds,
    write_training,
)
from scripts.calibration.training_bands import MEMORY, STEP, TrainingError
from scripts.calibration.training_coefficients import START, TRAINING_SPECS, value_at
from scripts.calibration.training_fit import fit_training
from scripts.calibration.training_memory import memory_runs
from scripts.faulting.trees import UNFINISHED
from service.catalog.calibration import load_calibration
from service.sizing.precision import Precision
from service.sizing.training.coefficients import coefficients_of
from tests.facts import own_catalog
from tests.sizing.training.jobs import job

CATALOG = own_catalog()
EVIDENCE = ROOT / "config" / "evidence" / "training.jsonl"


def test_only_calibration_lines_are_fitted(runs, some: Path) -> None:
    split = {line["id"]: line["split"] for line in map(orjson.loads, EVIDENCE.read_bytes().splitlines())}
    peaks = memory_runs(CATALOG, some, lambda _: None)
    assert runs
    assert peaks
    assert {split[run.place.id] for run in (*runs, *peaks)} == {"calibration"}


def test_a_stacked_run_is_the_engine_s_own_step(runs) -> None:
    stacked = StackedRuns(runs)
    vector = fitted_vector()
    for row, run in enumerate(stacked.runs[::7]):
        own = run.job.step(run.layouts, run.rates).total[0]
        found = np.exp(stacked.log_errors(vector)[7 * row]) * run.measured_step_s
        # The file holds four digits.
        assert found == pytest.approx(own, rel=2e-2)


def fitted_vector() -> np.ndarray:
    """The vector that the file of the product was written from."""
    get, found = CATALOG.calibration.coefficient, []
    for spec in TRAINING_SPECS:
        for scope in spec.scopes:
            if spec.name == "product_factor":
                value = get("training.product_factor", f"*/{scope}")
            elif spec.name == "generation_factor":
                precision = scope.rpartition("/")[2]
                value = get("training.product_factor", scope) / get("training.product_factor", f"*/{precision}")
            else:
                value = get(f"training.{spec.name}", scope)
            found.append(np.log(value))
    return np.array(found)


def test_what_runs_obey_is_found_again(runs) -> None:
    paced = runs
    truth = START + 0.3 * np.random.default_rng(5).normal(size=START.size) * (START != 0.0)
    truth = np.minimum(truth, 0.0 * START + np.log([spec.most for spec in TRAINING_SPECS for _ in spec.scopes]))
    steps = np.exp(StackedRuns(paced).log_errors(truth)) * [run.measured_step_s for run in paced]
    obeying = StackedRuns([replace(run, measured_step_s=float(s)) for run, s in zip(paced, steps, strict=True)])
    before = np.median(np.abs(obeying.log_errors(START)))
    after = np.median(np.abs(obeying.log_errors(fit_training(obeying, steps=10))))
    assert after < 0.25 * before


def test_nothing_of_what_a_fold_leaves_out_remains_in_it(runs, monkeypatch) -> None:
    name, value = "source", "mbridge"
    monkeypatch.setattr("scripts.calibration.training.folds", lambda _: iter([(name, value)]))

    def kept(wrong: float) -> list[float]:
        """The errors that a fold finds where all that it leaves out took `wrong` times as long, less that."""
        slowed = [
            replace(run, measured_step_s=run.measured_step_s * wrong) if run.place.source == value else run
            for run in runs
        ]
        fit = calibrate_training(slowed, (), lambda _: None)
        return [error.log_error + np.log(wrong) for error in fit.errors if error.fold == name]

    assert kept(3.0) == pytest.approx(kept(1.0), abs=1e-9)


def test_folds_leave_out_whole_sources_models_and_gpus_of_at_least_twenty_runs(runs) -> None:
    places = [run.place for run in runs]
    found = list(folds(places))
    assert found
    for name, value in found:
        assert Counter(getattr(place, name) for place in places)[value] >= 20


def test_what_is_written_is_read_by_the_product(runs, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "config", folder, ignore=shutil.ignore_patterns("examples", "docker", *UNFINISHED))
    draw = np.random.default_rng(0)
    errors = tuple(
        TrainingError(place=run.place, metric=metric, fold=fold, log_error=float(draw.normal(0.0, 0.2)))
        for run in runs
        for metric in (STEP, MEMORY)
        for fold in ("fit", "model")
    )
    fit = TrainingFit(vector=START, errors=errors, peaks=(), runs=len(runs))
    write_training(folder / "calibration" / "training.yaml", fit, today=date(2026, 11, 28))
    found = load_calibration(folder)
    assert found.residual("training.step_time_s", "dense").q10 < 0.0
    assert found.coefficient("training.product_factor", "hopper/fp8") == pytest.approx(
        value_at(START, "product_factor", "fp8"), rel=1e-3
    )
    assert coefficients_of(found, Precision.FP8, moe=True).vintage == 1.0


def test_without_folds_the_fit_is_judged_by_itself(runs) -> None:
    fit = calibrate_training(runs[:60], (), lambda _: None, folded=False)
    assert {error.fold for error in fit.errors} == {"fit"}


def test_older_software_is_slower() -> None:
    old, new = (coefficients_of(CATALOG.calibration, Precision.FP8, moe=True, month=at) for at in ("2024-08", None))
    assert old.vintage > new.vintage == 1.0
    assert old.launch_s > new.launch_s
    assert job(CATALOG).software_years > 2025.0
