"""What several GPUs lose to each other on one job: exchange, launches, serial parts, sharding; arrays or scalars."""

import numpy as np

from service.sizing.numeric import Numeric
from service.sizing.science.application import HaloLaw, ScalingPoint, SerialLaw, ShardingLaw
from service.sizing.table import FloatArray
from service.sizing.units import GB_S, MEGA


def scaling_efficiency(gpus: Numeric, points: tuple[ScalingPoint, ...]) -> FloatArray:
    """Parallel efficiency of one job on `gpus` GPUs: measured points, interpolated on log2; NaN beyond the last one."""
    counts = np.asarray(gpus, dtype=np.float64)
    if not points:
        return np.where(counts <= 1.0, 1.0, np.nan)
    known = np.log2(np.array([p.gpus for p in points], dtype=np.float64))
    values = np.array([p.efficiency_fraction for p in points], dtype=np.float64)
    return np.where(counts <= points[-1].gpus, np.interp(np.log2(counts), known, values), np.nan)


def sized_efficiency(
    gpus: Numeric, *, at_reference: FloatArray, step_s: FloatArray, reference_s: FloatArray, launch_s: FloatArray
) -> FloatArray:
    """Efficiency of a job of another size than the one whose efficiency is `at_reference`.

    t(n) = t0 + k c N / n: launches do not shrink with more GPUs, and k is such that the measured size has its own
    efficiency. E = (t0 + c N) / (n t(n)), and never over 1 (method notes, section 3: t0 + c N).
    """
    counts = np.asarray(gpus, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        split_s = np.maximum(reference_s / (counts * at_reference) - launch_s, 0.0)
        factor = np.maximum(split_s * counts / (reference_s - launch_s), 1.0)
        several_s = launch_s + factor * (step_s - launch_s) / counts
        sized = np.minimum(step_s / (counts * several_s), 1.0)
    # A step that is all launch has nothing to split: nothing is known of it but what was measured.
    return np.where((counts > 1.0) & (reference_s > launch_s), sized, at_reference)


def lasting_ln_arm(
    gpus: Numeric,
    *,
    efficiency: FloatArray,
    at_reference: FloatArray,
    step_s: FloatArray,
    reference_s: FloatArray,
    launch_s: FloatArray,
) -> FloatArray:
    """Ln of how much longer a step takes if several GPUs lose as many seconds of it as of the measured size's.

    `sized_efficiency` takes the loss to go with the atoms, as two sizes of OpenMM show it from 0.4 to 1 million; of a
    small system messages last as long as of a large one. Zero on one GPU and of systems over the measured size.
    """
    counts = np.asarray(gpus, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost_s = reference_s / (counts * at_reference) - (launch_s + (reference_s - launch_s) / counts)
        lasting_s = launch_s + (step_s - launch_s) / counts + np.maximum(lost_s, 0.0)
        arm = np.log(lasting_s * counts * efficiency / step_s)
    return np.where(counts > 1.0, np.maximum(np.nan_to_num(arm), 0.0), 0.0)


def halo_efficiency(
    gpus: Numeric, law: HaloLaw, *, update_s: Numeric, element_bytes: float, link_bytes_s: Numeric
) -> FloatArray:
    """Efficiency of a lattice code: 1 / (1 + k n MLUPS bytes reference / link); 1 on one GPU (FluidX3D tables)."""
    counts = np.asarray(gpus, dtype=np.float64)
    mlups = 1.0 / (np.asarray(update_s, dtype=np.float64) * MEGA)
    slower = law.reference_link_gb_s * GB_S / np.asarray(link_bytes_s, dtype=np.float64)
    loss = law.coefficient * counts * mlups * element_bytes * slower
    return np.where(counts > 1.0, 1.0 / (1.0 + loss), 1.0)


def sharding_efficiency(gpus: Numeric, law: ShardingLaw, *, size_tokens: float) -> FloatArray:
    """Efficiency of one item over `gpus` GPUs: 1 / (1 + k (n - 1) (reference / size)^p); NaN beyond what was measured.

    Source: alphafold3 docs/performance.md, 16 A100 beside one.
    """
    counts = np.asarray(gpus, dtype=np.float64)
    loss = law.coefficient * (counts - 1.0) * (law.reference_size_tokens / size_tokens) ** law.power
    return np.where(counts <= law.most_gpus, 1.0 / (1.0 + loss), np.nan)


def serial_efficiency(gpus: Numeric, law: SerialLaw) -> FloatArray:
    """Efficiency of a run of a fixed recipe: 1 / (1 + serial x n); NaN beyond what was measured (MLPerf HPC v3.0)."""
    counts = np.asarray(gpus, dtype=np.float64)
    return np.where(counts <= law.most_gpus, 1.0 / (1.0 + law.serial_fraction * counts), np.nan)
