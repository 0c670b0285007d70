"""estimate_training: one fixed deployment, evaluated; what it leaves open the engine chooses and says so."""

import numpy as np

from service.errors import FieldError, InvalidRequestError, UnsupportedWorkloadError
from service.sizing.architecture import ModelArchitecture
from service.sizing.calibration import Calibration
from service.sizing.hardware import GpuSpec, Hardware
from service.sizing.place import placed_server
from service.sizing.precision import Precision
from service.sizing.result import Assumed, Estimate, ParallelLayout
from service.sizing.table import FloatArray, HardwareTable, build_table
from service.sizing.training.choices import RECOMPUTE_LEVEL, deployed_layouts
from service.sizing.training.demand import run_demands, storage_plan
from service.sizing.training.explain import (
    bottleneck,
    certainty_of,
    training_memory_parts,
    training_metrics,
    utilisation,
)
from service.sizing.training.job import Job, job_of, run_rates, table_rates
from service.sizing.training.layouts import Layouts, divisors
from service.sizing.training.point import goodput_interval, point_at
from service.sizing.training.rates import peak_flop_s
from service.sizing.training.recipe import optimizer_entry
from service.sizing.training.recompute import Fitted, fitted
from service.sizing.training.working import training_working
from service.sizing.units import GB
from service.sizing.version import ENGINE_VERSION
from service.sizing.workload import Deployment, LoraTargets, Recompute, TrainingWorkload

# A batch that fewer than these data ranks divide is told of; it does better as a multiple of this many.
_FEW_RANKS = 8
_SPREAD = 64


def estimate_training(
    workload: TrainingWorkload,
    deployment: Deployment,
    *,
    hardware: Hardware,
    architecture: ModelArchitecture,
    calibration: Calibration,
) -> Estimate:
    """Step time, throughput, MFU, memory by part and time to train of a fixed deployment, with intervals.

    Raises InvalidRequestError when degrees or batch do not divide, UnsupportedWorkloadError for a missing figure.
    """
    _check_recompute(deployment)
    server, gpu, placed = placed_server(deployment, hardware)
    table = build_table((server,), (gpu,))
    job = job_of(
        workload,
        architecture,
        calibration,
        month=deployment.software_month,
        loads_whole=deployment.loads_whole,
        plain_stack=deployment.plain_stack,
        vendor_kernels=deployment.vendor_kernels,
        chunked_loss=deployment.chunked_loss,
    )
    require_known(job, table, gpu)
    job, layouts = deployed_layouts(job, deployment)
    chosen = fitted_layouts(job, layouts, deployment, table=table, calibration=calibration)
    point = point_at(job, chosen, row=0, table=table, server=0, calibration=calibration)
    certainty = certainty_of(job, calibration, subject=architecture.id, gpu=gpu, gpus=point.gpus)
    return Estimate(
        kind="training",
        gpu=gpu.id,
        gpus=deployment.gpus,
        layout=chosen.layout(0),
        replicas=1,
        mode=str(workload.method),
        weight_precision=None,
        kv_precision=None,
        precision=str(job.recipe.compute),
        batch=float(job.batch_sequences),
        fits=bool(point.memory.total[0] <= job.usable_bytes(table.memory_bytes[0], stated=True)),
        metrics=training_metrics(point, certainty, goodput=goodput_interval(job, point, calibration), servers=None),
        memory_gb_gpu=training_memory_parts(point.memory),
        memory_used_gb_gpu=float(point.memory.total[0]) / GB,
        memory_usable_gb_gpu=float(table.memory_bytes[0]) / GB,
        bottleneck=bottleneck(point.step),
        utilisation=utilisation(point),
        storage=storage_plan(point, calibration),
        # The servers around a stated deployment are not planned, so that their energy is not known.
        requirements=tuple(q for q in run_demands(point, facility_power_kw=None) if q.value is not None),
        assumed=(
            *_placed(placed),
            *_chosen(deployment, chosen.layout(0)),
            *training_assumptions(workload, job, architecture, calibration),
            *(awkward_batch(workload) if deployment.dp is None and deployment.gpus > 1 else ()),
        ),
        working=training_working(point, calibration, certainty),
        engine_version=ENGINE_VERSION,
    )


