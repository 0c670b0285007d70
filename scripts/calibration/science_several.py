"""What only several GPUs or a full memory show: laws of exchange, of serial parts, of sharding and of spilling."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from scripts.calibration.science_curves import arm_of, fit_curve
from scripts.calibration.science_runs import ScienceRun
from service.catalog.catalog import Catalog
from service.sizing.science.application import Application, Curve, HaloLaw
from service.sizing.science.efficiency import halo_efficiency, serial_efficiency, sharding_efficiency
from service.sizing.science.rate import curve_s, point_size
from service.sizing.science.rates import rates_of
from service.sizing.table import FloatArray
from service.sizing.units import GB_S


def with_constants(catalog: Catalog, application: Application, runs: Sequence[ScienceRun]) -> Application:
    """The application with the numbers of the one law that it has; as it is without."""
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
        curve = fit_curve(application.template, mine, variant="default", gpu=gpu)
        arm = arm_of([x - float(np.median(logs[:at] + logs[at + 1 :])) for at, x in enumerate(logs) if len(logs) > 1])
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
        if curve is None or not spills(catalog, application, run):
            continue
        needed = memory.size_bytes * run.size**memory.power
        over.append((needed - _usable_bytes(catalog, run.gpu)) / GB_S)
        extra.append(run.unit_s - curve_s(curve, point_size(run.size)))
    if not over:
        return application
    slope = float(np.sum(np.array(over) * extra) / np.sum(np.square(over)))
    return replace(application, spill=replace(law, s_gb=slope))


def spills(catalog: Catalog, application: Application, run: ScienceRun) -> bool:
    """Whether the run needs more memory than its GPU has, and moves the rest through the host."""
    law = application.memory
    if application.spill is None or law is None:
        return False
    return bool(law.size_bytes * run.size**law.power > _usable_bytes(catalog, run.gpu))


def _usable_bytes(catalog: Catalog, gpu: str) -> float:
    return catalog.hardware.gpu(gpu).memory_gb * GB_S
