"""Laws between GPUs: exponents of data-sheet ratios, and the band that leaving each GPU out shows."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import nnls

from scripts.calibration.science_curves import arm_of
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
# Added to the band where exponents are those of another application, or of too few GPUs.
FEW_GPUS_ARM = 0.3
# How strongly exponents are pulled to those of config/science, in runs.
_PRIOR_RUNS = 2.0


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
    arm = max(0.1, arm_of(missed))
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


def shared_laws(found: dict[str, Application], catalog: Catalog) -> dict[str, Application]:
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