def _check_recompute(deployment: Deployment) -> None:
    share = deployment.recompute_fraction
    if share is None or deployment.recompute is Recompute.FULL:
        return
    message = "is the share of the layers that full recompute makes again; set deployment.recompute to full"
    raise InvalidRequestError(
        f"deployment.recompute_fraction {message}",
        errors=(FieldError(field="deployment.recompute_fraction", message=message, value=f"{share:g}"),),
    )


def require_known(job: Job, table: HardwareTable, gpu: GpuSpec) -> None:
    """Raises UnsupportedWorkloadError when the GPU's record lacks its bandwidth or a dense peak that the job needs."""
    if np.isnan(table.bandwidth_bytes_s[0]):
        raise _unknown(gpu, f"the memory bandwidth of {gpu.id} is not known; choose another GPU")
    # Attention and the vocabulary are multiplied in 16 bit whatever the precision of the layers is.
    if all(np.isnan(peak_flop_s(table, wide)[0]) for wide in (Precision.BF16, Precision.FP16)):
        raise _unknown(gpu, f"{gpu.id} has no dense figure of 16 bit, and training needs one; choose another GPU")
    compute = job.recipe.compute
    if np.isnan(peak_flop_s(table, compute)[0]):
        message = f"{gpu.id} has no dense {compute} figure; choose another workload.precision or GPU"
        raise _unknown(gpu, message, FieldError(field="workload.precision", message=message, value=str(compute)))


def _unknown(gpu: GpuSpec, message: str, *others: FieldError) -> UnsupportedWorkloadError:
    error = FieldError(field="deployment.gpu", message=message, value=gpu.id)
    return UnsupportedWorkloadError(message, errors=(error, *others))


def fitted_layouts(
    job: Job, layouts: Layouts, deployment: Deployment, *, table: HardwareTable, calibration: Calibration
) -> Layouts:
    """One row: the fastest layout that fits under the stated recompute; where none fits that of the least memory."""
    found = _fitted(job, layouts, deployment, table)
    row = _best(job, found, table=table, calibration=calibration)
    return found.layouts.take(np.array([row], dtype=np.int64))


def _fitted(job: Job, layouts: Layouts, deployment: Deployment, table: HardwareTable) -> Fitted:
    """With room for most measured peaks; where no layout has that, what fits as a stated one would have to."""
    stated = deployment.recompute is not None
    for as_stated in (False, True):
        usable = np.full(len(layouts), job.usable_bytes(table.memory_bytes[0], stated=as_stated))
        found = _under(job, layouts, deployment, usable) if stated else fitted(job, layouts, usable_bytes=usable)
        if np.any(found.fits):
            break
    return found


def _under(job: Job, layouts: Layouts, deployment: Deployment, usable: FloatArray) -> Fitted:
    """Candidates under the recompute that is stated."""
    level = np.full(len(layouts), RECOMPUTE_LEVEL[deployment.recompute or Recompute.NONE], dtype=np.int64)
    layouts = layouts.with_recompute(level, np.full(len(layouts), deployment.recompute_fraction or 1.0))
    used = job.memory(layouts).total
    return Fitted(layouts=layouts, used_bytes=used, fits=np.asarray(used <= usable))


def _best(job: Job, found: Fitted, *, table: HardwareTable, calibration: Calibration) -> int:
    """The fastest layout that fits; where none fits the one that needs the least memory."""
    if not np.any(found.fits):
        return int(np.argmin(found.used_bytes))
    return int(np.argmin(np.where(found.fits, _step_s(job, found.layouts, table, calibration=calibration), np.inf)))


def _step_s(job: Job, layouts: Layouts, table: HardwareTable, *, calibration: Calibration) -> np.ndarray:
    rows = np.zeros(len(layouts), dtype=np.int64)
    rates = run_rates(table_rates(job, table, calibration).take(rows), layouts.gpus, table.gpus_server[rows])
    return job.step(layouts, rates).total


