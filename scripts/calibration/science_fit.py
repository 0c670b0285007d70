"""Curves, laws, factors and constants of scientific applications, fitted on measured runs; nothing is set by hand."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from scripts.calibration.science_curves import (
    arm_of,
    curves_of,
    with_germline,
    with_precision_factors,
    with_variant_factors,
)
from scripts.calibration.science_laws import with_laws
from scripts.calibration.science_runs import ScienceRun
from scripts.calibration.science_several import spills, with_constants
from service.catalog.catalog import Catalog
from service.sizing.science.application import Application, Template
from service.sizing.science.rate import curve_s, point_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Applications with what was fitted, and numbers that hold for more than one."""

    applications: Mapping[str, Application]
    padding_time_factor: float
    # Arm of ln(time) between recipes that pad.
    padding_ln_arm: float = 0.0
    # Arm of ln(time) between settings of two sources.
    other_settings_ln_arm: float = 0.0


def fit_science(catalog: Catalog, runs: Sequence[ScienceRun]) -> Fitted:
    """Every application of which there are runs."""
    named: dict[str, list[ScienceRun]] = {}
    for run in runs:
        named.setdefault(run.application, []).append(run)
    found = {
        name: fit_application(catalog, catalog.applications[name], mine, pool=dynamics(runs))
        for name, mine in sorted(named.items())
    }
    padding, arm = _padding(found, runs)
    return Fitted(applications=found, padding_time_factor=padding, padding_ln_arm=arm)


def dynamics(runs: Sequence[ScienceRun]) -> list[ScienceRun]:
    """Runs of molecular dynamics on one GPU, whatever code they are of."""
    return [run for run in runs if run.template is Template.MD and run.gpus == 1]


def fit_application(
    catalog: Catalog, application: Application, runs: Sequence[ScienceRun], *, pool: Sequence[ScienceRun] = ()
) -> Application:
    """Curves and what several GPUs lose, then the law between GPUs; `pool` are runs of all codes of dynamics."""
    fitted = fit_curves(catalog, application, runs)
    if application.template is Template.ROOFLINE:
        return fitted
    among = pool if application.template is Template.MD else ()
    return with_laws(catalog, fitted, plain_runs(catalog, application, runs), pool=among)


def plain_runs(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> list[ScienceRun]:
    """Runs whose time is that of GPUs alone."""
    return [run for run in runs if not run.padded and _alone(run) and not spills(catalog, application, run)]


def fit_curves(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> Application:
    """Curves from runs on one GPU, then what only several GPUs or a full memory show."""
    if application.template is Template.ROOFLINE:
        return with_precision_factors(catalog, application, runs)
    plain = plain_runs(catalog, application, runs)
    size_arm = catalog.calibration.assumption("science.size_ln_arm_fraction")
    fitted = replace(application, curves=tuple(curves_of(application, plain, size_arm=size_arm)))
    fitted = with_variant_factors(fitted, plain)
    fitted = with_germline(fitted)
    return with_constants(catalog, fitted, runs)


def _alone(run: ScienceRun) -> bool:
    """Whether GPUs of the run lose nothing to each other that is fitted here."""
    return run.gpus == 1 or run.template in {Template.SEQUENCE_TRAINING, Template.GENOMICS}


def _padding(found: Mapping[str, Application], runs: Sequence[ScienceRun]) -> tuple[float, float]:
    """Time of padded over packed sequences: the median of runs that name both, and how far each is from the others."""
    ratios = []
    for run in runs:
        curves = {(c.variant, c.gpu): c for c in found[run.application].curves} if run.padded else {}
        curve = curves.get((run.variant, run.gpu))
        if curve is not None:
            ratios.append(math.log(run.unit_s / curve_s(curve, point_size(run.size))))
    if len(ratios) < 2:
        return (math.exp(ratios[0]) if ratios else 1.0), arm_of(())
    missed = [one - float(np.median(ratios[:at] + ratios[at + 1 :])) for at, one in enumerate(ratios)]
    return math.exp(float(np.median(ratios))), arm_of(missed)
