"""Curves, laws, factors and constants of scientific applications, fitted on measured runs; nothing is set by hand."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize, minimize_scalar, nnls

from scripts.calibration.science_runs import ScienceRun
from service.catalog.catalog import Catalog
from service.sizing.hardware import GpuSpec
from service.sizing.science.application import Application, Curve, HaloLaw, Template, TransferLaw
from service.sizing.science.performance import halo_efficiency, serial_efficiency, sharding_efficiency
from service.sizing.science.rate import curve_s, point_size
from service.sizing.science.rates import rates_of
from service.sizing.table import FloatArray
from service.sizing.units import GB_S

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
# Data-sheet figures that may explain the speed of a GPU: FP32, bandwidth, BF16.
_SPECS: dict[Template, tuple[bool, bool, bool]] = {
    Template.FOLDING: (False, True, True),
    Template.MD: (True, True, False),
    Template.WEATHER: (False, True, True),
    Template.LATTICE: (True, True, False),
    # The training engine knows the data sheets; what is measured over it is carried as it is.
    Template.SEQUENCE_TRAINING: (False, False, False),
}
LEAST_GPUS = 3
VARIANT_GPUS = 8
# Added to the band where exponents are those of another application, or of too few GPUs.
FEW_GPUS_ARM = 0.3
# How strongly exponents are pulled to those of config/science, in runs.
_PRIOR_RUNS = 2.0
# Of runs that nobody repeated the band cannot be seen: this arm.
_ONE_RUN_ARM = 0.12
_MOST_ARM = 0.7
_NINETY = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """Applications with what was fitted, and the residuals ln(measured / predicted) of runs that a fit left out."""

    applications: Mapping[str, Application]
    padding_time_factor: float


def fit_science(catalog: Catalog, runs: Sequence[ScienceRun]) -> Fitted:
    """Every application of which there are runs."""
    named: dict[str, list[ScienceRun]] = {}
    for run in runs:
        named.setdefault(run.application, []).append(run)
    found = {name: fit_application(catalog, catalog.applications[name], mine) for name, mine in sorted(named.items())}
    return Fitted(applications=_shared_laws(found, catalog), padding_time_factor=_padding(found, runs))


def fit_application(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> Application:
    """Curves from runs on one GPU, then what only several GPUs or a full memory show, then the law between GPUs."""
    if application.template is Template.ROOFLINE:
        return _with_precision_factors(application, runs)
    plain = [run for run in runs if not run.padded and _alone(run) and not _spills(catalog, application, run)]
    fitted = replace(application, curves=tuple(_curves(application, plain)))
    fitted = _with_variant_factors(fitted, plain)
    fitted = _with_germline(fitted)
    fitted = _with_constants(catalog, fitted, runs)
    return with_laws(catalog, fitted, plain)


def _alone(run: ScienceRun) -> bool:
    """Whether GPUs of the run lose nothing to each other that is fitted here."""
    return run.gpus == 1 or run.template in {Template.SEQUENCE_TRAINING, Template.GENOMICS}


def _spills(catalog: Catalog, application: Application, run: ScienceRun) -> bool:
    law = application.memory
    if application.spill is None or law is None:
        return False
    return bool(law.size_bytes * run.size**law.power > _usable_bytes(catalog, run.gpu))


def _usable_bytes(catalog: Catalog, gpu: str) -> float:
    return catalog.hardware.gpu(gpu).memory_gb * GB_S


# --- curves


def _curves(application: Application, runs: Sequence[ScienceRun]) -> Iterator[Curve]:
    """One curve per base variant and GPU; variants that are relative to another scale its curve where both ran."""
    grouped: dict[tuple[str, str, str], list[ScienceRun]] = {}
    for run in runs:
        grouped.setdefault((run.variant, run.base, run.gpu), []).append(run)
    bases: dict[tuple[str, str], Curve] = {}
    residuals: dict[str, list[float]] = {}
    drawn: list[tuple[Curve, str]] = []
    for (variant, base, gpu), mine in sorted(grouped.items()):
        if variant == base or not _known(application, base):
            curve = _fit_curve(application.template, mine, variant=variant, gpu=gpu)
            bases[variant, gpu] = curve
            residuals.setdefault(variant, []).extend(_left_out(application.template, mine))
            drawn.append((curve, variant))
    for (variant, base, gpu), mine in sorted(grouped.items()):
        under = bases.get((base, gpu))
        if variant != base and under is not None:
            drawn.append((_scaled_curve(under, mine, variant=variant), base))
    everything = [r for some in residuals.values() for r in some]
    for curve, band in drawn:
        own = residuals.get(band, [])
        arm = _arm(own if len(own) >= 5 else everything)
        yield replace(curve, q10=-arm, q50=0.0, q90=arm)


def _known(application: Application, variant: str) -> bool:
    return any(one.id == variant for one in application.variants)


def _arm(residuals: Sequence[float]) -> float:
    """Arm of the 80 % interval that a next residual stays in: the conformal quantile of |ln(measured / predicted)|."""
    if len(residuals) < 2:
        return _ONE_RUN_ARM
    ordered = np.sort(np.abs(np.asarray(residuals)))
    place = min(len(ordered) - 1, math.ceil(_NINETY * (len(ordered) + 1)) - 1)
    return float(min(_MOST_ARM, max(ordered[place], 0.02)))


def _fit_curve(template: Template, runs: Sequence[ScienceRun], *, variant: str, gpu: str) -> Curve:
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
    )


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


def _left_out(template: Template, runs: Sequence[ScienceRun]) -> list[float]:
    """ln(measured / predicted) of each run by the curve through the others; of a curve that they still determine."""
    found = []
    for place, run in enumerate(runs):
        others = [other for at, other in enumerate(runs) if at != place]
        sizes = {other.size for other in others}
        enough = min(len(_POWERS.get(template, (0,))), len({r.size for r in runs}))
        if len(sizes) < enough or (template is Template.SEQUENCE_TRAINING and run.size not in sizes):
            continue
        curve = _fit_curve(template, others, variant="", gpu=run.gpu)
        predicted = curve_s(curve, point_size(run.size))
        if predicted > 0.0:
            found.append(math.log(run.unit_s / predicted))
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
    )


def _with_variant_factors(application: Application, runs: Sequence[ScienceRun]) -> Application:
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
            arm = _arm([x - middle for x in logs])
            changed.append(replace(variant, time_factor=math.exp(middle), ln_arm=arm))
        else:
            changed.append(variant)
    return replace(application, variants=tuple(changed))


def _with_precision_factors(application: Application, runs: Sequence[ScienceRun]) -> Application:
    """Of a roofline application: 1 / the share of the dense peak that GPUs reach, by number format."""
    changed = []
    for variant in application.variants:
        logs = [math.log(run.unit_s) for run in runs if run.variant == variant.id]
        if logs:
            middle = float(np.median(logs))
            arm = _arm([x - middle for x in logs])
            changed.append(replace(variant, time_factor=math.exp(middle), ln_arm=arm))
        else:
            changed.append(variant)
    return replace(application, variants=tuple(changed))


def _with_germline(application: Application) -> Application:
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


# --- what several GPUs and a full memory show


def _with_constants(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> Application:
    curves = {(c.variant, c.gpu): c for c in application.curves}

    if application.serial is not None:
        return _with_serial(application, runs)
    if application.halo is not None:
        return _with_halo(catalog, application, runs)
    if application.sharding is not None:
        return _with_sharding(catalog, application, runs)
    if application.spill is not None:
        return _with_spill(catalog, application, runs, curves)
    return application


def _with_serial(application: Application, runs: Sequence[ScienceRun]) -> Application:
    """Seconds on one GPU of each kind, and the share of a run that does not split."""
    law = application.serial
    assert law is not None

    def split(serial: float) -> dict[str, list[float]]:
        tried = replace(law, serial_fraction=serial)
        found: dict[str, list[float]] = {}
        for run in runs:
            # The probe already divided by the efficiency of the law as it stands.
            before, after = float(serial_efficiency(run.gpus, law)), float(serial_efficiency(run.gpus, tried))
            found.setdefault(run.gpu, []).append(math.log(run.unit_s / before * after))
        return found

    def scatter(log_serial: float) -> float:
        return sum(float(np.sum((np.array(x) - np.mean(x)) ** 2)) for x in split(math.exp(log_serial)).values())

    serial = math.exp(float(minimize_scalar(scatter, bounds=(-12.0, 0.0), method="bounded").x))
    curves = []
    for gpu, logs in sorted(split(serial).items()):
        mine = [run for run in runs if run.gpu == gpu]
        curve = _fit_curve(application.template, mine, variant="default", gpu=gpu)
        arm = _arm([x - float(np.median(logs)) for x in logs])
        curves.append(replace(curve, coefficients_s=(math.exp(float(np.median(logs))),), q10=-arm, q90=arm))
    return replace(application, curves=tuple(curves), serial=replace(law, serial_fraction=serial))


def _with_halo(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> Application:
    law = application.halo
    assert law is not None
    curves = {(c.variant, c.gpu): c for c in application.curves}
    several = [run for run in runs if run.gpus > 1 and (run.variant, run.gpu) in curves]

    def scatter(log_coefficient: float) -> float:
        tried = replace(law, coefficient=math.exp(log_coefficient))
        return sum(abs(math.log(_halo_factor(catalog, application, run, tried, curves))) for run in several)

    if not several:
        return application
    best = minimize_scalar(scatter, bounds=(-18.0, -8.0), method="bounded").x
    return replace(application, halo=replace(law, coefficient=math.exp(float(best))))


def _halo_factor(
    catalog: Catalog,
    application: Application,
    run: ScienceRun,
    law: HaloLaw,
    curves: Mapping[tuple[str, str], Curve],
) -> float:
    """Measured over predicted seconds of a run on several GPUs."""
    curve = curves[run.variant, run.gpu]
    variant = application.variant(run.variant)
    spec = catalog.hardware.gpu(run.gpu)
    assert variant is not None
    one = curve_s(curve, point_size(run.size))
    link = (spec.pcie_gb_s or 1.0) * GB_S

    def efficiency(of: HaloLaw, update_s: float) -> float:
        found = halo_efficiency(
            run.gpus,
            of,
            update_s=update_s,
            element_bytes=variant.element_bytes,
            link_bytes_s=link,
        )
        return float(found)

    # The probe took one second an update: nothing is lost at that pace.
    return run.unit_s / (one / efficiency(law, one))


def _with_sharding(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> Application:
    """Loss over many GPUs against one of the kind; where that was not timed, the law between GPUs gives its speed."""
    law = application.sharding
    assert law is not None
    several = [run for run in runs if run.gpus > 1]
    if not several:
        return application

    def alone_s(run: ScienceRun) -> float:
        rates = rates_of(
            application,
            run.base,
            point_size(run.size),
            gpus=(catalog.hardware.gpu(run.gpu),),
            hardware=catalog.hardware,
            calibration=catalog.calibration,
        )
        return float(rates.unit_s[0])

    def residual(run: ScienceRun, coefficient: float, power: float) -> float:
        tried = replace(law, coefficient=coefficient, power=power)
        before = float(sharding_efficiency(run.gpus, law, size_tokens=run.size))
        after = float(sharding_efficiency(run.gpus, tried, size_tokens=run.size))
        return math.log(run.unit_s / before * after / alone_s(run))

    def scatter(values: FloatArray) -> float:
        return sum(residual(run, math.exp(values[0]), values[1]) ** 2 for run in several)

    best = minimize(scatter, x0=np.array([-1.0, 0.8]), method="Nelder-Mead").x
    return replace(application, sharding=replace(law, coefficient=math.exp(float(best[0])), power=float(best[1])))


def _with_spill(
    catalog: Catalog,
    application: Application,
    runs: Sequence[ScienceRun],
    curves: Mapping[tuple[str, str], Curve],
) -> Application:
    """Seconds that each GB over the memory adds to a unit."""
    law, memory = application.spill, application.memory
    assert law is not None
    assert memory is not None
    over, extra = [], []
    for run in runs:
        curve = curves.get((run.variant, run.gpu))
        if curve is None or not _spills(catalog, application, run):
            continue
        needed = memory.size_bytes * run.size**memory.power
        over.append((needed - _usable_bytes(catalog, run.gpu)) / GB_S)
        extra.append(run.unit_s - curve_s(curve, point_size(run.size)))
    if not over:
        return application
    slope = float(np.sum(np.array(over) * extra) / np.sum(np.square(over)))
    return replace(application, spill=replace(law, s_gb=slope))


# --- between GPUs


def with_laws(
    catalog: Catalog, application: Application, runs: Sequence[ScienceRun], *, without: str | None = None
) -> Application:
    """The application with its law between GPUs, and laws of variants that enough GPUs ran: their bounds differ."""
    common = fit_law(catalog, application, runs, without=without)
    variants = sorted({run.variant for run in runs if run.variant == run.base})
    found = []
    for variant in variants if len(variants) > 1 else ():
        mine = [run for run in runs if run.variant == variant]
        if len({run.gpu for run in mine}) >= VARIANT_GPUS:
            own = fit_law(catalog, replace(application, law=common), mine, without=without)
            found += [] if own is None else [replace(own, variant=variant)]
    return replace(application, law=common, variant_laws=tuple(found))


def fit_law(
    catalog: Catalog, application: Application, runs: Sequence[ScienceRun], *, without: str | None = None
) -> TransferLaw | None:
    """Exponents of data-sheet ratios from GPUs that ran the same sizes, pulled to those of config/science.

    The band is what leaving each GPU out shows. Fewer than three GPUs: as config/science says.
    """
    prior, mask = application.law, _SPECS.get(application.template)
    kept = [run for run in runs if run.gpu != without and run.variant == run.base]
    if prior is None or mask is None or len({run.gpu for run in kept}) < LEAST_GPUS:
        return prior
    exponents = _exponents(catalog, kept, prior, mask)
    law = replace(
        prior,
        fp32_exponent=exponents[0],
        bandwidth_exponent=exponents[1],
        bf16_exponent=exponents[2],
        basis="seen",
        source=min(run.source for run in kept),
    )
    if without is not None:
        return law
    missed = list(_unseen_residuals(catalog, application, kept, prior, mask))
    arm = max(0.1, _arm(missed))
    return replace(law, ln_low=-arm, ln_high=arm)


def _exponents(
    catalog: Catalog, runs: Sequence[ScienceRun], prior: TransferLaw, mask: tuple[bool, bool, bool]
) -> tuple[float, float, float]:
    rows, wanted = [], []
    cells: dict[tuple[str, float], list[ScienceRun]] = {}
    for run in runs:
        if _specs(catalog.hardware.gpu(run.gpu), mask) is not None:
            cells.setdefault((run.variant, run.size), []).append(run)
    for mine in cells.values():
        specs = np.array([_specs(catalog.hardware.gpu(run.gpu), mask) for run in mine], dtype=np.float64)
        speeds = np.array([-math.log(run.unit_s) for run in mine])
        rows.append(specs - specs.mean(axis=0))
        wanted.append(speeds - speeds.mean())
    start = np.array([prior.fp32_exponent, prior.bandwidth_exponent, prior.bf16_exponent]) * np.array(mask)
    pull = math.sqrt(_PRIOR_RUNS)
    matrix = np.concatenate([*rows, pull * np.eye(3)])
    found, _ = nnls(matrix, np.concatenate([*wanted, pull * start]))
    return tuple(float(x) if use else 0.0 for x, use in zip(found, mask, strict=True))  # type: ignore[return-value]


def _specs(gpu: GpuSpec, mask: tuple[bool, bool, bool]) -> list[float] | None:
    """Logarithms of FP32, bandwidth and BF16; zero where a figure is not used, None where a used one is unknown."""
    figures = (gpu.fp32_dense_tflops, gpu.memory_bandwidth_tb_s, gpu.bf16_dense_tflops)
    if any(use and not figure for use, figure in zip(mask, figures, strict=True)):
        return None
    return [math.log(figure) if use and figure else 0.0 for use, figure in zip(mask, figures, strict=True)]


def _unseen_residuals(
    catalog: Catalog,
    application: Application,
    runs: Sequence[ScienceRun],
    prior: TransferLaw,
    mask: tuple[bool, bool, bool],
) -> Iterator[float]:
    """ln(measured / predicted) of every run on a GPU that neither curves nor exponents had seen."""
    for gpu in sorted({run.gpu for run in runs}):
        others = [run for run in runs if run.gpu != gpu]
        spec = catalog.hardware.gpu(gpu)
        if _specs(spec, mask) is None or len({run.gpu for run in others}) < 2:
            continue
        exponents = _exponents(catalog, others, prior, mask)
        law = replace(prior, fp32_exponent=exponents[0], bandwidth_exponent=exponents[1], bf16_exponent=exponents[2])
        unseen = replace(
            application,
            law=law,
            variant_laws=(),
            transfers=(),
            curves=tuple(c for c in application.curves if c.gpu != gpu),
        )
        for run in (r for r in runs if r.gpu == gpu):
            rate = rates_of(
                unseen,
                run.base,
                point_size(run.size),
                gpus=(spec,),
                hardware=catalog.hardware,
                calibration=catalog.calibration,
            )
            if math.isfinite(rate.unit_s[0]):
                yield math.log(run.unit_s / float(rate.unit_s[0]))


def _shared_laws(found: dict[str, Application], catalog: Catalog) -> dict[str, Application]:
    """Dynamics codes that ran on too few GPUs take the exponents of the one that ran on many, with a wider band."""
    del catalog
    measured = found.get("openmm")
    if measured is None or measured.law is None:
        return found
    wide = math.hypot(measured.law.ln_high, FEW_GPUS_ARM)
    shared = {}
    for name, application in found.items():
        few = application.law
        if application.template is Template.MD and name != "openmm" and few is not None:
            law = replace(
                few,
                fp32_exponent=measured.law.fp32_exponent,
                bandwidth_exponent=measured.law.bandwidth_exponent,
                bf16_exponent=measured.law.bf16_exponent,
                ln_low=-wide,
                ln_high=wide,
            )
            shared[name] = replace(application, law=law)
        else:
            shared[name] = application
    return shared


def _padding(found: Mapping[str, Application], runs: Sequence[ScienceRun]) -> float:
    """Time of padded over packed sequences: the median of runs that name both; 1 without any."""
    ratios = []
    for run in runs:
        curves = {(c.variant, c.gpu): c for c in found[run.application].curves} if run.padded else {}
        curve = curves.get((run.variant, run.gpu))
        if curve is not None:
            ratios.append(run.unit_s / curve_s(curve, point_size(run.size)))
    return float(np.median(ratios)) if ratios else 1.0
