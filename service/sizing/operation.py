"""What a GPU does one after another, and the fitted curve that tells how long each of these operations takes.

Every operation has the same curve: a launch, then arithmetic and memory traffic that hide each other in part. Six or
seven numbers per operation, GPU, serving engine and precision stand in config/calibration/kernels.yaml, fitted on
measured kernels; GPUs that nobody measured take the efficiencies of their kin and their own data sheet.
Collectives and products say more: how an all-reduce grows with its ranks, and what inputs cost beside outputs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np

from service.errors import CalibrationError
from service.sizing.columns import Columns
from service.sizing.network import direct_bytes, reduced_share
from service.sizing.numeric import Numeric
from service.sizing.precision import Precision
from service.sizing.table import BoolArray, FloatArray, HardwareTable, IntArray
from service.sizing.units import MB, NS, US

ANY_ENGINE = "any"
_GENERAL = "/general"


def general_kernels(engine: str) -> str:
    """The name under which an engine's general kernels stand, where it brings others for a GPU that are quicker."""
    return f"{engine}{_GENERAL}"


class Operation(StrEnum):
    """The operations that a step of a language model is made of."""

    PRODUCT = "product"
    CONTEXT_ATTENTION = "context_attention"
    CONTEXT_NARROW = "context_narrow"
    CONTEXT_WIDE = "context_wide"
    GENERATION_ATTENTION = "generation_attention"
    CONTEXT_MLA = "context_mla"
    CONTEXT_SPARSE = "context_sparse"
    CONTEXT_COMPRESSED = "context_compressed"
    GENERATION_MLA = "generation_mla"
    CONTEXT_RECURRENCE = "context_recurrence"
    GENERATION_RECURRENCE = "generation_recurrence"
    EXPERTS = "experts"
    ALL_REDUCE = "all_reduce"
    EXCHANGE = "exchange"


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationCurve:
    """Fitted on `points` measured kernels; the errors are of a quarter of them that the fit did not see.

    `unhidden_fraction` is the share of the shorter of arithmetic and traffic that the longer does not hide;
    `depth_ns` a time per unit of serial depth; `side_weight` how much a byte of inputs and outputs counts beside one
    of weights or cache, of products those that come out; `input_weight` what is moved for a byte that goes in, before
    all else and hidden by nothing (without it inputs count as outputs); `padding_rows` the rows that an expert's
    product is filled up with. Of an all-reduce `spread_exponent` is the power of 2 (n-1) / n that large buffers go
    with, `direct_mb` the size up to which small ones go to every peer.
    """

    operation: Operation
    gpu: str
    engine: str
    precision: str
    launch_us: float
    flop_efficiency: float
    bandwidth_efficiency: float
    unhidden_fraction: float
    depth_ns: float
    side_weight: float
    padding_rows: float
    points: int
    median_error_fraction: float
    p90_error_fraction: float
    input_weight: float = 0.0
    spread_exponent: float = 1.0
    direct_mb: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Kin:
    """A GPU of which some or all kernels were not measured, and the one whose efficiencies it takes for those.

    `rate_fraction`: the share of its peak that products sustain, over that of the other: power binds them differently.
    """

    gpu: str
    like: str
    why: str
    rate_fraction: float = 1.0
    # Bounds of it where nobody says how much power it has.
    rate_low: float | None = None
    rate_high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Work:
    """What one operation has to do on one GPU; arrays or scalars.

    FLOP, bytes of weights or cache, bytes of inputs and outputs, serial depth, and FLOP per row of padding. Products
    tell what goes in apart from what comes out.
    """

    flop: Numeric
    main_bytes: Numeric
    side_bytes: Numeric = 0.0
    depth: Numeric = 0.0
    padding_flop: Numeric = 0.0
    input_bytes: Numeric = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curves(Columns):
    """The curves of one operation on many GPUs, each field shaped (candidates, 1), in SI units."""

    launch_s: FloatArray
    flop_s: FloatArray
    bytes_s: FloatArray
    unhidden: FloatArray
    depth_s: FloatArray
    side_weight: FloatArray
    padding_rows: FloatArray
    input_weight: FloatArray
    spread: FloatArray
    direct_bytes: FloatArray

    def reduce_work(self, sent_bytes: Numeric, *, peers: Numeric) -> Work:
        """An all-reduce of a buffer of so many bytes with so many other ranks."""
        return Work(
            flop=0.0,
            main_bytes=reduced_share(peers, spread=self.spread) * sent_bytes,
            side_bytes=direct_bytes(sent_bytes, peers=peers, half_bytes=self.direct_bytes),
            depth=peers,
        )

    def alike_weight(self) -> FloatArray:
        """What a byte into a product weighs in its traffic: as one that comes out, where nothing tells them apart."""
        return np.where(self.input_weight > 0.0, 0.0, self.side_weight)

    def time_s(self, work: Work) -> FloatArray:
        """Time [s]: launch + work."""
        return np.asarray(self.launch_s + self.work_s(work), dtype=np.float64)

    def work_s(self, work: Work) -> FloatArray:
        """Time [s] once it is launched: the longer of arithmetic and traffic + the unhidden share of the shorter.

        Beside them goes what is done to the inputs of a product before it.
        """
        arithmetic = (work.flop + self.padding_rows * work.padding_flop) / self.flop_s + self.depth_s * work.depth
        beside = self.side_weight * work.side_bytes + self.alike_weight() * work.input_bytes
        traffic = (work.main_bytes + beside) / self.bytes_s
        inputs = self.input_weight * work.input_bytes / self.bytes_s
        longer = np.maximum(arithmetic, traffic)
        return np.asarray(inputs + longer + self.unhidden * np.minimum(arithmetic, traffic), dtype=np.float64)

    def line(self, *, each: Work, depth: Numeric = 0.0, main_bytes: Numeric = 0.0) -> "Line":
        """The time of work that is `each` times a number, beside a serial depth and bytes that stay what they are."""
        return Line(
            launch_s=self.launch_s,
            arithmetic_s=np.asarray(self.depth_s * depth, dtype=np.float64),
            arithmetic_each_s=np.asarray(each.flop / self.flop_s, dtype=np.float64),
            traffic_s=np.asarray(main_bytes / self.bytes_s, dtype=np.float64),
            traffic_each_s=np.asarray(
                (each.main_bytes + self.side_weight * each.side_bytes) / self.bytes_s, dtype=np.float64
            ),
            unhidden=self.unhidden,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """An operation whose arithmetic and traffic grow by straight lines with a number of tokens or sequences, seconds.

    Everything that does not depend on that number is settled, which many numbers are then tried against.
    """

    launch_s: FloatArray
    arithmetic_s: FloatArray
    arithmetic_each_s: FloatArray
    traffic_s: FloatArray
    traffic_each_s: FloatArray
    unhidden: FloatArray

    def work_s(self, number: Numeric) -> FloatArray:
        """Time [s] for this number, as `Curves.work_s`; in place, because these are the engine's largest arrays."""
        arithmetic = np.asarray(number * self.arithmetic_each_s, dtype=np.float64)
        arithmetic += self.arithmetic_s
        traffic = np.asarray(number * self.traffic_each_s, dtype=np.float64)
        traffic += self.traffic_s
        shorter = np.minimum(arithmetic, traffic)
        shorter *= self.unhidden
        longer = np.maximum(arithmetic, traffic, out=arithmetic)
        longer += shorter
        return longer

    def take(self, rows: IntArray) -> "Line":
        """The candidates of these rows of lines that are stacked along the first axis."""
        return Line(
            launch_s=self.launch_s[:, rows],
            arithmetic_s=self.arithmetic_s[:, rows],
            arithmetic_each_s=self.arithmetic_each_s[:, rows],
            traffic_s=self.traffic_s[:, rows],
            traffic_each_s=self.traffic_each_s[:, rows],
            unhidden=self.unhidden[:, rows],
        )

    def where(self, these: BoolArray, other: "Line") -> "Line":
        """The line itself where these say, the other elsewhere."""
        names = self.__dataclass_fields__
        return Line(**{name: np.where(these, getattr(self, name), getattr(other, name)) for name in names})

    def apart(self) -> "tuple[Line, ...]":
        """Each line of those that are stacked along the first axis."""
        names = self.__dataclass_fields__
        each = zip(*(getattr(self, name) for name in names), strict=True)
        return tuple(Line(**dict(zip(names, parts, strict=True))) for parts in each)


_STANDS_IN = {
    Operation.CONTEXT_NARROW: Operation.CONTEXT_ATTENTION,
    Operation.CONTEXT_WIDE: Operation.CONTEXT_ATTENTION,
    Operation.CONTEXT_SPARSE: Operation.CONTEXT_MLA,
    Operation.CONTEXT_COMPRESSED: Operation.CONTEXT_MLA,
}
CurveKey = tuple[str, str, str, str]
# Formats that would do, best first; those of one width stand together, and who measured counts for more among them.
Formats = tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveBook:
    """All fitted curves by (operation, gpu, engine, precision), and the kin of GPUs without any."""

    curves: Mapping[CurveKey, OperationCurve]
    kin: Mapping[str, Kin]

    def curve(self, operation: Operation, gpu: str, engine: str, formats: Formats) -> OperationCurve:
        """The curve of the first width that was measured on the GPU, else on its kin: by this engine, else by any.

        Of general kernels those of the engine itself, where it has no others for the GPU. Where nobody measured how
        entries of a latent are gathered, that takes the share of the peaks that attention to all of them does.

        Raises CalibrationError when neither has any of these formats.
        """
        for measured in self._family(gpu):
            for width in formats:
                for run_by in (engine, engine.removesuffix(_GENERAL), ANY_ENGINE):
                    for precision in width:
                        found = self.curves.get((operation, measured, run_by, precision))
                        if found is not None:
                            return found
        if operation in _STANDS_IN:
            return self.curve(_STANDS_IN[operation], gpu, engine, formats)
        raise CalibrationError(f"config/calibration/kernels.yaml has no {operation} in {formats} for {gpu}")

    def rate_fraction(self, gpu: str) -> float:
        """By what the share of its peak that a GPU sustains differs from its kin's; 1 where power binds both alike."""
        return self.kin[gpu].rate_fraction if gpu in self.kin else 1.0

    def _family(self, gpu: str) -> tuple[str, ...]:
        """The GPU, the one that it is like, the one that this is like ..."""
        family = [gpu]
        while family[-1] in self.kin and self.kin[family[-1]].like not in family:
            family.append(self.kin[family[-1]].like)
        return tuple(family)


def curves_of(
    book: CurveBook,
    operation: Operation,
    *,
    table: HardwareTable,
    server: IntArray,
    engine: str,
    formats: Formats,
    peak_bytes_s: FloatArray,
) -> Curves:
    """The curves of each candidate's GPU; `peak_bytes_s` is what memory or link can do at most, per candidate."""
    rows = _curve_rows(book, operation, table=table, engine=engine, formats=formats)[:, server, None]
    return _curves(rows, peak_bytes_s[:, None])


def curve_of(curve: OperationCurve, *, flop_s: float, bytes_s: float) -> Curves:
    """One curve on a GPU of this sustained peak [FLOP/s] and this bandwidth [bytes/s], shaped (1, 1)."""
    rows = np.array(_columns(curve, flop_s), dtype=np.float64)[:, None, None]
    return _curves(rows, np.full((1, 1), bytes_s))


def _curves(rows: FloatArray, peak_bytes_s: FloatArray) -> Curves:
    launch_s, flop_s, bandwidth, unhidden, depth_s, side_weight, padding_rows, input_weight, spread, direct = rows
    return Curves(
        launch_s=launch_s,
        flop_s=flop_s,
        bytes_s=bandwidth * peak_bytes_s,
        unhidden=unhidden,
        depth_s=depth_s,
        side_weight=side_weight,
        padding_rows=padding_rows,
        input_weight=input_weight,
        spread=spread,
        direct_bytes=direct,
    )


@lru_cache(maxsize=2048)
def _curve_rows(
    book: CurveBook, operation: Operation, *, table: HardwareTable, engine: str, formats: Formats
) -> FloatArray:
    """The curve of every server as columns: launch [s], rate [FLOP/s], share of the peak bandwidth, unhidden share,
    depth [s], side weight, padding rows, input weight, exponent of the ranks, size of what goes directly [bytes].
    """
    found = [book.curve(operation, gpu.id, engine, formats) for gpu in table.gpus]
    columns = [
        _columns(curve, peak_flop_s(curve.precision, table, row), rate_fraction=book.rate_fraction(table.gpus[row].id))
        for row, curve in enumerate(found)
    ]
    rows = np.array(columns, dtype=np.float64).T
    # Every sizing of this catalog shares it.
    rows.flags.writeable = False
    return rows


def _columns(curve: OperationCurve, flop_s: float, *, rate_fraction: float = 1.0) -> tuple[float, ...]:
    return (
        curve.launch_us * US,
        curve.flop_efficiency * flop_s * rate_fraction,
        curve.bandwidth_efficiency,
        curve.unhidden_fraction,
        curve.depth_ns * NS,
        curve.side_weight,
        curve.padding_rows,
        curve.input_weight,
        curve.spread_exponent,
        curve.direct_mb * MB,
    )


# The data-sheet peak that an efficiency was fitted against; MXFP4 experts multiply 8-bit activations.
_PEAK: dict[str, Precision] = {
    "fp8": Precision.FP8,
    "fp8_block": Precision.FP8,
    "fp4": Precision.FP4,
    "mxfp4": Precision.FP8,
}


def peak_flop_s(precision: str, table: HardwareTable, row: int) -> float:
    """Dense peak [FLOP/s] of the format that a curve was fitted against; 16 bit on a GPU that lacks it."""
    sixteen = float(table.flop_s[Precision.BF16][row])
    if np.isnan(sixteen):
        sixteen = float(table.flop_s[Precision.FP16][row])
    if precision == "mxfp4" and np.isnan(table.flop_s[Precision.FP4][row]):
        return sixteen
    peak = float(table.flop_s[_PEAK.get(precision, Precision.BF16)][row])
    return sixteen if np.isnan(peak) else peak
