"""estimate_science: one fixed deployment, evaluated by the same physics that size_science searches."""

import numpy as np

from service.sizing.calibration import Calibration
from service.sizing.hardware import Hardware
from service.sizing.place import memory_parts, placed_server
from service.sizing.result import Assumed, Estimate, ParallelLayout, Quantity
from service.sizing.science.application import Application
from service.sizing.science.describe import describe
from service.sizing.science.explain import science_working
from service.sizing.science.host import longest_that_fits, usable_gpus
from service.sizing.science.metrics import bottleneck, science_metrics
from service.sizing.science.performance import Rows, job_rates, performance
from service.sizing.science.workload import ScienceWorkload
from service.sizing.table import build_table
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
    # One item per GPU: strong scaling pays only where one item does not fit or latency is contractual.
    replicas = 1 if job.coupled else deployment.replicas or deployment.gpus
    each = deployment.gpus if job.coupled else max(1, deployment.gpus // replicas)
    rows = Rows(
        server=np.array([0], dtype=np.int64),
        gpus_instance=np.array([each], dtype=np.float64),
        instances=np.array([replicas], dtype=np.float64),
    )
    physics = performance(job, rows, table=table, rates=rates, calibration=calibration)
    usable = float(usable_gpus(table, job.application.host)[0])
    longest = longest_that_fits(job, float(table.memory_bytes[0]))
    return Estimate(
        kind="science",
        gpu=gpu.id,
        gpus=deployment.gpus,
        layout=ParallelLayout(),
        replicas=replicas,
        mode="coupled" if job.coupled else "replicas",
        weight_precision=None,
        kv_precision=None,
        precision=None if job.arithmetic is None else str(job.arithmetic.precision),
        batch=None,
        fits=bool(physics.fits[0]),
        metrics=science_metrics(
            job, workload, rows=rows, physics=physics, rates=rates, row=0, calibration=calibration
        ),
        memory_gb_gpu=memory_parts(resident=float(physics.memory_bytes[0])),
        memory_used_gb_gpu=float(physics.memory_bytes[0]) / GB,
        memory_usable_gb_gpu=float(physics.usable_bytes[0]) / GB,
        bottleneck=bottleneck(job, physics, 0, gpus_server=usable, gpus=server.gpus),
        utilisation=(
            Quantity(name="parallel_efficiency_fraction", value=float(physics.efficiency_fraction[0])),
            Quantity(name="longest_target_tokens", value=longest),
        ),
        assumed=(
            *job.assumed,
            *((Assumed(field="deployment.server", value=chosen, why="not given"),) if chosen else ()),
        ),
        working=science_working(
            job,
            rows=rows,
            physics=physics,
            rates=rates,
            table=table,
            row=0,
            servers=None,
            calibration=calibration,
        ),
        engine_version=ENGINE_VERSION,
    )

