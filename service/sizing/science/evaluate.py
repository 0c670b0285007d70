"""estimate_science: one fixed deployment, evaluated by the same physics that size_science searches."""

from dataclasses import replace

import numpy as np

from service.errors import FieldError, UnsupportedWorkloadError
from service.sizing.calibration import Calibration
from service.sizing.hardware import GpuSpec, Hardware
from service.sizing.place import placed_server
from service.sizing.precision import Precision
from service.sizing.result import Assumed, Estimate, Quantity
from service.sizing.science.alignments import cpu_servers_beside, msa_needs, spare_cores
from service.sizing.science.application import Application
from service.sizing.science.describe import assumed, describe
from service.sizing.science.explain import science_working
from service.sizing.science.host import Surroundings, longest_that_fits, surroundings, usable_gpus
from service.sizing.science.job import Job
from service.sizing.science.metrics import bottleneck, science_metrics
from service.sizing.science.outside import outside_evidence
from service.sizing.science.performance import (
    Performance,
    Rows,
    items_day,
    job_rates,
    lacks_fp64,
    performance,
    trained_performance,
)
from service.sizing.science.rate import RateTable
from service.sizing.science.spread_out import batch_of, layout_of, parts_of, point_of, precision_of, shares_of
from service.sizing.science.trained import trained_deployment
from service.sizing.science.workload import FoldingWorkload, ScienceWorkload
from service.sizing.spoken import spoken
from service.sizing.table import HardwareTable, build_table
from service.sizing.training.explain import Point
from service.sizing.units import GB
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Deployment


def estimate_science(
    workload: ScienceWorkload,
    deployment: Deployment,
    *,
    hardware: Hardware,
    application: Application,
    calibration: Calibration,
) -> Estimate:
    """Metrics, memory and bottleneck of a job on given GPUs.

    A coupled job takes all GPUs; otherwise `replicas` jobs share them evenly, one GPU each when it is not given.
    """
    job = describe(workload, application, calibration)
    server, gpu, chosen = placed_server(deployment, hardware)
    table = build_table((server,), (gpu,))
    rates = job_rates(job, table, hardware=hardware, calibration=calibration)
    fed = min(deployment.gpus, _fed_gpus(deployment, table, job.application))
    rows = _rows(job, deployment, fed)
    each = int(rows.gpus_instance[0])
    physics = _physics(job, deployment, rows, table=table, rates=rates, calibration=calibration)
    if not np.isfinite(physics.item_s[0]):
        raise _unknown(job, gpu, each)
    longest = longest_that_fits(job, float(table.memory_bytes[0]))
    point = point_of(physics, 0, table=table, server=0, calibration=calibration)
    around = _around(
        job,
        workload,
        rows,
        physics,
        table=table,
        hardware=hardware,
        calibration=calibration,
        fed=fed,
        point=point,
    )
    working = science_working(
        job,
        rows=rows,
        physics=physics,
        rates=rates,
        table=table,
        row=0,
        servers=None,
        calibration=calibration,
        point=point,
    )
    return Estimate(
        kind="science",
        gpu=gpu.id,
        gpus=deployment.gpus,
        layout=layout_of(physics, 0, gpus=each),
        replicas=int(rows.instances[0]),
        mode="coupled" if job.coupled else "replicas",
        weight_precision=None,
        kv_precision=None,
        precision=precision_of(job),
        batch=batch_of(physics),
        fits=bool(physics.runs[0]),
        metrics=science_metrics(
            job, workload, rows=rows, physics=physics, rates=rates, row=0, calibration=calibration, longest=longest
        ),
        memory_gb_gpu=parts_of(physics, 0, point),
        memory_used_gb_gpu=float(physics.memory_bytes[0]) / GB,
        memory_usable_gb_gpu=float(physics.usable_bytes[0]) / GB,
        bottleneck=bottleneck(job, physics, 0, gpus_server=float(fed), gpus=deployment.gpus, point=point),
        utilisation=(
            *shares_of(job, physics, 0, point),
            *(() if longest is None else (Quantity(name="longest_target_tokens", value=longest),)),
        ),
        requirements=around.requirements,
        storage=around.storage,
        assumed=(
            *assumed(job, calibration),
            *((Assumed(field="deployment.server", value=chosen, why="not given"),) if chosen else ()),
            *_weak_fp64(job, table, calibration),
            *_spilled(physics),
            *outside_evidence(job, physics, 0, gpus=float(each)),
        ),
        working=(*working, *around.working),
        engine_version=ENGINE_VERSION,
    )


