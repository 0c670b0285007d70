"""Curves of scientific applications from runs on one GPU: seconds per unit of work by size, and factors of variants."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from scripts.calibration.science_runs import ScienceRun
from service.catalog.catalog import Catalog
from service.sizing.science.application import Application, Curve, Template, Variant
from service.sizing.science.arithmetic import product_fraction
from service.sizing.science.rate import curve_s, point_size
from service.sizing.science.rates import beyond_sizes
from service.sizing.table import FloatArray

# Powers of the size that a curve may have, most first: as many as there are distinct sizes.
_POWERS: dict[Template, tuple[int, ...]] = {
    Template.FOLDING: (2, 3, 0),
    Template.MD: (1, 0),
    Template.GENOMICS: (1,),
    Template.WEATHER: (1, 0),
    Template.LATTICE: (0,),
    Template.RECIPE_TRAINING: (0,),
}
# A fixed part of a folding curve shows only where sizes span so much.
_WIDE = 10.0
# Of runs that nobody repeated the band cannot be seen: this arm.
_ONE_RUN_ARM = 0.12
_MOST_ARM = 0.7
_INSIDE = 0.8
# Residuals that make a band of their own; fewer take that of the whole application.
_ENOUGH = 8


def curves_of(application: Application, runs: Sequence[ScienceRun], *, size_arm: float) -> Iterator[Curve]:
    """One curve per base variant and GPU; variants that are relative to another scale its curve where both ran.

    `size_arm` is what an interval has for every e-fold outside the measured sizes, beside the arm of the curve.
    """
    grouped: dict[tuple[str, str, str], list[ScienceRun]] = {}
    for run in runs:
        grouped.setdefault((run.variant, run.base, run.gpu), []).append(run)
    bases: dict[tuple[str, str], Curve] = {}
    residuals: dict[str, list[float]] = {}
    drawn: list[tuple[Curve, str]] = []
    for (variant, base, gpu), mine in sorted(grouped.items()):
        if variant == base or not _known(application, base):
            curve = fit_curve(application.template, mine, variant=variant, gpu=gpu)
            bases[variant, gpu] = curve
            residuals.setdefault(variant, []).extend(unheld(application.template, mine, size_arm=size_arm))
            drawn.append((curve, variant))
    for (variant, base, gpu), mine in sorted(grouped.items()):
        under = bases.get((base, gpu))
        if variant != base and under is not None:
            drawn.append((_scaled_curve(under, mine, variant=variant), base))
    everything = [missed for some in residuals.values() for missed in some]
    for curve, band in drawn:
        own = residuals.get(band, [])
        arm = arm_of(own if len(own) >= _ENOUGH else everything)
        yield replace(curve, q10=-arm, q50=0.0, q90=arm)


def _known(application: Application, variant: str) -> bool:
    return any(one.id == variant for one in application.variants)


def arm_of(residuals: Sequence[float], *, most: float = _MOST_ARM) -> float:
    """Arm of the 80 % interval that a next residual stays in: the conformal quantile of |ln(measured / predicted)|."""
    if len(residuals) < 2:
        return _ONE_RUN_ARM
    ordered = np.sort(np.abs(np.asarray(residuals)))
    place = min(len(ordered) - 1, math.ceil(_INSIDE * (len(ordered) + 1)) - 1)
    return float(min(most, max(ordered[place], 0.02)))


def beyond(missed: float, held: float) -> float:
    """What of a residual an arm that an interval has already does not hold, in quadrature."""
    return math.sqrt(max(0.0, missed * missed - held * held))


def fit_curve(template: Template, runs: Sequence[ScienceRun], *, variant: str, gpu: str) -> Curve:
    """The curve through runs of one GPU: a polynomial, or points where the training engine gives the shape."""
    sizes = np.array([run.size for run in runs])
    seconds = np.array([run.unit_s for run in runs])
    coefficients: tuple[float, ...] = ()
    points: tuple[tuple[float, float], ...] = ()
    if template is Template.SEQUENCE_TRAINING:
        points = tuple(
            (float(size), float(np.exp(np.mean(np.log(seconds[sizes == size]))))) for size in np.unique(sizes)
        )
    else:
        coefficients = _polynomial(template, sizes, seconds)
    return Curve(
        gpu=gpu,
        variant=variant,
        coefficients_s=coefficients,
        points=points,
        size_low=float(sizes.min()),
        size_high=float(sizes.max()),
        q10=0.0,
        q50=0.0,
        q90=0.0,
        runs=len(runs),
        measured=True,
        evidence=tuple(sorted(run.id for run in runs)),
        basis="seen",
        source=min(run.source for run in runs),
        date="",
        timesteps_fs=timesteps_of(runs),
        settings=settings_of(runs),
    )


def timesteps_of(runs: Sequence[ScienceRun]) -> tuple[float, ...]:
    """Integration steps [fs] of these runs, each once; none of work that has no steps."""
    return tuple(sorted({run.timestep_fs for run in runs if run.timestep_fs is not None}))


def settings_of(runs: Sequence[ScienceRun]) -> tuple[str, ...]:
    """What these runs say of their settings, each once."""
    return tuple(sorted({run.settings for run in runs if run.settings is not None}))


def _polynomial(template: Template, sizes: FloatArray, seconds: FloatArray) -> tuple[float, ...]:
    """Non-negative coefficients by relative least squares; as many powers as there are distinct sizes."""
    powers = _POWERS[template][: max(1, len(np.unique(sizes)))]
    if template is Template.FOLDING and sizes.max() < _WIDE * sizes.min():
        powers = powers[:2]
    scale = float(np.exp(np.mean(np.log(sizes))))
    columns = np.stack([(sizes / scale) ** power for power in powers], axis=1) / seconds[:, None]
    found, _ = nnls(columns, np.ones(sizes.size))
    row = [0.0] * (max(powers) + 1)
    for power, value in zip(powers, found, strict=True):
        row[power] = float(value / scale**power)
    return tuple(row)


def unheld(template: Template, runs: Sequence[ScienceRun], *, size_arm: float) -> list[float]:
    """What an arm has to hold of ln(measured / predicted) of each run by the curve through the others.

    That is all of it between their sizes, and outside what the arm for sizes lacks. Of a curve that they determine.
    """
    found = []
    for place, run in enumerate(runs):
        others = [other for at, other in enumerate(runs) if at != place]
        sizes = {other.size for other in others}
        enough = min(len(_POWERS.get(template, (0,))), len({r.size for r in runs}))
        if len(sizes) < enough:
            continue
        curve = fit_curve(template, others, variant="", gpu=run.gpu)
        predicted = curve_s(curve, point_size(run.size))
        if predicted > 0.0:
            missed = math.log(run.unit_s / predicted)
            found.append(beyond(missed, size_arm * beyond_sizes(curve, point_size(run.size))))
    return found


def _scaled_curve(base: Curve, runs: Sequence[ScienceRun], *, variant: str) -> Curve:
    """The curve of another variant on the same GPU, through the runs of this one."""
    factor = math.exp(float(np.mean([math.log(run.unit_s / curve_s(base, point_size(run.size))) for run in runs])))
    return replace(
        base,
        variant=variant,
        coefficients_s=tuple(c * factor for c in base.coefficients_s),
        size_low=min(run.size for run in runs),
        size_high=max(run.size for run in runs),
        runs=len(runs),
        evidence=tuple(sorted(run.id for run in runs)),
        timesteps_fs=timesteps_of(runs),
        settings=settings_of(runs),
    )


def with_variant_factors(application: Application, runs: Sequence[ScienceRun]) -> Application:
    """Of a variant relative to another: the median factor over GPUs that ran both, and how far GPUs lie from it."""
    bases = {(c.variant, c.gpu): c for c in application.curves}
    changed = []
    for variant in application.variants:
        logs = [
            math.log(run.unit_s / curve_s(bases[run.base, run.gpu], point_size(run.size)))
            for run in runs
            if run.variant == variant.id != run.base and (run.base, run.gpu) in bases
        ]
        if logs:
            middle = float(np.median(logs))
            arm = arm_of([x - middle for x in logs])
            changed.append(replace(variant, time_factor=math.exp(middle), ln_arm=arm))
        else:
            changed.append(variant)
    return replace(application, variants=tuple(changed))


def with_precision_factors(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> Application:
    """Of a roofline application: 1 / the share of the dense peak that GPUs reach, by number format.

    A run that is faster than the data sheet's peak ran by another one, as boards do that clock higher than their sheet
    or sum in fewer bits: it tells no share and is left aside. The band is that between GPUs, over all formats: what one
    reaches in one format it mostly does in others too, so that GPUs count and not runs.
    """
    told = [run for run in runs if run.unit_s >= 1.0]
    by_format = {v.id: [run for run in told if run.variant == v.id] for v in application.variants}
    missed: dict[str, list[float]] = {}
    for variant in application.variants:
        for gpu, one in _from_other_gpus(catalog, variant, by_format[variant.id]):
            missed.setdefault(gpu, []).append(abs(one))
    arm = arm_of([float(np.quantile(some, _INSIDE)) for some in missed.values()])
    changed = []
    for variant in application.variants:
        # A format that nobody ran takes the share of the one whose products run on the same cores.
        mine = by_format[variant.id] or [run for name in variant.kernels for run in by_format.get(name, [])]
        changed.append(replace(variant, time_factor=_median_s(mine), ln_arm=arm) if mine else variant)
    return replace(application, variants=tuple(changed))


def _median_s(runs: Sequence[ScienceRun]) -> float:
    return math.exp(float(np.median([math.log(run.unit_s) for run in runs])))


def _from_other_gpus(catalog: Catalog, variant: Variant, runs: Sequence[ScienceRun]) -> Iterator[tuple[str, float]]:
    """How far ln(time) of each run lies from what those on other GPUs give; nothing where one GPU alone ran."""
    specs = {gpu.id: gpu for gpu in catalog.hardware.gpus}
    for run in runs:
        others = [other for other in runs if other.gpu != run.gpu]
        if others:
            seen = replace(variant, time_factor=_median_s(others))
            share = product_fraction(seen, specs[run.gpu], catalog.calibration.curves)
            yield run.gpu, math.log(run.unit_s * share)


def with_germline(application: Application) -> Application:
    """A pipeline that nobody timed whole is its two stages one after the other."""
    parts: dict[str, dict[str, Curve]] = {}
    for curve in application.curves:
        parts.setdefault(curve.gpu, {})[curve.variant] = curve
    both = [
        replace(
            stages["fq2bam"],
            variant="germline",
            coefficients_s=tuple(
                a + b
                for a, b in zip(stages["fq2bam"].coefficients_s, stages["deepvariant"].coefficients_s, strict=True)
            ),
            runs=stages["fq2bam"].runs + stages["deepvariant"].runs,
            evidence=(*stages["fq2bam"].evidence, *stages["deepvariant"].evidence),
            note="fq2bam and DeepVariant one after the other",
        )
        for stages in parts.values()
        if {"fq2bam", "deepvariant"} <= set(stages) and "germline" not in stages
    ]
    return replace(application, curves=(*application.curves, *both))