def _placed(placed: str) -> tuple[Assumed, ...]:
    if not placed:
        return ()
    return (Assumed(field="deployment.server", value=placed, why="the catalog's system with this GPU"),)


def _chosen(deployment: Deployment, layout: ParallelLayout) -> tuple[Assumed, ...]:
    """What the deployment left open, with the values of the fastest layout that fits."""
    names = ("tp", "pp", "vpp", "cp", "ep", "dp", "micro_batch", "recompute", "sharding")
    return tuple(
        Assumed(field=f"deployment.{name}", value=str(getattr(layout, name)), why="left open; fastest choice that fits")
        for name in names
        if getattr(deployment, name) is None
    )


def training_assumptions(
    workload: TrainingWorkload, job: Job, architecture: ModelArchitecture, calibration: Calibration
) -> tuple[Assumed, ...]:
    """The batch and the sequence as they were taken, and the judgement that every training answer rests on."""
    found = []
    if workload.global_batch_sequences is None:
        found.append(_batch_assumption(job, calibration))
    length, context = workload.seq_len_tokens, architecture.max_context_tokens
    if context is None or length > context:
        why = (
            f"the context of {architecture.id} is unknown: the sequence was not held against it"
            if context is None
            else f"longer than the context of {architecture.id}, {context:,} tokens, which this training extends"
        )
        found.append(Assumed(field="workload.seq_len_tokens", value=str(length), why=why))
    if job.recipe.is_adapter:
        found.append(_adapter_assumption(workload, job))
    return (*found, *_recipe_assumptions(job, calibration))


def _adapter_assumption(workload: TrainingWorkload, job: Job) -> Assumed:
    """Nobody sees whether rank and targets were sent or left out, so both are told."""
    where = "every matrix, experts included" if workload.lora_targets is LoraTargets.ALL else "attention alone"
    return Assumed(
        field="workload.lora_rank",
        value=str(workload.lora_rank),
        why=f"adapters on {where}: {job.trained_params:.3g} trained parameters",
        source="Hu et al. 2021, arXiv 2106.09685",
    )


def _batch_assumption(job: Job, calibration: Calibration) -> Assumed:
    usual = calibration.assumptions["training.global_batch_sequences"]
    why = "not stated"
    if job.batch_sequences != usual.value:
        why = f"not stated, and no layout on these GPUs divides the usual {usual.value:g}: this is the nearest"
    return Assumed(
        field="workload.global_batch_sequences", value=str(job.batch_sequences), why=why, source=usual.source
    )


def awkward_batch(workload: TrainingWorkload) -> tuple[Assumed, ...]:
    """A word on a stated batch that hardly any number of data ranks divides, with the nearest that many do."""
    batch = workload.global_batch_sequences
    if batch is None or batch < _SPREAD:
        return ()
    most = max(d for d in divisors(batch) if d <= _SPREAD)
    if most >= _FEW_RANKS:
        return ()
    why = (
        f"no more than {most} of up to {_SPREAD} data-parallel ranks divide it, which leaves GPUs to splits of the "
        f"model; {round(batch / _SPREAD) * _SPREAD} is the nearest global batch that {_SPREAD} ranks divide"
    )
    return (Assumed(field="workload.global_batch_sequences", value=str(batch), why=why),)


def _recipe_assumptions(job: Job, calibration: Calibration) -> tuple[Assumed, ...]:
    """The judgement that every training answer rests on."""
    names = [
        "training.weight_bytes_param",
        "training.gradient_bytes_param",
        optimizer_entry(job.workload.optimizer, moe=job.shape.is_moe),
    ]
    if job.shape.is_moe and job.workload.expert_imbalance_factor is None:
        names.append("training.expert_imbalance_factor")
    names += ["training.failure_interval_gpu_h", "training.checkpoint_stall_fraction", "training.evaluation_fraction"]
    entries = [calibration.assumptions[name] for name in names]
    return tuple(
        Assumed(field=e.id, value=f"{e.value:g}", why=f"between {e.low:g} and {e.high:g} {e.unit}", source=e.source)
        for e in entries
    )