def _rows(job: Job, deployment: Deployment, fed: int) -> Rows:
    """How many jobs share the GPUs. One item per GPU: strong scaling pays only where one item does not fit or latency
    is contractual.
    """
    replicas = 1 if job.coupled else deployment.replicas or fed
    shared = deployment.gpus if job.coupled or deployment.replicas else fed
    return Rows(
        server=np.array([0], dtype=np.int64),
        gpus_instance=np.array([max(1, shared // replicas)], dtype=np.float64),
        instances=np.array([replicas], dtype=np.float64),
    )


def _physics(
    job: Job, deployment: Deployment, rows: Rows, *, table: HardwareTable, rates: RateTable, calibration: Calibration
) -> Performance:
    """By the rates of the application, or as the training engine has it."""
    if job.training is None:
        return performance(job, rows, table=table, rates=rates, calibration=calibration)
    trained = trained_deployment(job.training, deployment, gpu=table.gpus[0], table=table, calibration=calibration)
    return trained_performance(job, trained, table=table, rates=rates, calibration=calibration)


def _around(
    job: Job,
    workload: ScienceWorkload,
    rows: Rows,
    physics: Performance,
    *,
    table: HardwareTable,
    hardware: Hardware,
    calibration: Calibration,
    fed: int,
    point: Point | None,
) -> Surroundings:
    """Hosts, alignments and storage of what the deployment does in a day."""
    utilisation = calibration.assumption("science.utilisation_fraction")
    day = float(items_day(physics.item_s[0], instances=float(rows.instances[0]), utilisation_fraction=utilisation))
    job = replace(job, demand_day=day)
    if isinstance(workload, FoldingWorkload) and job.application.folding is not None:
        job = replace(job, msa=msa_needs(workload, job.application.folding, calibration, targets_day=day))
    # Desktops and systems alike: as many as hold the GPUs of all instances.
    servers = -(-int(rows.gpus_instance[0] * rows.instances[0]) // int(table.gpus_server[0]))
    each = min(float(table.gpus_server[0]), float(fed))
    usable = np.array([each], dtype=np.float64)
    spare = spare_cores(
        table,
        np.zeros(1, dtype=np.int64),
        servers=float(servers),
        host=job.application.host,
        usable=usable,
        needs=job.msa,
    )
    return surroundings(
        job,
        workload,
        server=table.servers[0],
        servers=servers,
        beside=int(cpu_servers_beside(job.msa, spare, hardware.cpu_servers)[0]),
        cpu_server=next(iter(hardware.cpu_servers), None),
        gpus_server=each,
        memory_bytes=float(table.memory_bytes[0]),
        calibration=calibration,
        point=point,
    )


def _fed_gpus(deployment: Deployment, table: HardwareTable, application: Application) -> int:
    """GPUs that the host's cores can feed: deployment.host_cores, else those of the servers; at least one."""
    host = application.host
    if host is not None and deployment.host_cores is not None and host.cores_gpu:
        return max(1, int(deployment.host_cores // host.cores_gpu))
    servers = -(-deployment.gpus // int(table.gpus_server[0]))
    return max(1, int(usable_gpus(table, host)[0]) * servers)


def _unknown(job: Job, gpu: GpuSpec, gpus_instance: int) -> UnsupportedWorkloadError:
    """Why there is no number: nobody measured so many GPUs on one job, or nothing is known of this GPU."""
    most = most_gpus(job.application)
    if gpus_instance > most and (not job.coupled or job.application.serial is not None):
        message = (
            f"one {job.application.name} job on {gpus_instance} GPUs was never measured, at most on {most}; "
            f"give deployment.replicas so that each has at most {most}"
        )
        return UnsupportedWorkloadError(message, errors=(FieldError(field="deployment.replicas", message=message),))
    message = f"no rate of {job.application.name} on {gpu.name} is known, and its data sheet does not give one"
    return UnsupportedWorkloadError(message, errors=(FieldError(field="deployment.gpu", message=message),))


def most_gpus(application: Application) -> int:
    """Most GPUs that one job of the application was measured on together."""
    laws = (application.sharding, application.serial)
    return max([1, *(p.gpus for p in application.scaling), *(law.most_gpus for law in laws if law is not None)])


def _spilled(physics: Performance) -> tuple[Assumed, ...]:
    """What runs through host memory is said to."""
    if physics.fits[0] or not physics.runs[0]:
        return ()
    over_gb = float(physics.spilled_bytes[0]) / GB
    return (
        Assumed(field="memory", value=f"{spoken(over_gb)} GB in host memory", why="the job does not fit: it spills"),
    )


def _weak_fp64(job: Job, table: HardwareTable, calibration: Calibration) -> tuple[Assumed, ...]:
    """A sizing refuses FP64 on GPUs that trade it away; an estimate says what they would do, and that."""
    if job.arithmetic is None or job.arithmetic.precision is not Precision.FP64:
        return ()
    weak, _, _ = lacks_fp64(table, least_fraction=calibration.assumption("science.fp64_over_fp32_least_fraction"))
    if not weak[0]:
        return ()
    why = "this GPU trades FP64 away: a sizing refuses it and offers B200 or GB200"
    return (Assumed(field="workload.precision", value="fp64", why=why),)
