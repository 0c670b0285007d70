"""Plain scientific workloads, and how a test sizes one."""

import math
from dataclasses import replace
from typing import Any

from service.catalog.catalog import Catalog
from service.sizing.precision import Precision
from service.sizing.result import Estimate, SizingResult
from service.sizing.science.evaluate import estimate_science
from service.sizing.science.search import size_science
from service.sizing.science.workload import (
    DeadlineTarget,
    DesignWorkload,
    DockingWorkload,
    FoldingWorkload,
    GenomicsWorkload,
    LatticeWorkload,
    MdWorkload,
    RecipeTrainingWorkload,
    RooflineWorkload,
    ScienceWorkload,
    SequenceTrainingWorkload,
    SizeDistribution,
    WeatherWorkload,
)
from service.sizing.table import FloatArray
from service.sizing.terms import Terms
from service.sizing.workload import Constraints, Deployment, Question

MONTH = DeadlineTarget(deadline_days=30.0)


def folding(**changes: Any) -> FoldingWorkload:
    plain = FoldingWorkload(application="alphafold-3", tokens=SizeDistribution(mean=1024.0), targets_day=5000.0)
    return replace(plain, **changes)


def md(**changes: Any) -> MdWorkload:
    return replace(MdWorkload(application="openmm", atoms=92224, ns_day=20000.0, replicas=200), **changes)


def roofline(**changes: Any) -> RooflineWorkload:
    plain = RooflineWorkload(
        application="roofline",
        precision=Precision.FP64,
        step_flop=1e15,
        step_bytes=2e14,
        resident_gb=900.0,
        steps=1e6,
        target=MONTH,
    )
    return replace(plain, **changes)


EVERY: tuple[ScienceWorkload, ...] = (
    folding(),
    folding(application="boltz-2"),
    folding(application="openfold-3"),
    folding(application="protenix"),
    folding(application="chai-1"),
    folding(application="alphafold-2"),
    folding(application="esmfold"),
    folding(application="openfold-2"),
    md(),
    md(application="gromacs"),
    md(application="amber"),
    md(application="namd"),
    md(application="lammps", ns_day=200.0),
    GenomicsWorkload(application="parabricks", genomes_day=300.0),
    WeatherWorkload(application="corrdiff", forecasts_day=500.0, members=16, steps=18.0),
    WeatherWorkload(application="fourcastnet", forecasts_day=500.0, members=16, steps=40.0),
    DockingWorkload(application="docking", ligands_day=1e8, ligands_s_gpu=20.0, measured_gpu="h100-sxm"),
    DesignWorkload(application="rfdiffusion", designs_day=50000.0, design_s=60.0, measured_gpu="h100-sxm"),
    roofline(),
    roofline(application="gemm", precision=Precision.BF16, step_flop=1e18),
    LatticeWorkload(application="fluidx3d", cells=1e10, steps=1e7, target=MONTH),
    SequenceTrainingWorkload(application="esm-2", parameters=15e9, tokens=1e13, target=MONTH),
    SequenceTrainingWorkload(application="evo-2", parameters=7e9, tokens=1e13, target=MONTH),
    RecipeTrainingWorkload(application="openfold-training", target=DeadlineTarget(deadline_days=0.5)),
)


def sized(
    workload: ScienceWorkload,
    catalog: Catalog,
    weight: FloatArray,
    *,
    beside_weight: float = math.nan,
    **limits: Any,
) -> SizingResult:
    return size_science(
        Question(workload=workload, constraints=Constraints(**limits)),
        catalog.applications[workload.application],
        terms=Terms(
            hardware=catalog.hardware, calibration=catalog.calibration, weight=weight, beside_weight=beside_weight
        ),
    )


def estimated(workload: ScienceWorkload, catalog: Catalog, *, gpu: str, gpus: int = 1, **more: Any) -> Estimate:
    return estimate_science(
        workload,
        Deployment(gpu=gpu, gpus=gpus, **more),
        hardware=catalog.hardware,
        application=catalog.applications[workload.application],
        calibration=catalog.calibration,
    )


def median(estimate: Estimate, name: str) -> float:
    return next(m.interval.p50 for m in estimate.metrics if m.name == name)
