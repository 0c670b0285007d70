"""Seconds per unit of work on every GPU: its measured curve, a published transfer, or a law on the data sheets."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

from service.sizing.calibration import Calibration
from service.sizing.hardware import GpuSpec, Hardware
from service.sizing.interval import Basis
from service.sizing.science.application import Application, Curve, Template, Transfer, TransferLaw, Variant
from service.sizing.science.rate import (
    ByLaw,
    ByTransfer,
    LawPart,
    OnCurve,
    Rate,
    RateTable,
    WorkSize,
    curve_s,
    rate_table,
)
from service.sizing.spoken import spoken

# Added to the band where a data sheet that the law needs is missing.
_MISSING_SPEC_LN_ARM = 0.3
# Of a step, launches take what they take: neither arithmetic nor bandwidth shortens them (method notes, section 3).
_LAUNCHED = frozenset({Template.MD})
# Jobs whose settings differ from one published table to the next.
_WITH_SETTINGS = frozenset({Template.FOLDING, Template.MD, Template.GENOMICS, Template.WEATHER})
# By template, fitted where an application has runs of several sources.
_OTHER_SETTINGS = "science.other_settings_ln_arm"
# The source of a curve that a caller measured.
CUSTOMER = "customer"
# GPUs as unlike as this count a quarter of one with the same data sheet.
_ALIKE = 0.3
# Of sizes [e-folds]: ten times outside the measured ones, which a curve was not fitted for.
FAR = math.log(10.0)
# Steps that differ by less are the same settings.
_SAME_STEP = 0.1


# A rate tells what it follows from, so that many of them take room.
@lru_cache(maxsize=128)
def rates_of(
    application: Application,
    curve_variant: str,
    size: WorkSize,
    *,
    gpus: tuple[GpuSpec, ...],
    hardware: Hardware,
    calibration: Calibration,
    variant: Variant | None = None,
    base_factor: float = 1.0,
    timestep_fs: float | None = None,
    settings: str | None = None,
) -> RateTable:
    """One rate per entry of `gpus`; every distinct GPU is resolved once.

    A GPU on which `variant` itself was timed takes that curve, any other that of `curve_variant` x `base_factor`. Of a
    curve whose runs had other steps than `timestep_fs`, or other `settings`, the interval is that of other settings.
    """
    resolver = _Resolver(
        application=application,
        law=application.law_of(curve_variant),
        curves=_curves_of(application, curve_variant, variant=variant, factor=base_factor),
        size=size,
        specs={gpu.id: gpu for gpu in (*hardware.gpus, *gpus)},
        floor=calibration.assumption("science.measured_arm_floor_fraction"),
        size_arm=calibration.assumption("science.size_ln_arm_fraction"),
        ln_arm=settings_ln_arm(application, calibration),
        other_ln_arm_fraction=other_settings_ln_arm(application, calibration),
        timestep_fs=timestep_fs,
        settings=settings if has_settings(application.template) else None,
    )
    known = {gpu.id: resolver.rate(gpu.id, ()) for gpu in gpus}
    return rate_table(tuple(known[gpu.id] for gpu in gpus))


def has_settings(template: Template) -> bool:
    """Whether published tables of such work differ in settings that change its time."""
    return template in _WITH_SETTINGS


def settings_ln_arm(application: Application, calibration: Calibration) -> float:
    """Arm of ln(time) that settings and releases of a caller's own job add, where published tables differ in them."""
    if not has_settings(application.template):
        return 0.0
    return calibration.assumption("science.settings_ln_arm_fraction")


def other_settings_ln_arm(application: Application, calibration: Calibration) -> float:
    """Arm of ln(time) where settings are known to be others than those of the curve; zero where none was fitted."""
    entry = calibration.coefficients.get((_OTHER_SETTINGS, application.template))
    return 0.0 if entry is None else entry.value


def _curves_of(
    application: Application, curve_variant: str, *, variant: Variant | None, factor: float
) -> dict[str, Curve]:
    """Curves by GPU: scaled ones of the other variant first, then those of the variant itself over them."""
    found = {c.gpu: c for c in application.curves if c.variant == curve_variant}
    if variant is None or variant.id == curve_variant:
        return found
    if factor != 1.0 or variant.ln_arm:
        found = {gpu: _scaled(curve, factor, ln_arm=variant.ln_arm) for gpu, curve in found.items()}
    return found | {c.gpu: c for c in application.curves if c.variant == variant.id}


