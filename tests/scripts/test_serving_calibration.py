"""The fit of serving engines finds again what it was given, and writes files that the product reads."""

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import orjson
import pytest

from config.environment import ROOT
from scripts.calibration.kernels import write_kernels
from scripts.calibration.overhead_fit import SPECS, Fitting, fit_overheads, robust_loss, slots
from scripts.calibration.run_arrays import Runs
from scripts.calibration.served import (
    Error,
    band,
    calibration_runs,
    carried_median,
    inside_fraction,
    widened,
    widening,
    write_served,
)
from scripts.faulting.trees import UNFINISHED
from service.catalog.calibration import load_calibration
from tests.facts import own_catalog

CATALOG = own_catalog()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Every 20th served run, some of each kind."""
    path = tmp_path_factory.mktemp("evidence") / "inference.jsonl"
    lines = (ROOT / "config" / "evidence" / "inference.jsonl").read_bytes().splitlines()
    path.write_bytes(b"\n".join(lines[::20]))
    return calibration_runs(CATALOG, path, lambda _: None)


def test_only_calibration_lines_are_fitted(runs) -> None:
    lines = (ROOT / "config" / "evidence" / "inference.jsonl").read_bytes().splitlines()
    split = {line["id"]: line["split"] for line in map(orjson.loads, lines)}
    assert runs
    assert {split[run.place.id] for run in runs} == {"calibration"}


def test_overheads_are_found_again_from_runs_that_obey_them(runs) -> None:
    place = slots()
    draw = np.random.default_rng(3)
    truth = place.start + 0.7 * place.prior * draw.normal(size=place.start.size)
    sets = [Fitting(Runs(some), place) for some in _by_mode(runs)]
    for one in sets:
        for metric, error in one.log_errors(truth).items():
            one.runs.measured[metric] = one.runs.measured[metric] * np.exp(error)
    # One of twenty runs is here: beside all of them the priors would hold back as little as these do.
    found = fit_overheads(sets, replace(place, prior=place.prior * 20.0**0.5), steps=8)
    assert _typical(sets, found) < 0.6 * _typical(sets, place.start)


def test_what_nobody_can_explain_pulls_less_and_priors_pull_in_full() -> None:
    squares, scales = np.array([9.0, 9.0, 900.0]), np.ones(2)
    loss, slope, bend = robust_loss(squares, scales=scales)
    assert loss[0] == 9.0
    assert slope.tolist() == [1.0, pytest.approx(0.1), pytest.approx(1.0 / 901.0)]
    # A run ten times as far away pulls a tenth as much: residual x slope.
    assert 30.0 * slope[2] == pytest.approx(0.1 * 3.0 * slope[1], rel=0.15)
    step = 1e-6
    for row, (below, above) in enumerate(((loss, slope), (slope, bend))):
        moved = robust_loss(squares + step, scales=scales)[row]
        assert (moved - below) / step == pytest.approx(above, rel=1e-3, abs=1e-6)
    # Twice the scale: twice as far away, a run still pulls as a run at once the scale does.
    wide = robust_loss(squares * 4.0, scales=2.0 * scales)
    assert wide[1].tolist() == slope.tolist()
    assert wide[0, 1:] == pytest.approx(4.0 * loss[1:])


def _typical(sets, vector) -> float:
    errors = [error for one in sets for error in one.log_errors(vector).values()]
    return float(np.median(np.abs(np.concatenate([error[np.isfinite(error)] for error in errors]))))


def _by_mode(runs):
    return [some for pooled in (False, True) if (some := [r for r in runs if (r.prefill is not None) is pooled])]


def test_what_is_written_is_read_by_the_product(runs, tmp_path: Path) -> None:
    folder = tmp_path / "config"
    shutil.copytree(ROOT / "config", folder, ignore=shutil.ignore_patterns("examples", "docker", *UNFINISHED))
    place, draw = slots(), np.random.default_rng(0)
    errors = [
        Error(place=run.place, metric=metric, fold=fold, log_error=float(draw.normal(0.0, 0.2)))
        for run in runs
        for metric in ("tpot_ms", "ttft_ms", "output_tokens_s")
        for fold in ("fit", "model")
    ]
    today = date(2026, 11, 28)
    write_served(folder / "calibration" / "inference.yaml", place.start, errors, today=today, runs=len(runs))
    curves = list(CATALOG.calibration.curves.curves.values())
    write_kernels(folder / "calibration" / "kernels.yaml", curves, today=today)
    found = load_calibration(folder)
    for spec in SPECS:
        value = found.coefficient(f"inference.{spec.name}", "vllm/moe", "vllm", "moe")
        assert value == pytest.approx(spec.start, rel=1e-3)
    assert found.curves.curves == CATALOG.calibration.curves.curves
    assert found.curves.kin == CATALOG.calibration.curves.kin
    assert found.residual("inference.tpot_ms", "aggregated/dense").q10 < 0.0


def test_the_median_is_told_by_folds_that_kept_runs_of_the_regime(runs, tmp_path: Path) -> None:
    """What was fitted without any such run is off by its priors: it widens the arms and moves nothing."""
    place = next(run.place for run in runs if run.place.mode == "disaggregated")
    draw = np.random.default_rng(0)
    errors = [
        Error(
            place=replace(place, source=source, model=f"model of {source}", gpu=f"gpu of {source}"),
            metric="ttft_ms",
            fold=fold,
            log_error=float(draw.normal(-away, 0.1)),
            blind=fold == "source",
        )
        for source in ("one", "other")
        for fold, away in (("gpu", 0.3), ("model", 0.3), ("source", 1.5))
        for _ in range(100)
    ]
    path = tmp_path / "inference.yaml"
    write_served(path, slots().start, errors, today=date(2026, 11, 28), runs=1)
    band = next(line for line in path.read_text().splitlines() if "regime: disaggregated" in line and "q50" in line)
    q10, q50, q90 = (float(band.partition(f"{name}: ")[2].partition(",")[0]) for name in ("q10", "q50", "q90"))
    assert q50 == pytest.approx(0.3, abs=0.05)
    assert q90 > 1.4
    assert q10 < q50


def left_out(run, fold: str, *, away: float, source: str = "one", points: int = 100) -> list[Error]:
    """Errors of a tenth about a bias, of runs that one way of leaving out had not seen."""
    draw = np.random.default_rng(len(fold) + len(source))
    place = replace(run.place, source=source)
    return [
        Error(place=place, metric="ttft_ms", fold=fold, log_error=float(draw.normal(-away, 0.1))) for _ in range(points)
    ]


def test_arms_are_as_wide_as_the_worst_way_of_leaving_out(runs) -> None:
    errors = left_out(runs[0], "model", away=0.0) + left_out(runs[0], "source", away=1.0, source="other")
    low, middle, high = band(errors)
    assert low < middle < high
    # The fold of sources alone reaches 1.1; among all errors only a tenth lies there.
    assert high == pytest.approx(band(left_out(runs[0], "source", away=1.0, source="other"))[2], abs=0.3)
    assert low == pytest.approx(-0.13, abs=0.05)


def left_out_each_way(run, *, away: float, source: str, points: int = 100) -> list[Error]:
    """Errors of a source with a model and a GPU of its own, which each way of leaving out had not seen."""
    return [
        replace(error, place=replace(error.place, model=f"model of {source}", gpu=f"gpu of {source}"))
        for fold in ("source", "model", "gpu")
        for error in left_out(run, fold, away=away, source=source, points=points)
    ]


def test_a_median_is_carried_where_it_holds_for_what_had_no_part_in_it(runs) -> None:
    one, other = (left_out_each_way(runs[0], away=0.4, source=source) for source in ("one", "other"))
    assert carried_median([*one, *other]) == pytest.approx(0.4, abs=0.05)
    # What one source measures longer, the other measures shorter: neither corrects the other.
    apart = [*one, *left_out_each_way(runs[0], away=-0.3, source="other")]
    assert carried_median(apart) == 0.0
    low, middle, high = band(apart)
    assert low < middle == 0.0 < high


def test_a_median_that_was_not_tried_on_sources_models_and_gpus_is_none(runs) -> None:
    one, other = (left_out_each_way(runs[0], away=0.4, source=source) for source in ("one", "other"))
    for fold in ("source", "model", "gpu"):
        assert carried_median([error for error in [*one, *other] if error.fold != fold]) == 0.0
    # Of a single source there is nothing else to try it on.
    assert carried_median(one) == 0.0
    # All of one GPU: none was left out that others remain of.
    same = [replace(error, place=replace(error.place, gpu="one")) for error in [*one, *other]]
    assert carried_median(same) == 0.0


def test_a_median_is_carried_only_if_sources_and_models_both_gain(runs) -> None:
    """What brings models nearer that were left out may take sources farther: answers are asked about both."""
    every = [
        error
        for name in ("first", "second", "third")
        for error in left_out_each_way(runs[0], away=0.4, source=name, points=300)
    ]
    assert carried_median(every) == pytest.approx(0.4, abs=0.05)
    strange = [
        error
        for name in ("fourth", "fifth")
        for error in left_out_each_way(runs[0], away=-0.1, source=name)
        if error.fold == "source"
    ]
    assert carried_median([*(error for error in every if error.fold != "source"), *strange]) == 0.0
    # Of one source nobody knows whether others measure as it does.
    alone = [replace(error, place=replace(error.place, source="one")) for error in every]
    assert carried_median(alone) == 0.0


def test_a_median_is_judged_by_errors_over_what_was_measured(runs) -> None:
    """Of two curves two times apart the lower is off by at most half, the upper by all of it."""

    def curves(*points: int) -> list[Error]:
        return [
            error
            for source in ("one", "other")
            for away, many in zip((0.0, 1.0), points, strict=True)
            for error in left_out_each_way(runs[0], away=away, source=source, points=many)
        ]

    assert np.median([-error.log_error for error in curves(100, 130)]) > 0.5
    assert carried_median(curves(100, 130)) == 0.0
    assert carried_median(curves(10, 220)) > 0.5


def test_arms_grow_until_intervals_hold_what_they_never_saw(runs) -> None:
    """Sources that differ by as much as their own scatter leave each other's intervals half empty."""
    names = ("one", "other", "third", "last")
    errors = [
        error
        for n, name in enumerate(names)
        for error in left_out(runs[0], "source", away=0.15 * (n - 1.5), source=name)
    ]
    assert widening(errors) > 1.0
    assert inside_fraction(errors, "source") >= 0.77
    assert widening(left_out(runs[0], "source", away=0.0)) == 1.0
    assert widened((-0.2, 0.1, 0.5), 2.0) == pytest.approx((-0.5, 0.1, 0.9))


def test_what_is_inside_is_counted_by_intervals_that_never_saw_it(runs) -> None:
    alike = [*left_out(runs[0], "source", away=0.0), *left_out(runs[0], "source", away=0.0, source="other")]
    apart = [*left_out(runs[0], "source", away=-1.0), *left_out(runs[0], "source", away=1.0, source="other")]
    assert inside_fraction(alike, "source") > 0.7
    assert inside_fraction(apart, "source") < 0.1
    assert np.isnan(inside_fraction(left_out(runs[0], "source", away=0.0), "source"))


def test_slopes_at_the_batches_about_a_run_are_those_over_all_batches(runs, monkeypatch: pytest.MonkeyPatch) -> None:
    place = slots()
    sets = [Fitting(Runs(some), place) for some in _by_mode(runs)]
    few = [one.slopes(place.start) for one in sets]
    monkeypatch.setattr(Runs, "near", lambda self, _: self)
    for found, one in zip(few, sets, strict=True):
        assert np.any(found != 0.0)
        np.testing.assert_allclose(found, one.slopes(place.start), atol=1e-6)
