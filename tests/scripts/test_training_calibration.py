"""The fit of training finds again what it was given, leaves out what it says, and writes what the product reads."""

import shutil
from collections import Counter
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import orjson
import pytest
from scipy.stats import t as student

from config.environment import ROOT
from scripts.calibration.training import (
    TrainingFit,
    calibrate_training,
    folds,
    write_training,
)
from scripts.calibration.training_bands import (
    FOLDS,
    MEMORY,
    STEP,
    TrainingError,
    bands_of,
    judged,
    peak_band,
    peak_errors,
)
from scripts.calibration.training_fit import START, TRAINING_SPECS, StackedRuns, fit_training, value_at
from scripts.calibration.training_memory import MemoryRun, memory_runs
from scripts.calibration.training_runs import TrainingRun, training_runs
from scripts.faulting.trees import UNFINISHED
from service.catalog.calibration import load_calibration
from service.sizing.precision import Precision
from service.sizing.training.coefficients import coefficients_of
from tests.facts import own_catalog
from tests.sizing.training.jobs import job

CATALOG = own_catalog()
EVIDENCE = ROOT / "config" / "evidence" / "training.jsonl"


@pytest.fixture(scope="module")
def some(tmp_path_factory) -> Path:
    """Every sixth line of the evidence."""
    path = tmp_path_factory.mktemp("evidence") / "training.jsonl"
    path.write_bytes(b"\n".join(EVIDENCE.read_bytes().splitlines()[::6]))
    return path


@pytest.fixture(scope="module")
def runs(some: Path) -> list[TrainingRun]:
    return training_runs(CATALOG, some, lambda _: None)


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


def test_peaks_are_judged_by_an_interval_that_has_not_seen_them(runs) -> None:
    draw = np.random.default_rng(3)
    peaks = [MemoryRun(place=run.place, log_error=float(draw.normal(0.0, 0.1)), widening=1.0) for run in runs]
    one = max(Counter(peak.place.source for peak in peaks).items(), key=lambda pair: pair[1])[0]
    off = [replace(p, log_error=p.log_error + 1.0) if p.place.source == one else p for p in peaks]
    errors = list(peak_errors(off))
    assert {error.fold for error in errors} == {"fit", "source", "model", "gpu"}
    left = [error for error in errors if error.fold == "source" and error.place.source == one]
    assert left
    assert not any(error.inside for error in left)


def test_an_interval_of_peaks_is_no_narrower_than_what_four_of_five_stay_below(runs) -> None:
    # Half of the peaks are far off, which a deviation alone would call rare.
    peaks = [
        MemoryRun(place=replace(run.place, group=(run.place.id,)), log_error=0.3 * (number % 2), widening=1.0)
        for number, run in enumerate(runs)
    ]
    band = peak_band(peaks)
    assert np.mean([band.low <= -peak.log_error <= band.high for peak in peaks]) >= 0.8


def errors_of(runs: list[TrainingRun], *, off: float) -> list[TrainingError]:
    """Errors of every fold that differ from source to source by `off`, and little within one."""
    draw = np.random.default_rng(7)
    sources = sorted({run.place.source for run in runs})
    shift = {source: off * (-1) ** number for number, source in enumerate(sources)}
    return [
        TrainingError(
            place=replace(run.place, regime="dense", band="dense"),
            metric=STEP,
            fold=fold,
            log_error=shift[run.place.source] + float(draw.normal(0.0, 0.03)),
        )
        for run in runs
        for fold in FOLDS
    ]


def test_intervals_hold_four_of_five_errors_of_what_they_have_not_seen(runs) -> None:
    errors = judged(errors_of(runs, off=0.2))
    for fold in FOLDS:
        inside: dict[str, list[bool]] = {}
        for error in errors:
            if error.fold == fold:
                assert error.inside is not None
                inside.setdefault(getattr(error.place, fold), []).append(error.inside)
        # Each source, model and GPU counts the same.
        assert np.mean([np.mean(each) for each in inside.values()]) >= 0.7


def test_sources_that_differ_make_intervals_long(runs) -> None:
    arms = {}
    for off in (0.0, 0.2):
        band = next(band for band in bands_of(errors_of(runs, off=off), ()) if band.regime == "dense")
        arms[off] = band.high - band.low
    assert arms[0.2] > 2.0 * arms[0.0]


