"""Streams of independent items: molecular dynamics, genomes, forecasts, ligands, designs."""

from service.errors import FieldError, InvalidRequestError
from service.sizing.calibration import Calibration
from service.sizing.result import Assumed
from service.sizing.science.application import Application, Curve, Variant
from service.sizing.science.job import Job
from service.sizing.science.rate import point_size
from service.sizing.science.rates import CUSTOMER
from service.sizing.science.workload import (
    DesignWorkload,
    DockingWorkload,
    GenomicsWorkload,
    MdWorkload,
    WeatherWorkload,
)
from service.sizing.units import GB, MEGA

# The GPU that a customer's own rate is taken to be from when it names none.
_DEFAULT_MEASURED_GPU = "h100-sxm"


def chosen_variant(application: Application, asked: str | None, field: str) -> Variant:
    """The method, pipeline or release asked for. Raises InvalidRequestError with the known ones."""
    variant = application.variant(asked)
    if variant is None:
        known = tuple(v.id for v in application.variants)
        raise InvalidRequestError(
            f"{application.id} has no {asked!r}; it has {', '.join(known)}",
            errors=(
                FieldError(field=field, message="not known for this application", value=asked, limit=", ".join(known)),
            ),
        )
    return variant


def steps_per_ns(timestep_fs: float) -> float:
    """Integration steps in one nanosecond: 10^6 fs / timestep."""
    return MEGA / timestep_fs


def md_job(workload: MdWorkload, application: Application, calibration: Calibration) -> Job:
    """One item is one nanosecond; seconds of a step = t0 + c atoms. At most `replicas` run side by side."""
    del calibration
    variant = chosen_variant(application, workload.method, "workload.method")
    law = application.memory
    used = 0.0 if law is None else law.base_gb * GB + law.size_bytes * workload.atoms
    return Job(
        application=application,
        metric="ns_day",
        demand_field="workload.ns_day",
        demand_day=workload.ns_day,
        units_item=steps_per_ns(workload.timestep_fs),
        size=point_size(workload.atoms),
        curve_variant=variant.curve_variant,
        variant=variant,
        base_factor=variant.time_factor,
        timestep_fs=workload.timestep_fs,
        max_instances=float(workload.replicas),
        memory_bytes=used,
        memory_sharded=True,
        assumed=_default(workload.method, "workload.method", variant),
    )


def genomics_job(workload: GenomicsWorkload, application: Application, calibration: Calibration) -> Job:
    """One item is one genome; GPU seconds go linearly with coverage (inferred)."""
    del calibration
    variant = chosen_variant(application, workload.pipeline, "workload.pipeline")
    return Job(
        application=application,
        metric="genomes_day",
        demand_field="workload.genomes_day",
        demand_day=workload.genomes_day,
        units_item=1.0,
        size=point_size(workload.coverage),
        curve_variant=variant.curve_variant,
        variant=variant,
        memory_bytes=_base_bytes(application),
        assumed=_default(workload.pipeline, "workload.pipeline", variant),
    )


def weather_job(workload: WeatherWorkload, application: Application, calibration: Calibration) -> Job:
    """One item is one forecast: `members` samples of t0 + c steps."""
    del calibration
    variant = chosen_variant(application, workload.release, "workload.release")
    each_step = application.host is not None and application.host.output_each_step
    return Job(
        application=application,
        metric="forecasts_day",
        demand_field="workload.forecasts_day",
        demand_day=workload.forecasts_day,
        units_item=float(workload.members),
        stored_units_item=workload.members * (workload.steps if each_step else 1.0),
        size=point_size(workload.steps),
        curve_variant=variant.curve_variant,
        variant=variant,
        memory_bytes=_base_bytes(application) if variant.memory_gb is None else variant.memory_gb * GB,
        assumed=_default(workload.release, "workload.release", variant),
    )


def docking_curve(workload: DockingWorkload, calibration: Calibration) -> Curve | None:
    """The customer's own rate as a curve; None when the workload gives none and the catalog's order serves."""
    if workload.ligands_s_gpu is None:
        return None
    return _customer_curve(1.0 / workload.ligands_s_gpu, workload.measured_gpu, calibration)


def docking_job(workload: DockingWorkload, application: Application, calibration: Calibration) -> Job:
    """One item is one ligand."""
    del calibration
    given = workload.ligands_s_gpu is not None
    assumed = (
        _measured_gpu(workload.measured_gpu)
        if given
        else (
            Assumed(
                field="workload.ligands_s_gpu",
                value="catalog",
                why="not given: an order of magnitude, +-4x; give your own rate",
                source=application.curves[0].source,
            ),
        )
    )
    return Job(
        application=application,
        metric="ligands_day",
        demand_field="workload.ligands_day",
        demand_day=workload.ligands_day,
        units_item=1.0,
        memory_bytes=_base_bytes(application),
        assumed=assumed,
    )


def design_curve(workload: DesignWorkload, calibration: Calibration) -> Curve:
    """The customer's own seconds per design as a curve."""
    return _customer_curve(workload.design_s, workload.measured_gpu, calibration)


def design_job(workload: DesignWorkload, application: Application, calibration: Calibration) -> Job:
    """One item is one design."""
    del calibration
    return Job(
        application=application,
        metric="designs_day",
        demand_field="workload.designs_day",
        demand_day=workload.designs_day,
        units_item=1.0,
        memory_bytes=_base_bytes(application),
        assumed=_measured_gpu(workload.measured_gpu),
    )


def _customer_curve(item_s: float, gpu: str | None, calibration: Calibration) -> Curve:
    arm = calibration.assumption("science.customer_rate_ln_arm_fraction")
    return Curve(
        gpu=gpu or _DEFAULT_MEASURED_GPU,
        variant="default",
        coefficients_s=(item_s,),
        size_low=1.0,
        size_high=1.0,
        q10=-arm,
        q50=0.0,
        q90=arm,
        runs=1,
        measured=True,
        evidence=(),
        basis="seen",
        source=CUSTOMER,
        date="",
        note="the customer's own measurement",
    )


def _measured_gpu(gpu: str | None) -> tuple[Assumed, ...]:
    if gpu is not None:
        return ()
    why = "not given: your own rate is taken to be of this GPU, and other GPUs are scaled from it"
    return (Assumed(field="workload.measured_gpu", value=_DEFAULT_MEASURED_GPU, why=why),)


def unnamed_gpu(gpu: str | None) -> tuple[str, ...]:
    """What an option says where the GPU of the customer's own rate was not named."""
    if gpu is not None:
        return ()
    said = f"workload.measured_gpu is not given: your own rate is taken to be of {_DEFAULT_MEASURED_GPU}"
    return (f"{said}, and every other GPU is scaled from it; name the GPU that you measured",)


def _base_bytes(application: Application) -> float:
    return 0.0 if application.memory is None else application.memory.base_gb * GB


def _default(asked: str | None, field: str, variant: Variant) -> tuple[Assumed, ...]:
    if asked is not None:
        return ()
    return (Assumed(field=field, value=variant.id, why="the application's default", source=variant.source),)
