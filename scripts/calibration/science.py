"""Measured scientific jobs -> config/calibration/science.yaml: fitted, with whole sources and GPUs left out."""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from scripts.calibration.science_fit import Fitted, fit_application, fit_science
from scripts.calibration.science_laws import FEW_GPUS_ARM, LEAST_GPUS, with_laws
from scripts.calibration.science_runs import ScienceRun, predictions, with_padding
from service.catalog.catalog import Catalog
from service.sizing.science.application import Application, TransferLaw
from service.sizing.version import ENGINE_VERSION

_HEADER = """\
# What scripts/calibrate --only science fitted on measured runs; do not edit by hand. Each entry names an application of
# config/science, whose file says what it means. rates: seconds per unit of work on one GPU by size, with quantiles of
# ln(measured / predicted) where the curve had not seen the run. laws: exponents of data-sheet ratios between GPUs, and
# the band that leaving each GPU out shows. factors: variants relative to a curve. constants: numbers of other laws.
# errors: absolute error over measured, median over groups (source x application x GPU x precision) and over rows, p90
# over rows; bias = median of predicted over measured less one, inside = share within the 80 % interval. left_out: gpu =
# neither curves nor law had seen the GPU; source = the application's runs of one source, by those of the others.
# An application that is left out whole has no rate: the customer gives one, or it borrows a curve as its file says.
"""
_FIT, _GPU, _SOURCE = "nothing", "gpu", "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScienceError:
    """One run predicted: ln(predicted / measured), and whether measured lies in the 80 % interval."""

    run: ScienceRun
    left_out: str
    log_error: float
    inside: bool


def calibrate_science(
    catalog: Catalog, runs: Sequence[ScienceRun], say: Callable[[str], None]
) -> tuple[Fitted, tuple[ScienceError, ...]]:
    """The fit on all runs, and the errors of it and of fits without a GPU or a source."""
    fitted = fit_science(catalog, runs)
    errors = _errors(catalog, fitted.applications, runs, _FIT, padding=fitted.padding_time_factor)
    for name, whole in fitted.applications.items():
        mine = [run for run in runs if run.application == name]
        for part, value in _folds(mine):
            kept = [run for run in mine if getattr(run, part) != value]
            left = [run for run in mine if getattr(run, part) == value]
            say(f"{name}: leaving out {part} {value}")
            again = _fitted_without(catalog, whole, kept, gpu=value if part == _GPU else None)
            errors += _errors(catalog, {name: again}, left, part, padding=fitted.padding_time_factor)
    return fitted, tuple(errors)


def _folds(runs: Sequence[ScienceRun]) -> Iterator[tuple[str, str]]:
    """Every GPU and every source without which something of the application is still measured."""
    for part in (_GPU, _SOURCE):
        values = Counter(str(getattr(run, part)) for run in runs)
        if len(values) > 1:
            yield from ((part, value) for value in sorted(values))


def _fitted_without(
    catalog: Catalog, whole: Application, kept: Sequence[ScienceRun], *, gpu: str | None
) -> Application:
    """The application fitted on what is kept; what its law would be without the GPU, with the band of the whole."""
    facts = catalog.applications[whole.id]
    again = fit_application(catalog, facts, kept)
    if whole.law is None:
        return again
    again = with_laws(catalog, again, kept, without=gpu)
    few = len({run.gpu for run in kept}) < LEAST_GPUS

    def banded(law: TransferLaw | None, of: TransferLaw | None) -> TransferLaw | None:
        if law is None or of is None:
            return law
        arm = math.hypot(of.ln_high, FEW_GPUS_ARM) if few else of.ln_high
        return replace(law, ln_low=-arm, ln_high=arm)

    return replace(
        again,
        law=banded(again.law, whole.law),
        variant_laws=tuple(law for own in again.variant_laws if (law := banded(own, whole.law_of(str(own.variant))))),
    )


def _errors(
    catalog: Catalog,
    applications: Mapping[str, Application],
    runs: Sequence[ScienceRun],
    left_out: str,
    *,
    padding: float,
) -> list[ScienceError]:
    calibration = with_padding(catalog.calibration, padding)
    found = predictions(replace(catalog, calibration=calibration), applications, list(runs))
    return [
        ScienceError(
            run=run,
            left_out=left_out,
            log_error=math.log(interval.p50 / measured),
            inside=interval.p10 <= measured <= interval.p90,
        )
        for run, interval, measured in found
        if math.isfinite(interval.p50) and interval.p50 > 0.0
    ]