def test_runs_that_state_less_do_not_widen_the_intervals_of_those_that_state_more(runs) -> None:
    told = errors_of(runs, off=0.1)
    untold = [replace(error, log_error=2.0 * error.log_error, widening=2.0) for error in told]
    found = [next(band for band in bands_of(errors, ()) if band.regime == "dense") for errors in (told, untold)]
    assert found[0] == found[1]


def test_choices_made_with_peaks_in_view_widen_their_interval(runs) -> None:
    draw = np.random.default_rng(4)
    groups = 12
    peaks = [
        MemoryRun(
            place=replace(run.place, group=(str(number % groups),)),
            log_error=float(draw.normal(0.0, 0.1)),
            widening=1.0,
        )
        for number, run in enumerate(runs)
    ]
    deviation = float(np.sqrt(np.mean([peak.log_error**2 for peak in peaks])))
    assert peak_band(peaks).high > 1.1 * student.ppf(0.9, groups - 1) * deviation * np.sqrt(1.0 + 1.0 / groups)


def two_sources(runs: list[TrainingRun], *, off: float) -> list[TrainingError]:
    """Errors of a band of two sources: of one they are small, those of the other lie `off` on one side."""
    draw = np.random.default_rng(9)
    half = {run.place.id for run in runs[: len(runs) // 2]}
    return [
        TrainingError(
            place=replace(run.place, source="far" if run.place.id in half else "near", regime="dense", band="plain"),
            metric=STEP,
            fold=fold,
            log_error=float(draw.normal(off if run.place.id in half else 0.0, 0.02)),
        )
        for run in runs
        for fold in FOLDS
    ]


def test_arms_of_a_single_source_do_not_stretch_the_interval_of_two(runs) -> None:
    errors = two_sources(runs, off=0.8)
    band = next(band for band in bands_of(errors, ()) if band.regime == "plain")
    # It reaches what is far off, and not by as many times its length as a narrow source's arms go into it.
    assert band.low < -0.75
    assert band.high - band.low < 3.0 * 0.8
    # How far a single source lies off the interval of the other is told, though nothing is learnt from it.
    assert {error.inside for error in judged(errors) if error.fold == "source"} == {False}


def of_regimes(runs: list[TrainingRun], *, off: float, shared: bool = False) -> list[TrainingError]:
    """Errors in three regimes of two sources, of which those of one in each are `off` times as large.

    `shared`: the same two in each of them.
    """
    draw = np.random.default_rng(12)
    half = {run.place.id for run in runs[: len(runs) // 2]}
    return [
        TrainingError(
            place=replace(
                run.place,
                id=f"{run.place.id}-{band}",
                source=("far" if run.place.id in half else "near") + ("" if shared else f" {band}"),
                band=band,
            ),
            metric=STEP,
            fold=fold,
            log_error=float(draw.normal(0.0, 0.05 * (off if run.place.id in half else 1.0))),
        )
        for run in runs
        for fold in FOLDS
        for band in ("dense", "moe", "adapter")
    ]


def test_sources_of_all_regimes_tell_together_how_far_the_next_lies(runs) -> None:
    alike, apart = (of_regimes(runs, off=off) for off in (1.0, 5.0))
    quiet = [
        replace(
            error,
            place=replace(error.place, band="plain", source=error.place.source.replace("dense", "plain")),
            log_error=0.3 * error.log_error,
        )
        for error in alike
        if error.place.band == "dense"
    ]
    arms = []
    for errors in (alike, apart):
        band = next(band for band in bands_of([*errors, *quiet], ()) if band.regime == "plain")
        arms.append(band.high - band.low)
    # Nothing but other regimes changed.
    assert arms[1] > 1.5 * arms[0]


def test_a_source_counts_once_in_however_many_regimes_it_has_runs(runs) -> None:
    """Two sources in three regimes each are two, of which nothing is learnt of how far the next lies."""
    arms = []
    for shared in (False, True):
        band = next(b for b in bands_of(of_regimes(runs, off=5.0, shared=shared), ()) if b.regime == "dense")
        arms.append(band.high - band.low)
    assert arms[0] > 1.5 * arms[1]


def test_of_few_sources_the_next_may_lie_further(runs) -> None:
    """Sources that lie as far off as others do, to either side, say the less of the next the fewer they are."""
    draw = np.random.default_rng(3)
    arms = []
    for many in (4, 16):
        errors = [
            TrainingError(
                place=replace(run.place, source=str(number % many), band="dense", regime="dense"),
                metric=STEP,
                fold=fold,
                log_error=0.1 * (-1) ** (number % many) + float(draw.normal(0.0, 0.005)),
            )
            for number, run in enumerate([*runs, *runs])
            for fold in FOLDS
        ]
        band = next(band for band in bands_of(errors, ()) if band.regime == "dense")
        arms.append(band.high - band.low)
    assert arms[0] > 1.2 * arms[1]


def test_what_is_judged_is_held_against_the_interval_that_there_would_be_without_it(runs) -> None:
    """Neither the models and GPUs that it is of nor the bands that other sources lie off have seen it."""
    one = "near dense"
    errors = [
        replace(error, log_error=8.0 * error.log_error)
        if error.place.source == one and error.fold == "source"
        else error
        for error in of_regimes(runs, off=3.0)
    ]
    others = [error for error in errors if error.place.source != one]
    band = next(band for band in bands_of(others, ()) if band.regime == "dense")
    left = [error for error in judged(errors) if error.fold == "source" and error.place.source == one]
    assert {True, False} == {error.inside for error in left}
    assert [error.inside for error in left] == [band.low <= -error.log_error <= band.high for error in left]


def test_what_is_judged_is_not_held_against_short_arms_because_few_others_remain(runs) -> None:
    """Of four sources of which two lie far off, three remain: how far these lie is known."""
    errors = [error for error in of_regimes(runs, off=5.0) if error.place.band != "adapter"]
    assert len({error.place.source for error in errors}) == 4
    inside = [error.inside for error in judged(errors) if error.fold == "source" and "far" in error.place.source]
    # The half of them; arms as they stand without a word of other sources hold a quarter.
    assert np.mean([bool(each) for each in inside]) > 0.4


def test_stacks_of_their_own_count_like_others_in_the_band_of_all(runs) -> None:
    """Every second source is a stack of its own, and lies far off."""
    draw = np.random.default_rng(10)
    plain = set(sorted({run.place.source for run in runs})[::2])
    errors = [
        TrainingError(
            place=replace(run.place, band="plain" if run.place.source in plain else "dense"),
            metric=STEP,
            fold=fold,
            log_error=float(draw.normal(0.0, 0.5 if run.place.source in plain else 0.02)),
        )
        for run in runs
        for fold in FOLDS
    ]
    band = next(band for band in bands_of(errors, ()) if band.regime == "*")
    assert min(band.high, -band.low) > 0.3


def test_peaks_of_every_stack_weigh_alike(runs) -> None:
    draw = np.random.default_rng(13)
    peaks = [MemoryRun(place=run.place, log_error=float(draw.normal(0.0, 0.1)), widening=1.0) for run in runs]
    bands = [
        peak_band([replace(peak, place=replace(peak.place, band=name(number))) for number, peak in enumerate(peaks)])
        for name in (lambda _: "dense", lambda number: ("dense", "plain")[number % 2])
    ]
    assert bands[0] == bands[1]


def test_an_interval_made_without_a_source_holds_four_of_five_where_sources_are_alike(runs) -> None:
    errors = judged(of_regimes(runs, off=1.0))
    assert np.mean([bool(error.inside) for error in errors if error.fold == "source"]) >= 0.78


def test_of_few_sources_the_next_may_lie_on_either_side(runs) -> None:
    band = next(band for band in bands_of(two_sources(runs, off=0.8), ()) if band.regime == "plain")
    assert band.high - band.middle == pytest.approx(band.middle - band.low)


def test_a_stack_of_its_own_makes_the_intervals_of_such_stacks_long(runs) -> None:
    draw = np.random.default_rng(8)
    # Few runs of one source are far off, many of another are not.
    few = {run.place.id for run in runs[:6]}
    errors = [
        TrainingError(
            place=replace(run.place, source="few" if run.place.id in few else "many", regime="dense", band=band),
            metric=STEP,
            fold=fold,
            log_error=float(draw.normal(0.0, 0.4 if run.place.id in few else 0.02)),
        )
        for run in runs
        for fold in FOLDS
        for band in ("dense", "plain")
    ]
    arms = {band.regime: band.high - band.low for band in bands_of(errors, ())}
    assert arms["plain"] > 1.5 * arms["dense"]
