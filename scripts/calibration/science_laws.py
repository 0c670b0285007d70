"""Laws between GPUs: exponents of data-sheet ratios, and the band that leaving each GPU out shows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from scripts.calibration.science_curves import arm_of, beyond, fit_curve
from scripts.calibration.science_runs import ScienceRun
from service.catalog.catalog import Catalog
from service.sizing.hardware import GpuSpec
from service.sizing.science.application import Application, Template, TransferLaw
from service.sizing.science.rate import point_size
from service.sizing.science.rates import rates_of

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
# How strongly exponents are pulled to those of config/science, in runs.
_PRIOR_RUNS = 2.0
_LEAST_ARM = 0.1
Mask = tuple[bool, bool, bool]


def with_laws(
    catalog: Catalog,
    application: Application,
    runs: Sequence[ScienceRun],
    *,
    pool: Sequence[ScienceRun] = (),
    without: str | None = None,
) -> Application:
    """The application with its law between GPUs, and laws of variants that enough GPUs ran: their bounds differ.

    `pool` are runs of every code that dynamics is done with, this one among them: what an atom costs on one GPU more
    than on another is the same arithmetic in all of them.
    """
    common = fit_law(catalog, application, runs, pool=pool, without=without)
    variants = sorted({run.variant for run in runs if run.variant == run.base})
    found = []
    for variant in variants if len(variants) > 1 else ():
        mine = [run for run in runs if run.variant == variant]
        if len({run.gpu for run in mine}) >= VARIANT_GPUS:
            own = fit_law(catalog, replace(application, law=common), mine, without=without)
            found += [] if own is None else [replace(own, variant=variant)]
    return replace(application, law=common, variant_laws=tuple(found))


def fit_law(
    catalog: Catalog,
    application: Application,
    runs: Sequence[ScienceRun],
    *,
    pool: Sequence[ScienceRun] = (),
    without: str | None = None,
) -> TransferLaw | None:
    """Exponents of data-sheet ratios from GPUs that ran the same sizes, pulled to those of config/science.

    The band is what leaving each GPU out shows; where fewer than three ran, the one that config/science judges.
    """
    prior, mask = application.law, _SPECS.get(application.template, (False, False, False))
    if prior is None:
        return None
    kept = [run for run in runs if run.gpu != without and run.variant == run.base]
    among = [run for run in pool if run.gpu != without and run.variant == run.base] or kept
    law = _law(catalog, among, prior, mask)
    if without is not None:
        return law
    if len({run.gpu for run in kept}) < LEAST_GPUS:
        return law
    arm = max(_LEAST_ARM, arm_of(list(_unseen_scores(catalog, application, kept, among, prior=prior, mask=mask))))
    return replace(law, ln_low=-arm, ln_high=arm)


def _law(catalog: Catalog, runs: Sequence[ScienceRun], prior: TransferLaw, mask: Mask) -> TransferLaw:
    """The law of these runs; what config/science says where too few GPUs ran, or no data sheet explains anything."""
    if not any(mask) or len({run.gpu for run in runs}) < LEAST_GPUS:
        return prior
    exponents = _exponents(catalog, runs, prior, mask)
    return replace(
        prior,
        fp32_exponent=exponents[0],
        bandwidth_exponent=exponents[1],
        bf16_exponent=exponents[2],
        basis="seen",
        source=min(run.source for run in runs),
    )


def _exponents(
    catalog: Catalog, runs: Sequence[ScienceRun], prior: TransferLaw, mask: Mask
) -> tuple[float, float, float]:
    """Ridge of the logarithms of speeds on those of data-sheet figures, among what differs in nothing but the GPU."""
    rows, wanted = [], []
    for cell in _cells(catalog, runs, mask):
        specs = np.array([_specs(catalog.hardware.gpu(gpu), mask) for gpu, _ in cell], dtype=np.float64)
        speeds = np.array([-math.log(seconds) for _, seconds in cell])
        rows.append(specs - specs.mean(axis=0))
        wanted.append(speeds - speeds.mean())
    start = np.array([prior.fp32_exponent, prior.bandwidth_exponent, prior.bf16_exponent]) * np.array(mask)
    pull = math.sqrt(_PRIOR_RUNS)
    matrix = np.concatenate([*rows, pull * np.eye(3)])
    found, _ = nnls(matrix, np.concatenate([*wanted, pull * start]))
    return tuple(float(x) if use else 0.0 for x, use in zip(found, mask, strict=True))  # type: ignore[return-value]


def _cells(catalog: Catalog, runs: Sequence[ScienceRun], mask: Mask) -> Iterator[list[tuple[str, float]]]:
    """GPUs with seconds that only the GPU sets apart: of runs of one size; of dynamics, what one more atom takes."""
    cells: dict[tuple[str, ...], list[ScienceRun]] = {}
    for run in runs:
        if _specs(catalog.hardware.gpu(run.gpu), mask) is not None:
            size = "" if run.template is Template.MD else f"{run.size:g}"
            cells.setdefault((run.application, run.source, run.variant, size), []).append(run)
    for mine in cells.values():
        if mine[0].template is Template.MD:
            yield list(_slopes(mine))
        else:
            yield [(run.gpu, run.unit_s) for run in mine]


def _slopes(runs: Sequence[ScienceRun]) -> Iterator[tuple[str, float]]:
    """Seconds of a step that each atom adds, of GPUs that ran systems of two sizes at least."""
    for gpu in sorted({run.gpu for run in runs}):
        mine = [run for run in runs if run.gpu == gpu]
        curve = fit_curve(Template.MD, mine, variant="", gpu=gpu)
        if len(curve.coefficients_s) > 1 and len({run.size for run in mine}) > 1 and curve.coefficients_s[1] > 0.0:
            yield gpu, curve.coefficients_s[1]


def _specs(gpu: GpuSpec, mask: Mask) -> list[float] | None:
    """Logarithms of FP32, bandwidth and BF16; zero where a figure is not used, None where a used one is unknown."""
    figures = (gpu.fp32_dense_tflops, gpu.memory_bandwidth_tb_s, gpu.bf16_dense_tflops)
    if any(use and not figure for use, figure in zip(mask, figures, strict=True)):
        return None
    return [math.log(figure) if use and figure else 0.0 for use, figure in zip(mask, figures, strict=True)]


def _unseen_scores(
    catalog: Catalog,
    application: Application,
    runs: Sequence[ScienceRun],
    pool: Sequence[ScienceRun],
    *,
    prior: TransferLaw,
    mask: Mask,
) -> Iterator[float]:
    """Of every run on a GPU that neither curves nor exponents had seen, what the band of the law has to hold.

    That is ln(measured / predicted) less, in quadrature, what the interval of the measured curves holds already.
    """
    for gpu in sorted({run.gpu for run in runs}):
        spec = catalog.hardware.gpu(gpu)
        if _specs(spec, mask) is None:
            continue
        law = _law(catalog, [run for run in pool if run.gpu != gpu], prior, mask)
        unseen = replace(
            application,
            law=replace(law, ln_low=0.0, ln_high=0.0),
            variant_laws=(),
            transfers=(),
            curves=tuple(c for c in application.curves if c.gpu != gpu),
        )
        for run in (r for r in runs if r.gpu == gpu):
            rates = rates_of(
                unseen,
                run.base,
                point_size(run.size),
                gpus=(spec,),
                hardware=catalog.hardware,
                calibration=catalog.calibration,
                settings=run.settings,
            )
            rate = rates.rates[0]
            # What other settings change is no matter of the GPU, and has a band of its own.
            if rate is not None and not rate.other_settings and math.isfinite(rate.unit_s):
                missed = math.log(run.unit_s / float(rates.unit_s[0]))
                yield beyond(missed, float(rates.up[0] if missed > 0.0 else rates.down[0]))