def _scaled(curve: Curve, factor: float, *, ln_arm: float) -> Curve:
    """The curve of something that takes `factor` times as long, give or take `ln_arm`."""
    return replace(
        curve,
        coefficients_s=tuple(c * factor for c in curve.coefficients_s),
        points=tuple((x, y * factor) for x, y in curve.points),
        q10=curve.q50 - math.hypot(curve.q50 - curve.q10, ln_arm),
        q90=curve.q50 + math.hypot(curve.q90 - curve.q50, ln_arm),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resolver:
    application: Application
    law: TransferLaw | None
    curves: dict[str, Curve]
    size: WorkSize
    specs: dict[str, GpuSpec]
    floor: float
    size_arm: float
    # What settings and release of a caller's own job may change, and what settings that are known to differ do.
    ln_arm: float
    other_ln_arm_fraction: float
    timestep_fs: float | None
    settings: str | None
    # Every GPU that nobody measured asks the measured ones again.
    on_curve: dict[str, Rate] = field(default_factory=dict)

    def rate(self, gpu: str, seen: tuple[str, ...]) -> Rate | None:
        """Measured, else transferred from a GPU that somebody compared it with, else by the law."""
        if gpu in self.curves:
            return self._measured(gpu)
        for transfer in self.application.transfers:
            if transfer.to_gpu == gpu and transfer.from_gpu not in seen:
                origin = self.rate(transfer.from_gpu, (*seen, gpu))
                if origin is not None:
                    return _transferred(origin, transfer)
        return None if seen else self._by_law(gpu)

    def _measured(self, gpu: str) -> Rate:
        if gpu not in self.on_curve:
            self.on_curve[gpu] = self._of_curve(self.curves[gpu])
        return self.on_curve[gpu]

    def _of_curve(self, curve: Curve) -> Rate:
        beyond = beyond_sizes(curve, self.size)
        inside = beyond <= math.log(1.25)
        others = self._other_settings(curve)
        extra = math.hypot(self.size_arm * beyond, self._settings_arm(curve, others=others))
        known = Basis.MEASURED if inside and not others else Basis.CALIBRATED
        basis = known if curve.measured and beyond < FAR else Basis.EXTRAPOLATED
        return Rate(
            unit_s=curve_s(curve, self.size),
            shift=curve.q50,
            down=math.hypot(max(self.floor, curve.q50 - curve.q10), extra),
            up=math.hypot(max(self.floor, curve.q90 - curve.q50), extra),
            basis=basis,
            nearest=curve.evidence[:3],
            how=f"curve of {curve.gpu}"
            + (f" ({curve.note})" if curve.note else "")
            + (f", timed {_steps(curve)}, other settings than asked" if others else ""),
            source=curve.source,
            other_settings=others,
            origin=OnCurve(curve=curve),
        )

    def _settings_arm(self, curve: Curve, *, others: bool) -> float:
        """What settings add: nothing to those of the curve's runs, most to those that are known to be others."""
        if curve.source == CUSTOMER or (self.settings is not None and self.settings in curve.settings and not others):
            return 0.0
        return math.hypot(self.ln_arm, self.other_ln_arm_fraction if others else 0.0)

    def _other_settings(self, curve: Curve) -> bool:
        """Whether every run of the curve integrated in other steps than are asked for, or has other settings."""
        if self.settings is not None and curve.settings and self.settings not in curve.settings:
            return True
        asked = self.timestep_fs
        if asked is None or not curve.timesteps_fs:
            return False
        return not any(math.isclose(asked, steps, rel_tol=_SAME_STEP) for steps in curve.timesteps_fs)

    def _by_law(self, gpu: str) -> Rate | None:
        """From every measured GPU by the ratios of the data sheets, the more alike the more it counts."""
        law, target = self.law, self.specs.get(gpu)
        if law is None or target is None or target.memory_bandwidth_tb_s is None:
            return None
        near = _likenesses(law, tuple(self.specs[c] for c in sorted(self.curves) if c in self.specs), target)
        if not near:
            return None
        parts = tuple(self._part(one) for one in near)
        ln_unit_s = math.fsum(part.weight_fraction * math.log(part.unit_s) for part in parts)
        nearest, missing = parts[0].rate, _MISSING_SPEC_LN_ARM if near[0].lacks else 0.0
        return replace(
            nearest,
            unit_s=math.exp(ln_unit_s),
            down=math.hypot(nearest.down, law.ln_high + missing),
            up=math.hypot(nearest.up, -law.ln_low + missing),
            basis=Basis.EXTRAPOLATED,
            how=f"by the ratios of the data sheets from {', '.join(one.gpu for one in near)}, the more alike the "
            f"more; {nearest.how}",
            source=law.source,
            origin=ByLaw(law=law, parts=parts),
        )

    def _part(self, like: "_Likeness") -> LawPart:
        """What one measured GPU says of another."""
        curve, rate = self.curves[like.gpu], self._measured(like.gpu)
        launched = self.application.template in _LAUNCHED and bool(curve.coefficients_s)
        fixed_s = curve.coefficients_s[0] if launched else 0.0
        return LawPart(
            rate=rate,
            gpu=like.gpu,
            fp32_ratio=like.fp32_ratio,
            bandwidth_ratio=like.bandwidth_ratio,
            bf16_ratio=like.bf16_ratio,
            unit_s=fixed_s + (rate.unit_s - fixed_s) / like.speedup_factor,
            weight_fraction=like.weight_fraction,
            fixed_s=fixed_s,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Likeness:
    """A measured GPU beside another one, whatever it computes: ratios of the data sheets, what the law makes of them.

    `lacks` says that a figure which the law needs is missing.
    """

    gpu: str
    fp32_ratio: float | None
    bandwidth_ratio: float | None
    bf16_ratio: float | None
    speedup_factor: float
    lacks: bool
    weight_fraction: float


@lru_cache(maxsize=4096)
def _likenesses(law: TransferLaw, anchors: tuple[GpuSpec, ...], target: GpuSpec) -> tuple[_Likeness, ...]:
    """The measured GPUs, the nearest first, with weights that add up to one: the more alike, the more it counts."""
    near = sorted(
        ((distance, a.id, a) for a in anchors if (distance := _distance(a, target)) is not None),
        key=lambda found: found[:2],
    )
    found = [_likeness(law, anchor, target, distance=distance) for distance, _, anchor in near]
    total = math.fsum(one.weight_fraction for one in found)
    return tuple(replace(one, weight_fraction=one.weight_fraction / total) for one in found)


def _likeness(law: TransferLaw, anchor: GpuSpec, target: GpuSpec, *, distance: float) -> _Likeness:
    """Weights are not added up yet."""
    figures = (
        (law.fp32_exponent, anchor.fp32_dense_tflops, target.fp32_dense_tflops),
        (law.bandwidth_exponent, anchor.memory_bandwidth_tb_s, target.memory_bandwidth_tb_s),
        (law.bf16_exponent, anchor.bf16_dense_tflops, target.bf16_dense_tflops),
    )
    ratios = [there / here if exponent and here and there else None for exponent, here, there in figures]
    ln_speedup = math.fsum(
        exponent * math.log(ratio) for (exponent, _, _), ratio in zip(figures, ratios, strict=True) if ratio
    )
    return _Likeness(
        gpu=anchor.id,
        fp32_ratio=ratios[0],
        bandwidth_ratio=ratios[1],
        bf16_ratio=ratios[2],
        speedup_factor=math.exp(ln_speedup),
        lacks=any(exponent and not ratio for (exponent, _, _), ratio in zip(figures, ratios, strict=True)),
        weight_fraction=1.0 / (distance + _ALIKE) ** 2,
    )


def _transferred(origin: Rate, transfer: Transfer) -> Rate:
    """The rate on another GPU: time / speed-up, arms added in quadrature; a high speed-up is a low time."""
    return replace(
        origin,
        unit_s=origin.unit_s / transfer.central,
        down=math.hypot(origin.down, math.log(transfer.high / transfer.central)),
        up=math.hypot(origin.up, math.log(transfer.central / transfer.low)),
        basis=Basis.EXTRAPOLATED,
        how=f"{spoken(transfer.central)} ({spoken(transfer.low)}-{spoken(transfer.high)}) times the speed of "
        f"{transfer.from_gpu} ({transfer.note or transfer.basis}); {origin.how}",
        source=transfer.source,
        origin=ByTransfer(origin=origin, transfer=transfer),
    )


def _steps(curve: Curve) -> str:
    if not curve.timesteps_fs:
        return "by somebody else"
    return f"at {' and '.join(spoken(steps) for steps in curve.timesteps_fs)} fs a step"


def beyond_sizes(curve: Curve, size: WorkSize) -> float:
    """How far [e-folds] the largest size lies outside the measured ones; a curve of one constant has no size."""
    if len(curve.coefficients_s) == 1:
        return 0.0
    return max(0.0, math.log(size.largest / curve.size_high), math.log(curve.size_low / size.largest))


def _distance(anchor: GpuSpec, target: GpuSpec) -> float | None:
    """How unlike two GPUs are: sum of |ln| of their bandwidth and FP32 ratios; None without a bandwidth."""
    if not anchor.memory_bandwidth_tb_s or not target.memory_bandwidth_tb_s:
        return None
    distance = abs(math.log(target.memory_bandwidth_tb_s / anchor.memory_bandwidth_tb_s))
    if anchor.fp32_dense_tflops and target.fp32_dense_tflops:
        distance += abs(math.log(target.fp32_dense_tflops / anchor.fp32_dense_tflops))
    return distance
