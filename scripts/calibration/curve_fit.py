"""One curve through measured points: robust least squares on the logarithm, with a quarter of the points held back."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import least_squares

from scripts.calibration.measured_kernels import Measured
from service.sizing.operation import ANY_ENGINE, Curves, Operation, OperationCurve, Work, peak_flop_s
from service.sizing.table import FloatArray, HardwareTable, IntArray
from service.sizing.units import MB, NS, US

_MOST_POINTS, _LEAST_POINTS, _HELD_BACK = 4000, 60, 0.25
_NUMBERS = (
    "launch_us",
    "flop_efficiency",
    "bandwidth_efficiency",
    "unhidden_fraction",
    "depth_ns",
    "side_weight",
    "padding_rows",
    "input_weight",
    "spread_exponent",
    "direct_mb",
)
_START = np.array([5.0, 0.6, 0.8, 0.3, 0.5, 1.0, 8.0, 1.0, 1.0, 2.0])
_LOW = np.array([0.3, 0.005, 0.03, 1e-3, 1e-4, 1e-2, 1e-2, 1e-2, 0.05, 0.02])
_HIGH = np.array([400.0, 1.6, 4.0, 1.0, 1e5, 30.0, 300.0, 30.0, 6.0, 100.0])
# What an operation does not have is not fitted: a collective multiplies nothing, only experts are padded.
_FREE: dict[Operation, tuple[int, ...]] = {
    # What goes into a product is scaled in 8 and 4 bit, and read from a cache in 16.
    Operation.PRODUCT: (0, 1, 2, 3, 4, 5, 7),
    Operation.EXPERTS: (0, 1, 2, 3, 5, 6),
    # Modules of many kernels: their launches are those of the host.
    Operation.CONTEXT_SPARSE: (1, 2, 3, 4, 5),
    Operation.CONTEXT_COMPRESSED: (1, 2, 3, 4, 5),
    Operation.ALL_REDUCE: (0, 2, 4, 5, 8, 9),
    Operation.EXCHANGE: (0, 2, 4),
}
_USUAL = (0, 1, 2, 3, 4, 5)
_ABSENT = np.array([0.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Peaks:
    """Data-sheet figures that efficiencies are shares of."""

    flop_s: float
    bytes_s: float


def peaks_of(points: Measured, table: HardwareTable) -> Peaks:
    """Peaks of the GPU on the first server that carries it: arithmetic, and memory or link."""
    row = next(i for i, gpu in enumerate(table.gpus) if gpu.id == points.gpu)
    linked = points.operation in (Operation.ALL_REDUCE, Operation.EXCHANGE)
    return Peaks(
        flop_s=peak_flop_s(points.precision, table, row),
        bytes_s=float((table.scale_up_bytes_s if linked else table.bandwidth_bytes_s)[row]),
    )


def fit_curve(points: Measured, peaks: Peaks, *, seed: int) -> OperationCurve | None:
    """The curve, with the errors on the points held back; None for too few points."""
    if points.took_s.size < _LEAST_POINTS:
        return None
    draw = np.random.default_rng(seed)
    rows = draw.permutation(points.took_s.size)[:_MOST_POINTS]
    held = draw.random(rows.size) < _HELD_BACK
    fitted = _solve(points, rows[~held], peaks)
    error = np.abs(_time_s(fitted, points, rows[held], peaks) / points.took_s[rows[held]] - 1.0)
    numbers = dict(zip(_NUMBERS, (float(f"{value:.4g}") for value in fitted), strict=True))
    return OperationCurve(
        operation=points.operation,
        gpu=points.gpu,
        engine=points.engine,
        precision=points.precision,
        **numbers,
        points=int(points.took_s.size),
        median_error_fraction=float(f"{np.median(error):.3g}"),
        p90_error_fraction=float(f"{np.quantile(error, 0.9):.3g}"),
    )


def _solve(points: Measured, rows: IntArray, peaks: Peaks) -> FloatArray:
    # Engines scale inputs each in their way, and pooled they tell nothing of it.
    pooled = points.operation is Operation.PRODUCT and points.engine == ANY_ENGINE
    free = np.array(_USUAL if pooled else _FREE.get(points.operation, _USUAL))
    took = np.log(points.took_s[rows])

    def whole(logs: FloatArray) -> FloatArray:
        numbers = _ABSENT.copy()
        numbers[free] = np.exp(logs)
        return numbers

    found = least_squares(
        lambda logs: np.log(_time_s(whole(logs), points, rows, peaks)) - took,
        np.log(_START[free]),
        bounds=(np.log(_LOW[free]), np.log(_HIGH[free])),
        loss="soft_l1",
        f_scale=0.15,
        max_nfev=80,
    )
    return whole(found.x)


def curve_s(curve: OperationCurve, points: Measured, peaks: Peaks) -> FloatArray:
    """What the curve says that measured points take [s]."""
    numbers = np.array([getattr(curve, name) for name in _NUMBERS])
    return _time_s(numbers, points, np.arange(points.took_s.size), peaks)


def _time_s(numbers: FloatArray, points: Measured, rows: IntArray, peaks: Peaks) -> FloatArray:
    launch_us, flop, traffic, unhidden, depth_ns, side, padding, entering, spread, direct_mb = numbers
    curves = Curves(
        launch_s=np.asarray(launch_us * US),
        flop_s=np.asarray(flop * peaks.flop_s),
        bytes_s=np.asarray(traffic * peaks.bytes_s),
        unhidden=np.asarray(unhidden),
        depth_s=np.asarray(depth_ns * NS),
        side_weight=np.asarray(side),
        padding_rows=np.asarray(padding),
        input_weight=np.asarray(entering),
        spread=np.asarray(spread),
        direct_bytes=np.asarray(direct_mb * MB),
    )
    work = _taken(points.work, rows)
    if points.operation is Operation.ALL_REDUCE:
        work = curves.reduce_work(work.main_bytes, peers=work.depth)
    return curves.time_s(work)


def _taken(work: Work, rows: IntArray) -> Work:
    parts = {
        name: value[rows]
        for name in ("flop", "main_bytes", "side_bytes", "depth", "padding_flop", "input_bytes")
        if isinstance(value := getattr(work, name), np.ndarray)
    }
    return replace(work, **parts)
