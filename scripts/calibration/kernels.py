"""Stage one of the calibration: measured kernels -> config/calibration/kernels.yaml."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import yaml

from scripts.calibration.curve_fit import Peaks, curve_s, fit_curve, peaks_of
from scripts.calibration.gathered_kernels import Sources, gathered_kernels
from scripts.calibration.measured_kernels import Measured, measured_kernels
from service.sizing.architecture import ModelArchitecture
from service.sizing.operation import ANY_ENGINE, CurveBook, Kin, OperationCurve, general_kernels
from service.sizing.table import HardwareTable
from service.sizing.version import ENGINE_VERSION

_SEED = 1
# Written once for all GPUs, in the language of that name; 4 bit had kernels of its own in every engine from the start.
_GENERAL_KERNEL, _GENERAL_FORMATS = "triton", frozenset({"bf16", "fp8", "fp8_block"})
_METHOD = "least squares on the logarithm, soft L1 loss at 0.15; at most 4,000 points a curve, drawn at random"
_HEADER = """\
# Curves of single operations, fitted on measured kernels by scripts/calibrate --kernels FOLDER; do not edit by hand.
# time = launch_us + inputs + longer + unhidden_fraction x shorter, of
#   arithmetic = (FLOP + padding_rows x FLOP per row) / (flop_efficiency x dense peak) + depth_ns x serial depth
#   traffic    = (weight or cache bytes + side_weight x bytes in and out) / (bandwidth_efficiency x bandwidth),
#                of products with an input_weight side_weight x bytes out alone
#   inputs     = input_weight x bytes into a product / (bandwidth_efficiency x bandwidth)
# Serial depth: inner dimension of a product, context of attention, peers of a collective beyond the first.
# An all-reduce over n GPUs moves (2 (n-1) / n) ^ spread_exponent of its buffer, and beside it what small ones, up to
# about direct_mb, send directly to every peer.
# engine 'any' pools all engines; '<engine>/general' is its kernel for all GPUs, where it has a quicker one by now.
# Errors are of a quarter of the points that the fit did not see.
"""
# A quarter of what a GPU draws at work goes to leakage, memory and links, which no clock changes. The rest goes with
# the clock and the square of the voltage (CMOS), which follows the clock but near its floor: the 2.5th power of it.
_STATIC_POWER, _CLOCK_EXPONENT = 0.25, 1.0 / 2.5


# Products of RTX 4090 reach 1.08 of its peak in 16 bit, 1.07 in 8, at their best size (calibration lines S16-GEMM-033
# and -034), at all sizes 0.98 of that, as on RTX PRO 6000 SE: its sums in 32 bit run at half of the rate of the same
# chips on L40S, where power leaves 0.635 of the peak.
_GEFORCE_OVER_L40S = 1.67


def _clock(power_fraction: float) -> float:
    """What a GPU sustains of its clock in products at a share of its power."""
    return float(round(((power_fraction - _STATIC_POWER) / (1.0 - _STATIC_POWER)) ** _CLOCK_EXPONENT, 3))


# Every GPU that evidence or catalog name and nobody measured; the data sheet of the GPU itself stays in force.
_KIN = (
    Kin(gpu="rtx-pro-4500-se", like="rtx-pro-6000-se", why="the same Blackwell generation of PCIe cards"),
    Kin(gpu="gb10", like="rtx-pro-6000-se", why="the same Blackwell consumer-class cores, on LPDDR5X"),
    Kin(gpu="gb300-desktop", like="gb300", why="the same package"),
    Kin(
        gpu="b200-sxm-power-limited",
        like="b200-sxm",
        why="the same package at a lower power limit, which nobody states: taken as 0.75, between 0.5 and 0.9",
        rate_fraction=_clock(0.75),
        rate_low=_clock(0.5),
        rate_high=_clock(0.9),
    ),
    Kin(
        gpu="h100-sxm-96gb",
        like="h100-sxm",
        why="the same chip with other memory, at 500 of 700 W",
        rate_fraction=_clock(500.0 / 700.0),
    ),
    Kin(gpu="h100-nvl", like="h100-sxm", why="the same chip"),
    Kin(gpu="h100-pcie", like="h100-sxm", why="the same chip"),
    Kin(gpu="h800", like="h100-sxm", why="the same chip with slower NVLink"),
    Kin(gpu="h20", like="h200-sxm", why="the same architecture with fewer cores"),
    Kin(gpu="gh200", like="h200-sxm", why="the same chip beside a Grace CPU"),
    Kin(gpu="h200-nvl", like="h200-sxm", why="the same chip"),
    Kin(
        gpu="a100-80gb",
        like="h100-sxm",
        why="for what was not measured on it, such as recurrent layers",
    ),
    Kin(gpu="a100-40gb", like="a100-80gb", why="the same chip"),
    Kin(gpu="a100-pcie", like="a100-80gb", why="the same chip"),
    Kin(gpu="a10g", like="l40s", why="the nearest measured PCIe card"),
    Kin(gpu="l4", like="l40s", why="the same Ada generation"),
    Kin(gpu="l40", like="l40s", why="the same Ada generation"),
    *(
        Kin(gpu=gpu, like="rtx-pro-6000-se", why="the same Blackwell generation of cards")
        for gpu in ("rtx-5070-ti", "rtx-5090", "rtx-pro-5000")
    ),
    *(
        Kin(
            gpu=gpu,
            like="l40s",
            why="the same chips; sums in 32 bit at half of the rate, which power does not bind as it binds the other",
            rate_fraction=_GEFORCE_OVER_L40S,
        )
        for gpu in ("rtx-4080", "rtx-4090")
    ),
    *(
        Kin(gpu=gpu, like="l40s", why="the nearest measured card")
        for gpu in ("rtx-3090", "rtx-5880-ada", "rtx-6000-ada", "rtx-a6000")
    ),
    Kin(gpu="v100", like="a100-80gb", why="the nearest measured data-centre GPU, a generation later"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A curve and what it was fitted on."""

    points: Measured
    peaks: Peaks
    curve: OperationCurve


