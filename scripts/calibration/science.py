"""Measured scientific jobs -> config/calibration/science.yaml: fitted, with whole sources and GPUs left out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from scripts.calibration.science_fit import Fitted, fit_science
from scripts.calibration.science_folds import (
    GPU,
    NOTHING,
    RUN,
    SOURCE,
    Missed,
    left_out,
    with_few_gpu_bands,
    with_other_settings,
)
from scripts.calibration.science_runs import OTHER_SETTINGS, PADDING, PADDING_LN_ARM, ScienceRun
from service.catalog.catalog import Catalog
from service.sizing.science.application import Application, Template
from service.sizing.version import ENGINE_VERSION

_HEADER = """\
# What scripts/calibrate --only science fitted on measured runs; do not edit by hand. Each entry names an application of
# config/science, whose file says what it means. rates: seconds per unit of work on one GPU by size, with quantiles of
# ln(measured / predicted) where the curve had not seen the run. laws: exponents of data-sheet ratios between GPUs, and
# the band that leaving each GPU out shows. factors: variants relative to a curve. constants: numbers of other laws.
# errors: absolute error over measured, median over groups (source x application x GPU x precision) and over rows, p90
# over rows; bias = median of predicted over measured less one, inside = share within the 80 % interval. left_out:
# nothing = curves go through the runs, so that inside says little; run = curves had not seen the run (where its GPU ran
# nothing else, other GPUs tell); gpu = neither curves nor law had seen the GPU; source = neither had seen the source,
# whose settings are others; source_gpu_seen and source_gpu_unseen = of those the runs whose GPU another source ran with
# the same application, and the others, whose GPU went with the source (no line: there are none). "* md" is everything
# that is sized as md is.
# An application that is left out whole has no rate: the customer gives one, or it borrows a curve as its file says.
"""
PARTS = (NOTHING, RUN, GPU, SOURCE)


def calibrate_science(
    catalog: Catalog, runs: Sequence[ScienceRun], say: Callable[[str], None]
) -> tuple[Fitted, tuple[Missed, ...]]:
    """The fit on all runs, and how far it, and fits without a run, a GPU or a source, miss what was measured."""
    fitted = with_other_settings(catalog, fit_science(catalog, runs), runs)
    missed = [one for part in PARTS for one in left_out(catalog, fitted, runs, part, say)]
    fitted, missed = with_few_gpu_bands(fitted, missed)
    return fitted, tuple(missed)


def write_science(
    path: Path, fitted: Fitted, errors: Sequence[Missed], *, catalog: Catalog, today: date, runs: int
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
        *_coefficient_lines(fitted),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _coefficient_lines(fitted: Fitted) -> Iterator[str]:
    yield _line(
        {
            "name": PADDING,
            "value": fitted.padding_time_factor,
            "source": "padded over packed sequences: median of the runs of ESM-2 that were padded",
        }
    )
    yield _line(
        {
            "name": PADDING_LN_ARM,
            "value": fitted.padding_ln_arm,
            "source": "how far each recipe that pads lies from the median of the others (conformal quantile)",
        }
    )
    yield _line(
        {
            "name": OTHER_SETTINGS,
            "scope": str(Template.MD),
            "value": fitted.other_settings_ln_arm,
            "source": "what the interval of runs of one source lacked to hold those of another, in other settings",
        }
    )


def _rate(application: str, curve: Any, today: date) -> str:
    written = {**_record(curve), "date": today.isoformat()}
    written.pop("points" if not curve.points else "coefficients_s")
    for name in ("timesteps_fs", "settings"):
        if not written[name]:
            written.pop(name)
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


def _error_lines(errors: Sequence[Missed]) -> Iterator[str]:
    """One line per way of leaving out, for all applications together, for each template and for each application."""
    for part, own in _parted(errors):
        yield from _words(own, part, "*")
        for template in sorted({error.run.template for error in own}):
            yield from _words([e for e in own if e.run.template == template], part, f"* {template}")
        for name in sorted({error.run.application for error in own}):
            yield from _words([e for e in own if e.run.application == name], part, name)


def _parted(errors: Sequence[Missed]) -> Iterator[tuple[str, list[Missed]]]:
    """Errors by what was left out; those of a source apart by whether another source ran on the GPU as well."""
    for part in PARTS:
        own = [error for error in errors if error.left_out == part]
        yield part, own
        if part == SOURCE:
            yield f"{part}_gpu_seen", [error for error in own if error.gpu_seen]
            yield f"{part}_gpu_unseen", [error for error in own if not error.gpu_seen]


def _words(errors: Sequence[Missed], part: str, application: str) -> Iterator[str]:
    if not errors:
        return
    ratios = np.expm1(np.array([-error.ln_missed for error in errors]))
    groups: dict[tuple[str, ...], list[float]] = {}
    for error, ratio in zip(errors, np.abs(ratios), strict=True):
        groups.setdefault(error.run.group, []).append(float(ratio))
    yield (
        f'  - {{left_out: {part}, application: "{application}", rows: {len(errors)}, groups: {len(groups)}, '
        f"group_median: {np.median([np.median(some) for some in groups.values()]):.3f}, "
        f"row_median: {np.median(np.abs(ratios)):.3f}, row_p90: {np.quantile(np.abs(ratios), 0.9):.3f}, "
        f"bias: {np.median(ratios):.3f}, inside: {np.mean([error.inside for error in errors]):.2f}}}"
    )
