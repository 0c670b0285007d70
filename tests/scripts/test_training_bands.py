"""Intervals of trainings: what they hold of what they have not seen, and what makes them long."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from scripts.calibration.training_bands import FOLDS, STEP, TrainingError, bands_of, judged, peak_band, peak_errors
from scripts.calibration.training_memory import MemoryRun
from scripts.calibration.training_runs import TrainingRun


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
    left = [error for error in judged(errors) if error.fold == "source"]
    assert {error.inside for error in left if error.place.source == "far"} == {False}
    assert {error.inside for error in left if error.place.source == "near"} == {True}


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
    # Student's t with as many degrees of freedom as sources: 1.53 and 1.34 deviations.
    assert arms[0] > 1.1 * arms[1]


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


def test_of_few_sources_the_next_may_lie_on_either_side_of_what_is_predicted(runs) -> None:
    band = next(band for band in bands_of(two_sources(runs, off=0.8), ()) if band.regime == "plain")
    assert band.middle == 0.0
    assert band.high == pytest.approx(-band.low)


def test_sources_as_far_off_as_their_intervals_are_long_hardly_stretch_them(runs) -> None:
    """Sixteen sources whose errors scatter alike about nothing: no mean of them is estimated that could be off."""
    draw = np.random.default_rng(5)
    errors = [
        TrainingError(
            place=replace(run.place, source=str(number % 16), band="dense", regime="dense"),
            metric=STEP,
            fold="source",
            log_error=float(draw.normal(0.0, 0.1)),
        )
        for number, run in enumerate([*runs] * 8)
    ]
    band = next(band for band in bands_of(errors, ()) if band.regime == "dense")
    assert band.high == pytest.approx(0.1 * student.ppf(0.9, 16), rel=0.08)


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