def _fit(job: tuple[Measured, Peaks]) -> OperationCurve | None:
    return fit_curve(job[0], job[1], seed=_SEED)


def fit_kernels(
    folder: Path, table: HardwareTable, models: Mapping[str, ModelArchitecture], *, processes: int = 2
) -> list[OperationCurve]:
    """Every curve that the tables of the folder give, in the order of their names."""
    with ProcessPoolExecutor(processes) as pool:
        curves = list(chosen_curves(_fitted(pool, measured_kernels(folder), table)))
        # Modules are measured with their products, whose curves tell what is left.
        sources = Sources(models=models, table=table, curves=_book(curves))
        curves += chosen_curves(_fitted(pool, gathered_kernels(folder, sources), table))
    return sorted(curves, key=lambda c: (c.operation, c.gpu, c.engine, c.precision))


def _fitted(pool: ProcessPoolExecutor, measured: Iterator[Measured], table: HardwareTable) -> list[Fitted]:
    known = {gpu.id for gpu in table.gpus}
    jobs = [(points, peaks_of(points, table)) for points in measured if points.gpu in known]
    return [
        Fitted(points=points, peaks=peaks, curve=curve)
        for (points, peaks), curve in zip(jobs, pool.map(_fit, jobs), strict=True)
        if curve is not None
    ]


def _book(curves: Sequence[OperationCurve]) -> CurveBook:
    keyed = {(str(c.operation), c.gpu, c.engine, c.precision): c for c in curves}
    return CurveBook(curves=keyed, kin={kin.gpu: kin for kin in _KIN})


def chosen_curves(fitted: Sequence[Fitted]) -> Iterator[OperationCurve]:
    """One curve for each GPU, format and engine; of several kernels the quickest, for engines without one of all.

    The general kernel of an engine is kept beside a quicker one: what older releases run.
    """
    same: dict[tuple[str, ...], list[Fitted]] = {}
    for one in fitted:
        curve = one.curve
        same.setdefault((curve.operation, curve.gpu, curve.precision, curve.engine), []).append(one)
        if one.points.kernel:
            same.setdefault((curve.operation, curve.gpu, curve.precision, ANY_ENGINE), []).append(one)
    for (*_, engine), these in same.items():
        quickest = _quickest(these)
        yield replace(quickest, engine=engine)
        general = [one for one in these if _is_general(one, engine)]
        if general and quickest not in [one.curve for one in general]:
            yield replace(_quickest(general), engine=general_kernels(engine))


def _is_general(one: Fitted, engine: str) -> bool:
    return engine != ANY_ENGINE and one.curve.precision in _GENERAL_FORMATS and _GENERAL_KERNEL in one.points.kernel


def _quickest(these: Sequence[Fitted]) -> OperationCurve:
    """The kernel that takes least over the shapes of all of them, by the mean of the logarithm."""

    def took(one: Fitted) -> float:
        logs = [np.log(curve_s(one.curve, other.points, other.peaks)) for other in these]
        return float(np.mean(np.concatenate(logs)))

    return min(these, key=took).curve if len(these) > 1 else these[0].curve


def write_kernels(path: Path, curves: list[OperationCurve], *, today: date) -> None:
    """The file as people read it: a head, the errors by operation, a curve per line."""
    lines = [
        _HEADER.rstrip(),
        "schema_version: 1",
        f'fitted: "{today.isoformat()}"',
        f"inputs: {_points(curves)} measured points, kernels of AIConfigurator 0.12 (Apache-2.0)",
        f"method: {_METHOD}",
        f'code_version: "{ENGINE_VERSION}"',
        "errors:  # over the curves of an operation: median of their median errors, worst median, median of their p90",
        *_errors(curves),
        "curves:",
        *(f"  - {_flow(curve)}" for curve in curves),
        "kin:  # GPUs of which some or all kernels were not measured: whose efficiencies they take for those",
        *(f"  - {_flow(kin)}" for kin in _KIN),
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _points(curves: list[OperationCurve]) -> int:
    """Each point once: by its engine, or in the pool where no engine has a curve of its own."""
    mine = {(c.operation, c.gpu, c.precision) for c in curves if c.engine != ANY_ENGINE}
    return sum(c.points for c in curves if c.engine != ANY_ENGINE or (c.operation, c.gpu, c.precision) not in mine)


def _flow(record: OperationCurve | Kin) -> str:
    fields = {name: getattr(record, name) for name in record.__dataclass_fields__}
    usual = {name: field.default for name, field in record.__dataclass_fields__.items()}
    fields = {name: value for name, value in fields.items() if value != usual[name]}
    plain = {name: str(value) if isinstance(value, str) else value for name, value in fields.items()}
    return str(yaml.safe_dump(plain, default_flow_style=True, sort_keys=False, width=10_000)).strip()


def _errors(curves: list[OperationCurve]) -> list[str]:
    found = []
    for operation in dict.fromkeys(curve.operation for curve in curves):
        these = [curve for curve in curves if curve.operation is operation]
        medians = np.array([curve.median_error_fraction for curve in these])
        p90 = np.array([curve.p90_error_fraction for curve in these])
        figures = f"median: {np.median(medians):.3f}, worst: {medians.max():.3f}, p90: {np.median(p90):.3f}"
        found.append(f"  {operation}: {{curves: {len(these)}, {figures}}}")
    return found