def write_science(
    path: Path, fitted: Fitted, errors: Sequence[ScienceError], *, catalog: Catalog, today: date, runs: int
) -> None:
    """The file as people read it."""
    applications = list(fitted.applications.values())
    lines = [
        _HEADER.rstrip(),
        "schema_version: 1",
        f'fitted: "{today.isoformat()}"',
        f"inputs: {runs} lines of config/evidence/science.jsonl whose split is calibration and scope is timing",
        "method: non-negative relative least squares of curves (scripts/calibration/science_curves.py), ridge of laws",
        f'code_version: "{ENGINE_VERSION}"',
        "errors:",
        *_error_lines(errors),
        "rates:",
        *(_rate(application.id, curve, today) for application in applications for curve in application.curves),
        "laws:",
        *(
            _line({"application": a.id, **_record(a.law)})
            for a in applications
            if a.law is not None and a.law != catalog.applications[a.id].law
        ),
        *(_line({"application": a.id, **_record(law)}) for a in applications for law in a.variant_laws),
        "factors:",
        *_factor_lines(applications, catalog),
        "constants:",
        *_constant_lines(applications),
        "coefficients:",
        _line(
            {
                "name": "science.padding_time_factor",
                "value": fitted.padding_time_factor,
                "source": "padded over packed sequences: median of the runs of ESM-2 that were padded",
            }
        ),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rate(application: str, curve: Any, today: date) -> str:
    written = {**_record(curve), "date": today.isoformat()}
    written.pop("points" if not curve.points else "coefficients_s")
    return _line({"application": application, **written})


def _factor_lines(applications: Sequence[Application], catalog: Catalog) -> Iterator[str]:
    for application in applications:
        for variant, before in zip(application.variants, catalog.applications[application.id].variants, strict=True):
            if (variant.time_factor, variant.ln_arm) != (before.time_factor, before.ln_arm):
                yield _line(
                    {
                        "application": application.id,
                        "variant": variant.id,
                        "time_factor": variant.time_factor,
                        "ln_arm": variant.ln_arm,
                    }
                )


def _constant_lines(applications: Sequence[Application]) -> Iterator[str]:
    names = {
        "halo": ("coefficient",),
        "sharding": ("coefficient", "power"),
        "spill": ("s_gb",),
        "serial": ("serial_fraction",),
    }
    for application in applications:
        for law, numbers in names.items():
            record = getattr(application, law)
            for name in numbers if record is not None else ():
                value = getattr(record, name)
                yield _line({"application": application.id, "law": law, "name": name, "value": value})


def _record(record: Any) -> dict[str, Any]:
    values = ((field.name, getattr(record, field.name)) for field in fields(record))
    return {name: value for name, value in values if value is not None}


def _line(values: Mapping[str, Any]) -> str:
    return f"  - {{{', '.join(f'{name}: {_text(value)}' for name, value in values.items())}}}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        text = f"{value:.5g}"
        # YAML reads 1e-05 as a text.
        return text if "e" not in text or "." in text else text.replace("e", ".0e")
    if isinstance(value, tuple):
        return f"[{', '.join(_text(part) for part in value)}]"
    return str(value) if isinstance(value, int) else f'"{value}"'


def _error_lines(errors: Sequence[ScienceError]) -> Iterator[str]:
    """One line per way of leaving out, for all applications together and for each."""
    for left_out in (_FIT, _GPU, _SOURCE):
        own = [error for error in errors if error.left_out == left_out]
        yield from _words(own, left_out, "*")
        for name in sorted({error.run.application for error in own}):
            yield from _words([e for e in own if e.run.application == name], left_out, name)


def _words(errors: Sequence[ScienceError], left_out: str, application: str) -> Iterator[str]:
    if not errors:
        return
    ratios = np.expm1(np.array([error.log_error for error in errors]))
    groups: dict[tuple[str, ...], list[float]] = {}
    for error, ratio in zip(errors, np.abs(ratios), strict=True):
        groups.setdefault(error.run.group, []).append(float(ratio))
    yield (
        f'  - {{left_out: {left_out}, application: "{application}", rows: {len(errors)}, groups: {len(groups)}, '
        f"group_median: {np.median([np.median(some) for some in groups.values()]):.3f}, "
        f"row_median: {np.median(np.abs(ratios)):.3f}, row_p90: {np.quantile(np.abs(ratios), 0.9):.3f}, "
        f"bias: {np.median(ratios):.3f}, inside: {np.mean([error.inside for error in errors]):.2f}}}"
    )
